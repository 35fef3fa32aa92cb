"""Job queues beside one another: enqueue, completed jobs a second, pickup latency, CPU a job.

python benchmarks/jobs.py [--quick] [--only holdfast,awa-pg] [--rounds 3]

PostgreSQL and Redis are those that `make services` started; each side has a database of its own,
and a process of its own, in which jobs are put in and done. Sides take turns, round by round, and
each figure is a median over the rounds. Peers that are not installed are left out; arq, which needs
another redis-py than SAQ does, runs in an environment that uv makes for it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from jobs_sides import APART, SIDES
from timing import machine, table

sys.path.insert(0, str(Path(__file__).parent.parent))

from tools.services.endpoints import endpoints

CONCURRENCY = (1, 4, 16)
RATE = 100  # jobs a second, of the pickup latency
LONGEST = 15.0  # seconds that one measurement may take; a slow side has done fewer jobs then
PROMISES = {
    "holdfast": "at least once, each write of a worker conditional on its lease and token",
    "holdfast-sqlite": "the same, on one file, `synchronous=full`",
    "awa-pg": "at least once, each write of a worker conditional on its lease",
    "procrastinate": "at least once, a worker that was paused may end a job that another has",
    "pgqueuer": "at least once, ended jobs are deleted or moved to a log",
    "saq": "at least once while Redis keeps what it was told",
    "arq": "at least once while Redis keeps what it was told",
}
TEXT = """\
## Jobs

Jobs without work, put in and done by one process a side, on the same PostgreSQL and Redis; the
figures are medians of {rounds} rounds, in which the sides took turns. *Done at 4* is with four jobs
at once in that process. CPU a job, at 16: *here* of the process itself, *there* of PostgreSQL's
backends that serve it (what its background processes do for all is in none). Pickup is the time
from the call that puts a job in to its handler, at {rate} jobs a second and 16 at once: *same*
through the object that the worker has too, *other* through a second one with connections of its
own, as from another process. Measured on {machine}, where
{load:.1f} processes a core were ready to run.
"""


class ServerCPU(threading.Thread):
    """Sums up what the backends of a database of PostgreSQL take; they come and go meanwhile."""

    def __init__(self, url):
        super().__init__(daemon=True)
        self.url, self.over, self.taken, self.before = url, threading.Event(), {}, None

    def run(self):
        import psycopg

        asked = (
            "SELECT pid FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid() "
            "AND backend_type <> 'autovacuum worker'"
        )
        with psycopg.connect(self.url, autocommit=True) as connection:
            while True:
                last = self.over.is_set()
                found = connection.execute(asked, [self.url.rpartition("/")[2]]).fetchall()
                self.taken |= {pid: cpu_of(pid) for (pid,) in found if cpu_of(pid)}
                if self.before is None:
                    self.before = dict(self.taken)
                if last:
                    return
                self.over.wait(0.2)

    def seconds(self):
        """Take a last look, and return the seconds of CPU since the first one."""
        self.over.set()
        self.join()
        return sum(self.taken.values()) - sum(self.before.values())


def cpu_of(pid):
    """Return the seconds of CPU of a process of this machine, 0 when it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return 0.0
    return sum(map(int, text.rpartition(")")[2].split()[11:13])) / os.sysconf("SC_CLK_TCK")


async def worked(side, concurrency, count, at_last=lambda: None):
    """Work on *count* jobs that wait, for LONGEST at the most; return how many, and how long."""
    enough, seen, wall = asyncio.Event(), 0, time.perf_counter()

    def handled(_at):
        nonlocal seen
        seen += 1
        if seen == count:
            enough.set()

    async def bounded():
        nonlocal wall
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LONGEST):
                await enough.wait()
        wall = time.perf_counter() - wall
        enough.set()
        await asyncio.to_thread(at_last)

    watching = asyncio.create_task(bounded())
    await side.work(concurrency, handled, enough)
    await watching
    return seen, wall


async def done(side, concurrency, count, url):
    """Return jobs a second, and the CPU seconds of a job here and at the server, None elsewhere."""
    for at in range(0, count, 1_000):
        await side.enqueue_many([float(each) for each in range(at, min(count, at + 1_000))])
    server = ServerCPU(url) if url.startswith("postgresql") else None
    there = None

    def at_last():
        nonlocal there
        there = None if server is None else server.seconds()

    if server is not None:
        server.start()
    cpu = time.process_time()
    seen, wall = await worked(side, concurrency, count, at_last)
    cpu = time.process_time() - cpu
    return seen / wall, cpu / seen, None if there is None else there / seen


async def latencies(side, feeder, count):
    """Return the sorted pickup times, in seconds, of *count* jobs that *feeder* puts in."""
    enough, found = asyncio.Event(), []

    def handled(at):
        found.append(time.time() - at)
        if len(found) == count:
            enough.set()

    async def feed():
        await asyncio.sleep(1)  # the worker is up
        start = time.perf_counter()
        for number in range(count):
            await asyncio.sleep(max(0, start + number / RATE - time.perf_counter()))
            await feeder.enqueue(time.time())

    async with asyncio.timeout(120), asyncio.TaskGroup() as both:
        both.create_task(feed())
        both.create_task(side.work(16, handled, enough))
    return sorted(found)


async def measured(name, url, count):
    """Return the figures of the side *name*."""
    side_of, _, _ = SIDES[name]
    figures = {}
    for who in ("same", "other"):
        async with side_of(url) as side, side_of(url) as another:
            found = await latencies(side, side if who == "same" else another, 300)
            figures |= {
                f"{who} p50": found[len(found) // 2],
                f"{who} p99": found[int(len(found) * 0.99)],
            }
    async with side_of(url) as side:
        few = max(50, count // 10)
        start = time.perf_counter()
        for number in range(few):
            await side.enqueue(float(number))
        figures["one"] = few / (time.perf_counter() - start)
        start = time.perf_counter()
        await side.enqueue_many([float(number) for number in range(count)])
        figures["many"] = count / (time.perf_counter() - start)
        await worked(side, 16, few + count)
    for concurrency in CONCURRENCY:
        async with side_of(url) as side:
            part = count if concurrency > 1 else max(50, count // 10)
            rate, figures["here"], figures["there"] = await done(side, concurrency, part, url)
            figures[f"done {concurrency}"] = rate
    return figures


def child(name, url, count):
    """Measure the side *name* in a process of its own; None when it fails, which is told."""
    python = [sys.executable]
    if name in APART:
        uv = str(Path(sys.executable).with_name("uv"))
        python = [uv, "run", "--quiet", "--no-project", "--python", sys.executable]
        python += ["--with", APART[name], "python"]
    command = [*python, __file__, "--side", name, "--url", url, "--count", str(count)]
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if ended.returncode:
        print(f"{name} failed with status {ended.returncode}", file=sys.stderr)
        return None
    return json.loads(ended.stdout.splitlines()[-1])


def sides(asked):
    """Yield the sides that can run: name, kind, distribution with its version."""
    for name, (_, kind, distribution) in SIDES.items():
        if asked.only and name not in asked.only.split(","):
            continue
        try:
            if name in APART:
                yield name, kind, APART[name].replace("==", " ")
            else:
                yield name, kind, f"{distribution} {version(distribution)}"
        except PackageNotFoundError:
            print(f"{distribution} is not installed, and left out", file=sys.stderr)


def compared(asked):
    servers = {name: each.url for name, each in endpoints().items()}
    count = 500 if asked.quick else 5_000
    rounds = asked.rounds or (1 if asked.quick else 3)
    load = os.getloadavg()[0] / os.cpu_count()
    known = list(sides(asked))
    taken = {name: [] for name, _, _ in known}
    for number in range(rounds):
        turn = number % len(known)
        for name, kind, titled in known[turn:] + known[:turn]:
            figures = turn_of(name, kind, servers, count)
            if figures is not None:
                taken[name].append(figures)
                print(*row(titled, [figures]), sep="  ", file=sys.stderr, flush=True)
    rows = [row(f"{titled} ({kind})", taken[name]) for name, kind, titled in known if taken[name]]
    print(TEXT.format(rate=RATE, rounds=rounds, machine=machine(), load=load))
    head = ["side", "enqueue one, /s", "many, /s"]
    head += [f"done at {each}, /s" for each in CONCURRENCY]
    head += ["CPU here, µs", "there, µs", "same p50, ms", "p99, ms", "other p50, ms", "p99, ms"]
    print(table(head, rows))
    print()
    for name, promise in PROMISES.items():
        print(f"- {name}: {promise}.")


def turn_of(name, kind, servers, count):
    """Measure one side once, in a place of its own."""
    if kind == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            return child(name, f"sqlite:///{folder}/jobs.db", count)
    if kind == "redis":
        return child(name, servers["redis"].rpartition("/")[0] + "/9", count)
    from database_admin import new_database

    with new_database(servers["postgresql"]) as url:
        return child(name, url, count)


def row(titled, taken):
    def of(name):
        return statistics.median(figures[name] for figures in taken)

    rates = ["one", "many", *(f"done {each}" for each in CONCURRENCY)]
    there = "" if taken[0]["there"] is None else f"{of('there') * 1e6:.0f}"
    return [
        titled,
        *(f"{of(each):,.0f}" for each in rates),
        f"{of('here') * 1e6:.0f}",
        there,
        *(f"{of(each) * 1e3:.1f}" for each in ("same p50", "same p99", "other p50", "other p99")),
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", help="names of sides, with commas between")
    parser.add_argument("--rounds", type=int, help="3, or 1 of a trial")
    for hidden in ("--side", "--url", "--count"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.side:
        os.environ.setdefault("AWA_LOG", "error")
        print(json.dumps(asyncio.run(measured(asked.side, asked.url, int(asked.count)))))
    else:
        compared(asked)


if __name__ == "__main__":
    main()
