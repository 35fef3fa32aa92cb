"""Workers on three hosts, each a network namespace with a name and an address of its own.

    python tests/hosts/apart_trip.py

PostgreSQL and MinIO run here, and are reached over a bridge. Films are ingested and looked at, and
orders carried out, while one host is cut off for longer than a lease and another one loses its
power. At the end each order was carried out once, each film has its results, and hosts that came
back went on. It takes root, and `ip` of iproute2. The exit code is 1 when something is amiss.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Self

from tools.services.postgresql import POSTGRESQL
from tools.services.s3 import MINIO, PASSWORD, USER

from chaos.ledger import LEDGER, LedgerEffect
from chaos.programs import Program, plugged_in
from cli.agreement import disagreements
from holdfast.jobs import EnqueueOptions, Job, Jobs, JobStatus, NewJob
from holdfast.media import MediaLibrary
from holdfast.platform import open_platform
from holdfast.settings import Settings
from media.films import film
from records.sql.own_server import OwnServer

BRIDGE, NETWORK = "hfbridge", "10.77.0"
HOSTS = ("north", "east", "south")
LEASE = 5
FILMS, ORDERS = 6, 300
CUT = 4 * LEASE
PATIENCE = 600.0


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


class Network:
    """A bridge, and a namespace for each host that is tied to it."""

    def __enter__(self) -> Self:
        self.stack = ExitStack()
        with self.stack:
            ip("link", "add", BRIDGE, "type", "bridge")
            self.stack.callback(ip, "link", "del", BRIDGE)
            ip("addr", "add", f"{NETWORK}.1/24", "dev", BRIDGE)
            ip("link", "set", BRIDGE, "up")
            for place, host in enumerate(HOSTS, 2):
                ip("netns", "add", host)
                self.stack.callback(ip, "netns", "del", host)
                ip(
                    "link",
                    "add",
                    f"hf{host}",
                    "type",
                    "veth",
                    "peer",
                    "name",
                    "eth0",
                    "netns",
                    host,
                )
                ip("link", "set", f"hf{host}", "master", BRIDGE, "up")
                ip("-n", host, "addr", "add", f"{NETWORK}.{place}/24", "dev", "eth0")
                ip("-n", host, "link", "set", "eth0", "up")
                ip("-n", host, "link", "set", "lo", "up")
            self.stack = self.stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()

    def cut(self, host: str) -> None:
        """Let nothing through to *host* any more: whoever sends hears nothing at all."""
        ip("link", "set", f"hf{host}", "down")

    def mend(self, host: str) -> None:
        ip("link", "set", f"hf{host}", "up")


class Host(Program):
    """A worker on the host *name*."""

    def __init__(self, name: str, folder: Path, settings: dict[str, str]) -> None:
        folder = folder / name
        folder.mkdir()
        settings = {**settings, "HOLDFAST_DATA": str(folder / "data")}
        super().__init__(name, ("worker", "--concurrency", "2", "--drain", "5"), folder, settings)
        inside = ("ip", "netns", "exec", name, "unshare", "--uts")
        self.before = (*inside, "sh", "-c", f'hostname {name} && exec "$@"', "sh")


def open_to_hosts(folder: Path) -> tuple[OwnServer, OwnServer]:
    """Return a PostgreSQL and a MinIO that answer on the bridge too."""
    let_in = folder / "hba.conf"
    let_in.write_text(f"host all all 127.0.0.1/32 trust\nhost all all {NETWORK}.0/24 trust\n")
    let_in.chmod(0o644)
    addresses = f"listen_addresses=127.0.0.1,{NETWORK}.1"

    def everywhere(site):
        (launch,) = MINIO.plan(site)
        command = [each.replace("127.0.0.1:", ":") for each in launch.command]
        return (replace(launch, command=tuple(command)),)

    return (
        OwnServer(POSTGRESQL, "-c", addresses, "-c", f"hba_file={let_in}"),
        OwnServer(replace(MINIO, plan=everywhere)),
    )


class Run:
    """The platform, seen from this host, and what happens to the others."""

    def __init__(self, platform, network: Network, hosts: dict[str, Host]) -> None:
        self.jobs = platform.service(Jobs)
        self.library = platform.service(MediaLibrary)
        self.stored = platform.store.repository(Job)
        self.effects = platform.store.repository(LedgerEffect)
        self.network = network
        self.hosts = hosts

    async def put_in(self, folder: Path) -> None:
        for number in range(FILMS):
            path = film(folder / f"film-{number}.mp4", frames=400 + number, size=(640, 360))
            await self.library.ingest(path, project="apart")
        again = EnqueueOptions(max_attempts=100)
        await self.jobs.enqueue_many(
            [
                NewJob("ledger.work", {"order": f"{number}"}, options=again)
                for number in range(ORDERS)
            ]
        )

    async def hurt(self) -> None:
        """Cut one host off while it works, take the power of another, and give both back."""
        north, east, _ = HOSTS
        await self.until("every host works", self.all_at_work)
        self.network.cut(north)
        print(f"{north} is cut off, with {await self.at_work(north)} jobs", flush=True)
        self.hosts[east].kill()
        print(f"{east} lost its power, with {await self.at_work(east)} jobs", flush=True)
        await asyncio.sleep(CUT)
        self.network.mend(north)
        self.hosts[east].start()
        print(f"both are back; {await self.jobs.count(LEFT)} jobs are left", flush=True)

    async def at_work(self, host: str) -> int:
        return await self.jobs.count(
            (Job.status == JobStatus.RUNNING) & Job.worker.startswith(f"{host}:")
        )

    async def all_at_work(self) -> bool:
        return all([await self.at_work(host) for host in HOSTS])

    async def all_done(self) -> bool:
        return not await self.jobs.count(LEFT)

    async def until(self, what: str, condition) -> None:
        deadline = time.monotonic() + PATIENCE
        while not await condition():
            if time.monotonic() > deadline:
                raise SystemExit(f"waited {PATIENCE:.0f} s until {what}")
            await asyncio.sleep(0.1)

    async def amiss(self) -> list[str]:
        """Return what is not as it should be."""
        jobs = await self.stored.find(OURS)
        print("jobs by the host that ended them:", Counter(by(each) for each in jobs))
        print("leases lost:", sum(each.lost_leases for each in jobs))
        found = [f"{job.task} {job.payload}: {job.status} {job.error}" for job in jobs
                 if job.status is not JobStatus.SUCCEEDED]  # fmt: skip
        effects = Counter([each.order for each in await self.effects.find()])
        expected = Counter(str(number) for number in range(ORDERS))
        found += [f"order {order}: {effects[order]} times" for order in effects | expected
                  if effects[order] != expected[order]]  # fmt: skip
        return found + [f"nothing was done by {host}" for host in HOSTS
                        if host not in {by(each) for each in jobs}]  # fmt: skip


OURS = Job.task.in_(["ledger.work", "detect"])
LEFT = OURS & Job.status.in_([JobStatus.WAITING, JobStatus.QUEUED, JobStatus.RUNNING])


def by(job: Job) -> str:
    return (job.worker or "").partition(":")[0]


async def trip(folder: Path, settings: dict[str, str], network: Network) -> list[str]:
    """Let the hosts work and be hurt; return what is amiss afterwards."""
    with ExitStack() as stack:
        async with open_platform(Settings(data=folder / "data"), domains=[LEDGER]) as platform:
            hosts = {name: Host(name, folder, settings) for name in HOSTS}
            run = Run(platform, network, hosts)
            await run.put_in(folder)
            for host in hosts.values():
                stack.callback(host.kill)
                host.start()
            await run.hurt()
            await run.until("all is done", run.all_done)
            found = await run.amiss()
            found += [
                f"{name} did not end in good order" for name in HOSTS if not hosts[name].stop()
            ]
    told = await asyncio.to_thread(disagreements, folder / "data")
    others = ("a job of no video", "stray: logs/")  # orders, and the audit's log
    return found + [each for each in told if not each.startswith(others)]


def main() -> int:
    if os.geteuid() != 0 or shutil.which("ip") is None:
        print("this takes root, and `ip` of iproute2", file=sys.stderr)
        return 2
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/var/tmp")))
        folder.chmod(0o755)
        network = stack.enter_context(Network())
        postgresql, minio = map(stack.enter_context, open_to_hosts(folder))
        settings = {
            "HOLDFAST_STORE": f"postgresql://postgres@{NETWORK}.1:{postgresql.port}/holdfast?sslmode=disable",
            "HOLDFAST_BUCKET": f"s3://apart?endpoint_url=http://{NETWORK}.1:{minio.port}&create=true",
            "HOLDFAST_DOMAINS": "access,audit,figures,hosts,jobs,media,models,ledger",
            "HOLDFAST_LEASE": str(LEASE),
            "AWS_ACCESS_KEY_ID": USER,
            "AWS_SECRET_ACCESS_KEY": PASSWORD,
            "AWS_REGION": "us-east-1",
            "PYTHONPATH": plugged_in(folder / "path"),
        }
        os.environ.update(settings)
        sys.path.insert(0, str(folder / "path"))
        try:
            amiss = asyncio.run(trip(folder, settings, network))
        except BaseException:
            for log in folder.glob("*/*.log"):
                print(log, log.read_text(errors="replace")[-2000:], sep="\n", file=sys.stderr)
            raise
    print(*amiss, sep="\n")
    print(f"{len(amiss)} things amiss")
    return bool(amiss)


if __name__ == "__main__":
    sys.exit(main())
