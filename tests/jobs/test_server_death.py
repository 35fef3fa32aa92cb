"""The database's server is killed and comes back while jobs are put in and done."""

import asyncio
import contextlib
from collections import Counter
from datetime import timedelta

import pytest
from tools.services.postgresql import POSTGRESQL

from holdfast import open_store
from holdfast.errors import UnavailableError
from holdfast.jobs import JOB_ENTITIES, Jobs, JobStatus, Worker, WorkerOptions
from records.sql.own_server import OwnServer

pytestmark = pytest.mark.anyio
COUNT = 120
OPTIONS = WorkerOptions(concurrency=4, lease=timedelta(seconds=3))


class UndoneError(Exception):
    """Ends a transaction that is to be undone."""


async def test_no_job_is_lost_and_none_that_was_undone_runs_when_the_server_is_killed():
    done = Counter()
    with OwnServer(POSTGRESQL) as server:
        async with open_store(server.url, JOB_ENTITIES) as store:
            await store.create_schema()
            jobs = Jobs(store)

            async def handle(context):
                done[context.payload["n"]] += 1

            worker = Worker(jobs, {"t": handle}, options=OPTIONS)
            async with asyncio.timeout(240):
                running = asyncio.create_task(worker.run())
                ids = await feed(jobs, server, done)
                while {job.status for job in await read(jobs, ids)} != {JobStatus.SUCCEEDED}:  # noqa: ASYNC110 - as above
                    await asyncio.sleep(0.1)
                worker.stop()
                await running
            assert {n for n in done if n < 0} == set()
            assert set(ids) <= set(done)
            for job in await read(jobs, ids):
                assert job.attempts >= done[job.payload["n"]] >= 1


async def feed(jobs, server, done):
    """Put in jobs, kill the server half-way; return the ids that it acknowledged, by number."""
    ids = {}
    for n in range(1, COUNT + 1):
        if n == COUNT // 2:
            while not done:  # noqa: ASYNC110 - a handler counts, and tells nobody
                await asyncio.sleep(0.01)
            server.kill()
            await asyncio.to_thread(server.start)
        try:
            with contextlib.suppress(UndoneError):
                await put_in_and_undone(jobs, -n)
            ids[n] = (await jobs.enqueue("t", {"n": n})).job.id
        except UnavailableError:
            continue  # and so it is not known whether this one was put in
    return ids


async def put_in_and_undone(jobs, n):
    async with jobs.store.transaction():
        await jobs.enqueue("t", {"n": n})
        raise UndoneError


async def read(jobs, ids):
    while True:
        try:
            return [await jobs.get_one(each) for each in ids.values()]
        except UnavailableError:
            await asyncio.sleep(0.1)
