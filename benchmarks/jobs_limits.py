"""What limits cost: jobs without work under none, one, or several of them, in turns.

python benchmarks/jobs_limits.py [--jobs 5000] [--rounds 5] [--only postgresql,sqlite] [--quick]

Each kind has a queue of its own in one database, ten keys and one worker of 16. The limits are far
above what is done, so they cost what they cost and hold up nothing. PostgreSQL is the one that
`make services` started.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

from database_admin import new_database
from timing import machine, table

from holdfast import open_store
from holdfast.jobs import JOB_ENTITIES, EnqueueOptions, Jobs, Limit, NewJob, Worker, WorkerOptions
from jobs import ServerCPU

sys.path.insert(0, str(Path(__file__).parent.parent))

from tools.services.endpoints import endpoints

MANY = 1_000_000
KEYS = 10
KINDS = {
    "none": None,
    "concurrency": {"concurrency": MANY},
    "rate": {"rate": MANY},
    "key_concurrency": {"key_concurrency": MANY},
    "key_rate": {"key_rate": MANY},
    "all four": {
        "concurrency": MANY, "rate": MANY, "key_concurrency": MANY, "key_rate": MANY,
    },
}  # fmt: skip
TEXT = """\
### {backend}

Jobs without work, {jobs:,} in a round, ten keys, 16 at once in one worker; medians of {rounds}
rounds, in which the kinds took turns. CPU in us a job: *here* of the worker's process, *there* of
PostgreSQL's backends. Measured on {machine}.
"""


async def done(jobs, queue, count, url):
    """Return jobs a second, and CPU seconds a job here and there."""
    enough, seen = asyncio.Event(), 0

    async def noop(_context):
        nonlocal seen
        seen += 1
        if seen == count:
            enough.set()

    options = [EnqueueOptions(queue=queue, limit_key=f"key {n}") for n in range(KEYS)]
    for start in range(0, count, 1_000):
        few = range(start, min(count, start + 1_000))
        await jobs.enqueue_many([NewJob("noop", options=options[n % KEYS]) for n in few])
    server = ServerCPU(url) if url.startswith("postgresql") else None
    if server is not None:
        server.start()
    working = WorkerOptions(queues=(queue,), concurrency=16)
    worker = Worker(jobs, {"noop": noop}, options=working)
    cpu, wall = time.process_time(), time.perf_counter()
    running = asyncio.create_task(worker.run())
    await enough.wait()
    worker.stop()
    await running
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    there = 0.0 if server is None else await asyncio.to_thread(server.seconds)
    return count / wall, cpu / count, there / count


async def measured(url, count, rounds):
    """Return, by kind, the figures of each round."""
    found = {kind: [] for kind in KINDS}
    async with open_store(url, JOB_ENTITIES) as store:
        await store.create_schema()
        jobs = Jobs(store)
        for number, limit in enumerate(KINDS.values()):
            if limit is not None:
                await jobs.limits.set(Limit(queue=f"q{number}", **limit))
            await done(jobs, f"q{number}", count // 5, url)  # what is prepared at first use
        kinds = list(enumerate(KINDS))
        for turn in range(rounds):
            at = turn % len(kinds)
            for number, kind in kinds[at:] + kinds[:at]:
                found[kind].append(await done(jobs, f"q{number}", count, url))
    return found


@contextmanager
def place(backend):
    """Yield the URL of an empty database."""
    if backend == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            yield f"sqlite:///{folder}/jobs.db"
        return
    with new_database(endpoints()[backend].url) as url:
        yield url


def row(kind, rounds, none):
    """Return a line of the table; what is beside *none* is a median over the rounds' pairs."""
    rate, here, there = (statistics.median(each) for each in zip(*rounds, strict=True))
    pairs = list(zip(rounds, none, strict=True))
    rates = statistics.median(each[0] / other[0] for each, other in pairs)
    cpus = statistics.median((each[1] + each[2]) / (other[1] + other[2]) for each, other in pairs)
    line = [kind, f"{rate:,.0f}", f"{here * 1e6:.0f}", f"{there * 1e6:.0f}"]
    return line + (["", ""] if kind == "none" else [f"{rates:.0%}", f"{cpus - 1:+.0%}"])


async def compared(asked):
    print("## Limits of jobs\n")
    count, rounds = (500, 1) if asked.quick else (asked.jobs, asked.rounds)
    for backend in asked.only.split(","):
        with place(backend) as url:
            found = await measured(url, count, rounds)
        print(TEXT.format(backend=backend, jobs=count, rounds=rounds, machine=machine()))
        head = ["limit", "done /s", "CPU here", "CPU there", "of the rate without", "CPU beside it"]
        print(table(head, [row(kind, each, found["none"]) for kind, each in found.items()]))
        print()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="postgresql,sqlite")
    parser.add_argument("--quick", action="store_true")
    asyncio.run(compared(parser.parse_args()))


if __name__ == "__main__":
    main()
