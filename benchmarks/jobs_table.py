"""What the verbs of the queue cost with a thousand jobs in the table, and with a million.

python benchmarks/jobs_table.py [--jobs 1000000] [--only postgresql,sqlite] [--quick] [--rows]

Half of the jobs succeeded, a twentieth failed, the rest is for later, over ten queues. They are
written by SQL: copies of a few that were enqueued. Each figure is the quickest of some calls, in a
database of its own. Servers are those that `make services` started. With --rows it is not the
time that is told, but how many rows MariaDB and MySQL say they read: each runs a server of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from timing import machine, table

from holdfast import open_store
from holdfast.jobs import JOB_ENTITIES, EnqueueOptions, Job, Jobs, JobStatus, NewJob

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
sys.path.insert(0, str(Path(__file__).parent.parent / "tests/records/sql"))

from own_server import OwnServer
from tools.services.mariadb import MARIADB
from tools.services.mysql import MYSQL

from servers import database_on, execute

BACKENDS = ("sqlite", "postgresql", "mariadb", "mysql")
FEW = 1_000
CALLS = 7
TEXT = """\
## Jobs in a large table

One call, in ms: the quickest of {calls}, with {few:,} jobs in the table and with {many:,}. Half of
them succeeded, a twentieth failed, the rest is for later, over ten queues. *Claim* and *end* are of
20 jobs, *take back* of 20 whose leases ran out, and *empty* is a claim when none can be claimed,
with its look for jobs that are due or lost.
Measured on {machine}.
"""


ROWS_TEXT = """\
Rows that the server read for one call (all `Handler_read_%` of a server that nobody else uses),
the median of {calls}, with {few:,} jobs in the table and with {many:,}.
"""
QUICKLY = ("--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=2G", "--skip-log-bin")


@contextmanager
def place(backend, folder, *, own=False):
    if own:
        with OwnServer({"mariadb": MARIADB, "mysql": MYSQL}[backend], *QUICKLY) as server:
            yield server.url
    elif backend == "sqlite":
        yield f"sqlite:///{folder}/jobs.db"
    else:
        with database_on(backend) as url:
            yield url


NEW_ID = {
    "sqlite": "lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || "
    "substr(hex(randomblob(2)), 2) || '-a' || substr(hex(randomblob(2)), 2) || '-' || "
    "hex(randomblob(6)))",
    "postgresql": "gen_random_uuid()",
    "mariadb": "UNHEX(REPLACE(UUID(), '-', ''))",
    "mysql": "UUID_TO_BIN(UUID())",
}
KNOWN = {
    "sqlite": ("ANALYZE", "PRAGMA wal_checkpoint(TRUNCATE)"),
    "postgresql": ("VACUUM ANALYZE jobs",),
    "mariadb": ("ANALYZE TABLE jobs",),
    "mysql": ("ANALYZE TABLE jobs",),
}


def fill(url, backend, count):
    """Copy jobs of the table until there are *count*, and let the database look at them."""
    if backend == "sqlite":
        found = execute(url, "SELECT name FROM pragma_table_info('jobs')")
    else:
        here = "current_schema()" if backend == "postgresql" else "DATABASE()"
        found = execute(
            url,
            "SELECT column_name FROM information_schema.columns "
            f"WHERE table_name = 'jobs' AND table_schema = {here}",
        )
    others = ", ".join(name for (name,) in found if name != "id")
    ((there,),) = execute(url, "SELECT COUNT(*) FROM jobs")
    while there < count:
        more = min(there, count - there, 50_000)
        execute(
            url,
            f"INSERT INTO jobs (id, {others}) "
            f"SELECT {NEW_ID[backend]}, {others} FROM jobs ORDER BY id LIMIT {more}",
        )
        there += more
    ((there,),) = execute(url, "SELECT COUNT(*) FROM jobs")
    assert there == count
    execute(url, *KNOWN[backend])


async def seed(jobs):
    """Put in 200 jobs: half of them end, some fail, the others are for later."""
    for number in range(10):
        name = f"q{number}"
        await jobs.enqueue_many([NewJob("t", options=EnqueueOptions(queue=name))] * 11)
        claims = await jobs.claim_many("w", 11, queues=(name,))
        await jobs.complete_many([(claim, None) for claim in claims[1:]])
        await jobs.fail(claims[0], "broken", retry=False)
        later = EnqueueOptions(queue=name, delay=timedelta(days=9), priority=number % 3)
        await jobs.enqueue_many([NewJob("t", options=later)] * 9)


async def costs(jobs):
    """Return the quickest of some calls of each kind, in ms, by its name."""
    found = {}

    async def timed(name, call):
        start = time.perf_counter()
        answer = await call()
        took = (time.perf_counter() - start) * 1_000
        found[name] = min(took, found.get(name, took))
        return answer

    failed = (Job.status == JobStatus.FAILED) & (Job.queue == "q1")
    for _ in range(CALLS):
        await timed("enqueue", lambda: jobs.enqueue_many([NewJob("t")] * 20))
        await jobs.claim_ready("w", 20, lease=timedelta(milliseconds=1))
        await asyncio.sleep(0.01)
        await timed("take back", jobs.make_ready)
        claims = await timed("claim", lambda: jobs.claim_ready("w", 20))
        assert len(claims) == 20
        ends = [(claim, None) for claim in claims]
        await timed("end", lambda ends=ends: jobs.complete_many(ends))
        await timed("empty", lambda: jobs.claim_many("w", 20))
        await timed("list failed", lambda: jobs.list(status=JobStatus.FAILED))
        await timed(
            "list failed of a queue", lambda: jobs.list(status=JobStatus.FAILED, queue="q1")
        )
        await timed("count failed of a queue", lambda: jobs.count(failed))
        await timed("statistics, live", lambda: jobs.statistics(finished=False))
        await timed("statistics, all", jobs.statistics)
    return found


async def rows_of_verbs(jobs, url):
    """Return how many rows the server reads for a call of each kind, the median of some."""
    found = {}

    def read():
        return sum(int(n) for _, n in execute(url, "SHOW GLOBAL STATUS LIKE 'Handler_read%'"))

    async def counted(name, call):
        before = await asyncio.to_thread(read)
        itself = await asyncio.to_thread(read) - before
        answer = await call()
        after = await asyncio.to_thread(read)
        found.setdefault(name, []).append(after - before - 2 * itself)
        return answer

    for _ in range(CALLS):
        await counted("enqueue", lambda: jobs.enqueue_many([NewJob("t")] * 20))
        await jobs.claim_ready("w", 20, lease=timedelta(milliseconds=1))
        await asyncio.sleep(0.01)
        await counted("take back", jobs.make_ready)
        claims = await counted("claim", lambda: jobs.claim_ready("w", 20))
        assert len(claims) == 20
        ends = [(claim, {"at": at}) for at, claim in enumerate(claims)]
        await counted("end", lambda ends=ends: jobs.complete_many(ends))
        await counted("empty", lambda: jobs.claim_many("w", 20))
    return {name: float(statistics.median(each)) for name, each in found.items()}


async def measured(url, backend, many, *, rows=False):
    """Return the costs with few jobs and with many; *rows*: those that are read."""
    async with open_store(url, JOB_ENTITIES) as store:
        await store.create_schema()
        jobs = Jobs(store)
        await seed(jobs)
        await asyncio.to_thread(fill, url, backend, FEW)
        few = await (rows_of_verbs(jobs, url) if rows else costs(jobs))
        await asyncio.to_thread(fill, url, backend, many)
        return few, await (rows_of_verbs(jobs, url) if rows else costs(jobs))


async def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1_000_000)
    parser.add_argument("--only", default=",".join(BACKENDS))
    parser.add_argument("--rows", action="store_true", help="rows read, of mariadb and mysql")
    parser.add_argument("--quick", action="store_true", help="a hundredth of the jobs")
    asked = parser.parse_args()
    many = asked.jobs // 100 if asked.quick else asked.jobs
    text = ROWS_TEXT if asked.rows else TEXT
    print(text.format(calls=CALLS, few=FEW, many=many, machine=machine()))
    by_backend = {}
    for backend in asked.only.split(","):
        with tempfile.TemporaryDirectory() as folder, place(backend, folder, own=asked.rows) as url:
            by_backend[backend] = await measured(url, backend, many, rows=asked.rows)
        print(backend, by_backend[backend], file=sys.stderr, flush=True)
    names = list(next(iter(by_backend.values()))[0])
    rows = [
        [name, *(f"{few[name]:,.1f} / {large[name]:,.1f}" for few, large in by_backend.values())]
        for name in names
    ]
    print(table(["", *by_backend], rows))


asyncio.run(main())
