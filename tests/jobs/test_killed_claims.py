"""A worker may die, or sleep past its lease, at each write of plain claims and ends."""

import asyncio
import signal
from datetime import timedelta
from pathlib import Path

import pytest

import preloaded
from holdfast import open_store
from holdfast.clock import utc_now
from holdfast.jobs import JOB_ENTITIES, Jobs, JobStatus
from jobs.killed_claimer import start, work
from jobs.killed_moments import backends, place_on, spread

pytestmark = pytest.mark.anyio
PROGRAM = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from jobs.killed_claimer import main
main(*sys.argv[1:])
"""


@pytest.fixture(params=backends("postgresql"))
def url(request, tmp_path):
    with place_on(request.param, tmp_path) as url:
        yield url


def later():
    """The clock of whoever comes when all leases are over."""
    return utc_now() + timedelta(minutes=5)


async def work_off(url, ids):
    """Do what is left, as a worker that comes later; return the jobs, each at its one end."""
    async with open_store(url, JOB_ENTITIES, clock=later) as store:
        jobs = Jobs(store)
        async with asyncio.timeout(120):
            # A server holds the locks of who was killed until it notices; they are passed over.
            while await jobs.count() != len(await ended(jobs, ids)):
                assert await work(jobs, "later") == 0
                await asyncio.sleep(0.02)
        return await ended(jobs, ids)


async def ended(jobs, ids):
    found = [await jobs.get_one(each) for each in ids]
    return [job for job in found if job.status is JobStatus.SUCCEEDED and job.lease is None]


async def test_jobs_of_a_worker_that_is_killed_at_any_write_end_once(url):
    async for moment, ids in spread(url, JOB_ENTITIES, PROGRAM, signal.SIGKILL, start):
        process = preloaded.start(PROGRAM, url, signal.SIGKILL.value, moment)
        _, said = await asyncio.to_thread(process.communicate, 120)
        assert process.returncode == -signal.SIGKILL, (moment, said)
        done = await work_off(url, ids)
        # Who was killed used up one attempt at the two jobs that it held, and none at the others.
        assert sum(job.attempts - 1 for job in done) <= 2, moment


async def test_a_worker_that_goes_on_past_its_lease_is_refused_at_any_write(url):
    async for moment, ids in spread(url, JOB_ENTITIES, PROGRAM, signal.SIGSTOP, start):
        process = preloaded.start(PROGRAM, url, signal.SIGSTOP.value, moment)
        assert await asyncio.to_thread(process.stdout.read, 3) == b"at\n", moment
        done = await work_off(url, ids)
        process.send_signal(signal.SIGCONT)
        said, wrong = await asyncio.to_thread(process.communicate, 120)
        assert process.returncode == 0, (moment, wrong)
        held = sum(job.attempts - 1 for job in done)
        assert int(said.split()[1]) >= held, (moment, said)
        async with open_store(url, JOB_ENTITIES) as store:
            assert await ended(Jobs(store), ids) == done, moment
