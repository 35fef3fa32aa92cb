"""The whole platform under load, hurt at random; then what it promised is held against what it has.

    make chaos MINUTES=60                  on PostgreSQL, MinIO and Redis of its own
    make chaos EMBEDDED=1                  on SQLite, a folder and memory
    python -m chaos --seed 7 --calm        the same dice, and no faults
    make chaos PLANT=dropped-row           one promise broken on purpose, without faults
    make chaos PLANT=all                   all of them at once: each has to be found

It prints the seed, leaves the histories of the clients and `report.html` in a folder, and ends with
1 where anything acknowledged was lost, doubled, torn, stale or leaked, or an answer was a bug's;
where something is planted, with 1 unless it was counted as what it is.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import httpx

from chaos import planted
from chaos.checker import DOMAINS, WRONGS, Found, check
from chaos.clients import load, open_books
from chaos.faults import Faults
from chaos.history import Record, Told
from chaos.installation import Embedded, Served
from chaos.programs import PATIENCE
from chaos.report import Run, page

IDLE = 5
"""Tasks that an idle server may have more than it began with: it is never quite idle."""
PLANTED = 15.0
"""Seconds of load, at the least, on a platform with a fault that is planted."""
ENOUGH = 8
"""Times that each of WRITES has to be acknowledged there: a plant breaks every second one."""
WRITES = (
    ("records", "change"), ("counters", "count"), ("transfers", "transfer"), ("objects", "put"),
    ("cache", "write"), ("jobs", "enqueue"), ("models", "register"),
)  # fmt: skip


class Chaos:
    """One run: its seed, its length in seconds, whether it hurts, and what is planted."""

    def __init__(self, arguments, folder):
        self.seed = arguments.seed
        self.seconds = PLANTED if arguments.plant else arguments.minutes * 60
        self.calm = arguments.calm or arguments.plant is not None
        self.plant = arguments.plant
        self.kind = Embedded if arguments.embedded else Served
        self.folder = folder

    def run(self):
        """Return the run and its verdict."""
        began = datetime.now(UTC)
        histories = self.folder / f"histories-{self.seed}"
        histories.mkdir(parents=True)
        with self.kind(self.folder, self.plant) as place:
            record = Record(histories)
            tasks = self._open(place.server.url)
            faults = asyncio.run(self._hurt(place, record))
            print("the load is over: all is healed, and work at hand is waited for", flush=True)
            place.heal()
            self._drain(place)
            left = {"task": _left_tasks(place.server.url, tasks), **place.held()}
            for program in place.programs.values():
                if not program.stop():
                    left.setdefault("program that did not end", []).append(program.name)
            left |= place.left_open()
            for name in _names(self.plant):
                if name not in planted.SERVICES:
                    self._python(place, "chaos.afterwards", name)
            found = Found(**json.loads(self._python(place, "chaos.observation")))
        record.close()
        found.orders = set(found.orders)
        for kind, names in left.items():
            found.left[kind] = [*found.left.get(kind, []), *names]
        run = Run(
            seed=self.seed, began=began, seconds=self.seconds, history=record.operations,
            marks=faults.marks, absent=faults.absent, place=self.kind.__doc__.rstrip("."),
            plant=self.plant,
        )  # fmt: skip
        return run, check(record.operations, found)

    def _open(self, url):
        async def opened():
            async with httpx.AsyncClient(
                base_url=f"{url}/api/v1", trust_env=False, timeout=60
            ) as http:
                await open_books(http)
                return (await http.get("/ledger/process")).json()["tasks"]

        return asyncio.run(opened())

    async def _hurt(self, place, record):
        began = time.monotonic()

        def until():
            now = time.monotonic() - began
            if self.plant and now < PATIENCE:
                return now >= self.seconds and record.least_acknowledged(WRITES) >= ENOUGH
            return now >= self.seconds

        faults = Faults(place, self.seed, began, until)
        async with asyncio.TaskGroup() as group:
            group.create_task(load(place.server.url, record, until))
            if not self.calm:
                group.create_task(faults.hurt())
        return faults

    def _drain(self, place):
        """Wait until all orders' jobs are done, or none was for as long as patience lasts."""
        least, deadline = None, 0.0
        while left := int(self._python(place, "chaos.observation", "unfinished")):
            if least is None or left < least:
                least, deadline = left, time.monotonic() + PATIENCE
            if time.monotonic() > deadline:
                return  # the checker says which
            time.sleep(1)

    def _python(self, place, module, *words):
        ran = subprocess.run(
            [sys.executable, "-m", module, *words],
            env={**os.environ, **place.settings_now()}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if ran.returncode:
            raise RuntimeError(ran.stderr[-4000:])
        return ran.stdout


def _names(plant):
    """Return what is planted, by name."""
    return [*planted.EXPECTED] if plant == planted.ALL else [plant] if plant else []


def _left_tasks(url, before):
    """Return what an idle server has more than it began with, once it had time to end it."""
    deadline = time.monotonic() + 60
    while True:
        has = httpx.get(f"{url}/api/v1/ledger/process", timeout=60, trust_env=False).json()
        if has["tasks"] <= before + IDLE:
            return []
        if time.monotonic() > deadline:
            return [f"{has['tasks']} of them, {before} at the beginning"]
        time.sleep(1)


def _say(run, verdict):
    print(f"\nseed {run.seed}, {run.seconds / 60:g} minutes, {len(run.history)} operations")
    faults = ", ".join(f"{name} {count}" for name, count in sorted(run.faults.items()))
    print(f"faults: {faults or 'none'}")
    for name, why in run.absent.items():
        print(f"not to be had here: {name}: {why}")
    columns = (*Told, *WRONGS)
    print(f"{'':12}" + "".join(f"{name:>14}" for name in columns))
    for domain in DOMAINS:
        told, wrong = verdict.told[domain], verdict.wrong.get(domain, {})
        counts = [*(told[name] for name in Told), *(len(wrong.get(name, ())) for name in WRONGS)]
        print(f"{domain:12}" + "".join(f"{count:>14}" for count in counts))
    for domain, kinds in verdict.wrong.items():
        for kind, texts in kinds.items():
            for text in texts[:5]:
                print(f"{domain}: {kind}: {text}")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    parser.add_argument("--embedded", action="store_true")
    parser.add_argument("--calm", action="store_true", help="load, and no faults")
    parser.add_argument("--plant", choices=[*planted.EXPECTED, planted.ALL])
    parser.add_argument("--folder", type=Path, help="where histories, logs and the report stay")
    arguments = parser.parse_args()
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="holdfast-chaos-"))
    print(f"seed {arguments.seed}; histories, logs and the report in {folder}", flush=True)
    folder.mkdir(parents=True, exist_ok=True)
    run, verdict = Chaos(arguments, folder).run()
    (folder / "report.html").write_text(page(run, verdict), encoding="utf-8")
    _say(run, verdict)
    print(f"{verdict.count} wrong; the report: {folder / 'report.html'}", flush=True)
    if not arguments.plant:
        return bool(verdict.count)
    names = _names(arguments.plant)
    missed = [name for name in names if not planted.is_found(name, verdict)]
    print(f"planted: {len(names)}, not found: {', '.join(missed) or 'none'}")
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main())
