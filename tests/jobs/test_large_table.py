"""What claims, ends and looks read does not grow with the jobs that ended or are for later."""

import asyncio
from contextlib import ExitStack
from datetime import timedelta

import pytest
from tools.services.mariadb import MARIADB
from tools.services.mysql import MYSQL
from tools.services.postgresql import POSTGRESQL

from holdfast import open_store
from holdfast.jobs import JOB_ENTITIES, Job, Jobs, JobStatus, NewJob
from records.sql.own_server import OwnServer
from servers import database_on, execute

pytestmark = pytest.mark.anyio
COUNT = 16_000  # with a few thousand, PostgreSQL may find it cheaper to read the whole table
BATCH = 20
LEASE = timedelta(minutes=1)

STATISTICS = {
    "postgresql": "VACUUM ANALYZE jobs",
    "mariadb": "ANALYZE TABLE jobs",
    "mysql": "ANALYZE TABLE jobs",
}
READ = (
    "SELECT (SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'jobs')"
    " + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relname = 'jobs')"
)
"""Rows of the table, and entries of its indexes, that statements have read."""


def filled(clock):
    """Return jobs of ten queues: half of them succeeded, a tenth failed, the rest is for later."""
    for number in range(COUNT):
        status = JobStatus.SUCCEEDED if number % 2 else JobStatus.QUEUED
        status = JobStatus.FAILED if number % 10 == 0 else status
        over = status is not JobStatus.QUEUED
        yield Job(
            queue=f"q{number % 7}",
            task="t",
            status=status,
            max_attempts=3,
            run_at=clock.time if over else clock.time + timedelta(days=9),
            finished_at=clock.time if over else None,
        )


async def work(jobs, clock):
    """Claim jobs, lose the leases of some, take them back, and end all; look when there is none."""
    await jobs.enqueue_many([NewJob("t")] * BATCH)
    assert len(await jobs.claim_many("lost", BATCH, lease=LEASE)) == BATCH
    clock.forward(minutes=2)
    claims = await jobs.claim_many("w", BATCH, lease=LEASE)
    assert len(claims) == BATCH
    assert set(await jobs.complete_many([(claim, None) for claim in claims])) == {None}
    assert await jobs.claim_many("w", BATCH) == []


@pytest.fixture(params=[POSTGRESQL, MARIADB, MYSQL], ids=lambda each: each.name)
def server(request):
    """The URL of a database whose figures are the test's own: by server, not by table, on MySQL."""
    with ExitStack() as stack:
        if request.param is POSTGRESQL:
            yield stack.enter_context(database_on("postgresql"))
        else:
            yield stack.enter_context(OwnServer(request.param)).url


async def test_a_claim_reads_as_much_whatever_ended_or_is_for_later(server, clock):
    async with open_store(server, JOB_ENTITIES, clock=clock) as store:
        backend = store.backend
        await store.create_schema()
        jobs = list(filled(clock))
        for start in range(0, COUNT, 1_000):
            await store.repository(Job).add_many(jobs[start : start + 1_000])
    execute(server, STATISTICS[backend])
    before = await rows_read(backend, server)
    async with open_store(server, JOB_ENTITIES, clock=clock) as store:
        await work(Jobs(store, chance=lambda: 0.0), clock)
    read = await rows_read(backend, server) - before
    # Each of the jobs is read some times: claimed, taken back, claimed and ended.
    assert 0 < read < BATCH * 50 < COUNT // 10


async def rows_read(backend, url):
    """Return what was read so far: PostgreSQL's sessions tell it when they end."""
    if backend != "postgresql":
        name = "Innodb_rows_read" if backend == "mysql" else "Rows_read"
        ((_, found),) = execute(url, f"SHOW GLOBAL STATUS LIKE '{name}'")
        return int(found)
    others = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
    )
    async with asyncio.timeout(60):
        while execute(url, others) != [(0,)]:  # noqa: ASYNC110 - the server tells nobody
            await asyncio.sleep(0.05)
    ((found,),) = execute(url, READ)
    return int(found)
