"""The queue on PostgreSQL while somebody holds a transaction open, so that nothing is vacuumed.

python benchmarks/jobs_endurance.py [--jobs 1440000] [--quick]

Two databases of one server: both do the same jobs, and one of them has a snapshot from before the
first. At some points on the way a worker's rate is measured on both in turns. What the jobs between
leave, three versions of each row, is written by SQL, 10,000 at once: so what 30 minutes of 800 jobs
a second leave takes some minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import time
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import asyncpg
from database_admin import new_database
from timing import machine, table

from holdfast import open_store
from holdfast.jobs import JOB_ENTITIES, Jobs, NewJob, Worker, WorkerOptions
from holdfast.jobs.claim_floors import SearchPace

sys.path.insert(0, str(Path(__file__).parent.parent))

from tools.services.endpoints import endpoints

WHOLE = 1_440_000  # 30 minutes of 800 jobs a second
AT_ONCE = 10_000
PARTS = (0, 1 / 4, 1)
WANTED = 0.95
# What a job is before its claim, made of one that is done, and what claims and ends change of it.
NEW = {
    "id": "gen_random_uuid()",
    "status": "'queued'",
    "lane": "'default'",
    "run_at": "clock_timestamp()",
    "created_at": "clock_timestamp()",
    "attempts": "0",
    "lease": "NULL",
    "started_at": "NULL",
    "finished_at": "NULL",
}
CLAIM = """
UPDATE jobs SET status = 'running', lane = '', attempts = 1, lease = gen_random_uuid(),
    leased_until = clock_timestamp() + interval '60 seconds', started_at = clock_timestamp(),
    updated_at = clock_timestamp(), version = version + 1
WHERE lane = 'default'
"""
END = """
UPDATE jobs SET status = 'succeeded', lease = NULL, leased_until = NULL,
    finished_at = clock_timestamp(), updated_at = clock_timestamp(), version = version + 1
WHERE status = 'running'
"""
TEXT = """\
## Jobs while a transaction is held open

PostgreSQL, two databases; in one of them a transaction has a snapshot from before the first job,
so no row version that ends can be removed. *Done* is what a worker of 16 does while jobs are put
in; CPU is that of the database's processes and the worker's, and the ratio is of it: a median of
pairs, one right after the other. *Dead* are row versions there that nothing but the old snapshot
could see. *Look from the start* is one claim that goes by no position from before. Measured on
{machine}.
"""


class Side:
    """The jobs of one database."""

    def __init__(self, jobs, watcher):
        self.jobs = jobs
        self.watcher = watcher
        self.left = 0
        self.enough = asyncio.Event()

    async def fill(self, count):
        """Leave what *count* jobs leave that were put in, claimed and ended, by SQL alone."""
        columns = await self.watcher.fetch(
            "SELECT column_name::text FROM information_schema.columns WHERE table_name = 'jobs'"
        )
        names = [name for (name,) in columns]
        values = ", ".join(NEW.get(name, f"done.{name}") for name in names)
        for start in range(0, count, AT_ONCE):
            many = min(AT_ONCE, count - start)
            async with self.watcher.transaction():
                await self.watcher.execute(
                    f"INSERT INTO jobs ({', '.join(names)}) SELECT {values} FROM "
                    "generate_series(1, $1::int) AS n, (SELECT * FROM jobs LIMIT 1) AS done",
                    many,
                )
                await self.watcher.execute(CLAIM)
                await self.watcher.execute(END)

    @asynccontextmanager
    async def working(self):
        """Run one worker of 16 all the while: it remembers what it has seen."""
        worker = Worker(self.jobs, {"noop": self._noop}, options=WorkerOptions(concurrency=16))
        running = asyncio.create_task(worker.run())
        try:
            yield
        finally:
            worker.stop()
            await running

    async def _noop(self, _context):
        self.left -= 1
        if self.left == 0:
            self.enough.set()

    async def rate(self, count):
        """Return how many jobs a second are done that are put in meanwhile, 200 at once, and the
        CPU of a job in us: of the database's processes and this one."""
        self.left, self.enough = count, asyncio.Event()
        start, cpu = time.perf_counter(), await self._cpu()
        for _ in range(count // 200):
            await self.jobs.enqueue_many([NewJob("noop") for _ in range(200)])
        await self.enough.wait()
        took = time.perf_counter() - start
        return count / took, (await self._cpu() - cpu) / count * 1e6

    async def _cpu(self):
        """Return the CPU seconds so far of this process and of those that serve the database."""
        rows = await self.watcher.fetch(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
            "AND backend_type = 'client backend'"
        )
        ticks = 0
        for (pid,) in rows:
            ticks += ticks_of(pid)
        return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")

    async def look(self):
        """Return the milliseconds of a claim from the start of an empty queue."""
        start = time.perf_counter()
        await self.jobs.claim_many("looker", 1)
        return (time.perf_counter() - start) * 1_000

    async def sizes(self):
        """Return dead row versions and the MiB of the table with its indexes."""
        await self.watcher.execute("SELECT pg_stat_force_next_flush()")
        dead = await self.watcher.fetchval(
            "SELECT n_dead_tup FROM pg_stat_user_tables WHERE relname = 'jobs'"
        )
        size = await self.watcher.fetchval("SELECT pg_total_relation_size('jobs')")
        return dead, size >> 20


def ticks_of(pid):
    """Return the CPU of a process so far, in ticks of the system's clock."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


@asynccontextmanager
async def side(server, *, held):
    """Yield the jobs of a new database, *held*: with a snapshot from before the first."""
    async with AsyncExitStack() as stack:
        url = stack.enter_context(new_database(server))
        store = await stack.enter_async_context(open_store(url, JOB_ENTITIES))
        await store.create_schema()
        watcher = await asyncpg.connect(url)
        stack.push_async_callback(watcher.close)
        if held:
            holder = await asyncpg.connect(url)
            stack.push_async_callback(holder.close)
            await holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1")
        yield Side(Jobs(store), watcher)


async def measured(server, count, *, each, rounds):
    """Measure at each part of *count* jobs; yield the ratio of CPU and the row of the table."""
    async with AsyncExitStack() as stack:
        free = await stack.enter_async_context(side(server, held=False))
        held = await stack.enter_async_context(side(server, held=True))
        for one in (free, held):
            await stack.enter_async_context(one.working())
            await one.rate(each)  # what is prepared at first use
        done = 0
        for part in PARTS:
            for one in (free, held):
                await one.fill(int(part * count) - done)
                await one.rate(each)
            done = int(part * count)
            pairs = []
            for number in range(rounds):
                order = (free, held) if number % 2 else (held, free)
                found = {one: await one.rate(each) for one in order}
                pairs.append((*found[free], *found[held]))
            rate, cpu, held_rate, held_cpu = (
                statistics.median(each) for each in zip(*pairs, strict=True)
            )
            ratio = statistics.median(without / there for _, without, _, there in pairs)
            dead, size = await held.sizes()
            yield ratio, [
                f"{done:,}", f"{dead:,}", f"{size:,}", f"{rate:,.0f}", f"{held_rate:,.0f}",
                f"{cpu:,.0f}", f"{held_cpu:,.0f}", f"{ratio:.0%}", f"{await held.look():,.0f}",
            ]  # fmt: skip


async def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=WHOLE)
    parser.add_argument("--from-start", action="store_true", help="a worker that keeps no floors")
    parser.add_argument("--quick", action="store_true", help="a fiftieth of the jobs")
    parser.add_argument("--each", type=int, default=4_000, help="jobs by which a rate is measured")
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    if asked.from_start:
        SearchPace.whole = lambda _: True
    found = endpoints().get("postgresql")
    if found is None:
        sys.exit("PostgreSQL does not run: make services")
    count = asked.jobs // 50 if asked.quick else asked.jobs
    print(TEXT.format(machine=machine()))
    rows, ratios = [], []
    async for ratio, row in measured(found.url, count, each=asked.each, rounds=asked.rounds):
        print(" ".join(row), file=sys.stderr, flush=True)
        rows.append(row)
        ratios.append(ratio)
    heads = [
        "jobs before", "dead", "MiB", "done /s", "held open, /s", "CPU us a job", "held open, us",
        "ratio", "look from the start, ms",
    ]  # fmt: skip
    print(table(heads, rows))
    print(f"\nOf its rate with the transaction held open: {ratios[-1]:.0%} (asked: {WANTED:.0%})\n")


asyncio.run(main())
