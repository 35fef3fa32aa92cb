"""The database's server restarts, dies, or gives way to its standby, again and again in mid-run.

Jobs are put in and claimed all the while. What was acknowledged is there: each job that was put in
ends once in the record, and who was told of an end is the one who did it. What that takes of a
server is that it keeps what it acknowledged: PostgreSQL's commits wait for the standby here
(`synchronous_standby_names`), for without that a failover loses what had not reached it.
"""

import asyncio
import dataclasses
from collections import Counter
from contextlib import AsyncExitStack
from datetime import timedelta
from uuid import UUID

import pytest
from tools.services.dynamodb import DYNOXIDE
from tools.services.mariadb import MARIADB
from tools.services.mysql import MYSQL
from tools.services.postgresql import POSTGRESQL

from dynamodb_servers import endpoint_at, store_url_at
from holdfast import Entity, Field, key, open_store
from holdfast.errors import LeaseLostError, UnavailableError
from holdfast.jobs import JOB_ENTITIES, Job, Jobs, JobStatus
from holdfast.uuid7 import uuid7
from jobs.killed_moments import KILLS
from records.sql.own_server import OwnServer
from records.sql.standby import Standby, let_commits_wait, wait_until_followed
from servers import execute

pytestmark = pytest.mark.anyio
CLAIMERS = 4
BETWEEN = 12  # ends that are acknowledged between two faults
LEASE = timedelta(seconds=4)


def _plan_on_disk(site):
    """Plan dynoxide as it runs in memory, but with a file that outlives the process."""
    (launch,) = DYNOXIDE.plan(site)
    *command, _ = launch.command
    return (dataclasses.replace(launch, command=(*command, str(site.folder / "tables.db"))),)


ON_DISK = dataclasses.replace(DYNOXIDE, plan=_plan_on_disk)


class Done(Entity, table="done"):
    """Written with the end of a job, in one transaction: two of one job are two ends."""

    id: Field[UUID] = key(default_factory=uuid7)
    job_id: Field[UUID]
    by: Field[str]


ENTITIES = (Done, *JOB_ENTITIES)


class Run:
    """Callers and claimers of the store at *url*, and what they were told."""

    def __init__(self, url):
        self.url = url
        self.put_in = []
        self.ended = {}
        self.enough = self.over = False

    async def put_jobs_in(self):
        async with open_store(self.url, ENTITIES) as store:
            jobs = Jobs(store)
            while not self.enough:
                try:
                    self.put_in.append((await jobs.enqueue("t")).job.id)
                except UnavailableError:  # so it is not known whether this one was put in
                    await asyncio.sleep(0.05)
                await asyncio.sleep(0.005)

    async def claim(self, name):
        async with open_store(self.url, ENTITIES) as store:
            jobs, done = Jobs(store), store.repository(Done)
            while not self.over:
                try:
                    claims = await jobs.claim_many(name, 3, lease=LEASE)
                    for claim in claims:
                        async with store.transaction():
                            await done.add(Done(job_id=claim.job.id, by=name))
                            await jobs.complete(claim)
                        self.ended[claim.job.id] = name
                except (UnavailableError, LeaseLostError):
                    claims = []
                if not claims:
                    await asyncio.sleep(0.05)

    async def end_some(self):
        """Wait until more ends were acknowledged."""
        wanted = len(self.ended) + BETWEEN
        while len(self.ended) < wanted:  # noqa: ASYNC110 - claimers tell nobody
            await asyncio.sleep(0.02)

    async def end_all(self, jobs):
        """Put no more in, and wait until nothing is left to do."""
        self.enough = True
        while await jobs.count(Job.status != JobStatus.SUCCEEDED):  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.1)
        self.over = True


async def hurt(url, faults):
    """Let jobs be put in and claimed while *faults* come, and see that all is as it was told."""
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(url, ENTITIES))
        await store.create_schema()
        run, jobs = Run(url), Jobs(store)
        async with asyncio.timeout(120 + 60 * KILLS), asyncio.TaskGroup() as together:
            together.create_task(run.put_jobs_in())
            for number in range(CLAIMERS):
                together.create_task(run.claim(f"w{number}"))
            for fault in faults:
                await run.end_some()
                await asyncio.to_thread(fault)
            await run.end_some()
            await run.end_all(jobs)
    # By a new store: what this one has read before is of no matter.
    async with open_store(url, ENTITIES) as store:
        done = await store.repository(Done).find()
        stored = {job.id: job async for job in store.repository(Job).stream()}
    assert set(run.put_in) <= set(stored)
    assert {job.status for job in stored.values()} == {JobStatus.SUCCEEDED}
    assert Counter(each.job_id for each in done) == Counter(stored.keys())
    by = {each.job_id: each.by for each in done}
    assert {job_id: by[job_id] for job_id in run.ended} == run.ended


@pytest.mark.parametrize("server", [POSTGRESQL, MARIADB, MYSQL], ids=lambda each: each.name)
async def test_a_server_that_restarts_or_dies_in_mid_run_loses_no_job(server):
    with OwnServer(server) as own:

        def die():
            own.kill()
            own.start()

        await hurt(own.url, [die if each % 2 else own.restart for each in range(KILLS)])


async def test_an_emulator_of_dynamodb_that_restarts_or_dies_in_mid_run_loses_no_job():
    """It stands for the network and the client's part: the service itself does not restart."""
    with OwnServer(ON_DISK) as own:

        def die():
            own.kill()
            own.start()

        url = store_url_at(endpoint_at(own.url), "faults")
        await hurt(url, [die if each % 2 else own.restart for each in range(KILLS)])


async def test_a_server_that_fails_over_to_its_standby_in_mid_run_loses_no_job():
    pair = []

    def follow(port=None):
        """Give the primary a standby, for which its commits wait."""
        standby = Standby(pair[0], port=port)
        pair.append(standby.__enter__())
        wait_until_followed(pair[0])
        let_commits_wait(pair[0], "*")

    def fail_over():
        if len(pair) < 2:
            follow(gone.pop())
        primary = pair.pop(0)
        primary.kill()
        execute(pair[0].url, "SELECT pg_promote()")
        gone.append(primary.port)
        primary.__exit__()

    gone = []
    try:
        pair.append(OwnServer(POSTGRESQL).__enter__())
        follow()
        hosts = ",".join(f"127.0.0.1:{each.port}" for each in pair)
        url = f"postgresql://postgres@{hosts}/holdfast?target_session_attrs=read-write"
        await hurt(url, [fail_over] * max(1, KILLS // 2))
    finally:
        for each in pair:
            each.__exit__()
