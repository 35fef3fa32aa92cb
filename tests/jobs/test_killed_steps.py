"""A worker may die, or sleep past its lease, at any moment of steps, waits and workflows."""

import asyncio
import signal
from datetime import timedelta
from pathlib import Path

import pytest

import preloaded
from holdfast import open_store
from holdfast.clock import utc_now
from holdfast.jobs import Jobs, JobStatus, Worker, Workflows
from jobs.killed_moments import backends, place_on, spread
from jobs.killed_worker import ENTITIES, Mark, handlers, start

pytestmark = pytest.mark.anyio
PROGRAM = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from jobs.killed_worker import main
main(*sys.argv[1:])
"""


@pytest.fixture(params=backends("sqlite", "postgresql"))
def url(request, tmp_path):
    with place_on(request.param, tmp_path) as url:
        yield url


def later():
    """The clock of whoever comes when all leases are over."""
    return utc_now() + timedelta(minutes=5)


async def work_off(url, run):
    """Do what is left, as a worker that comes later; check that all came to its one end."""
    async with open_store(url, ENTITIES, clock=later) as store:
        jobs = Jobs(store)
        async with asyncio.timeout(120):
            # A server holds the locks of who was killed until it notices; they are passed over.
            while not (await Workflows(jobs).status(run.id)).finished:
                await Worker(jobs, handlers(jobs)).run(until="idle")
        return await ends(store, run)


async def ends(store, run):
    jobs, flows = Jobs(store), Workflows(Jobs(store))
    found = {job.name: job for job in await flows.jobs(run.id)}
    assert {job.status for job in found.values()} == {JobStatus.SUCCEEDED}
    assert found["first"].result == found["last"].result == ["marked", 1]
    steps = [step.label for step in await jobs.steps(found["first"].id)]
    assert steps == ["mark", "sleep", "wait for go"]
    assert len(await store.repository(Mark).find()) == 1
    assert {(job.pending, job.dependents, job.awaited) for job in found.values()} == {(0, 0, False)}
    return found


async def test_a_worker_is_killed_at_any_moment(url):
    killed = 0
    async for moment, run in spread(url, ENTITIES, PROGRAM, signal.SIGKILL, start):
        process = preloaded.start(PROGRAM, url, signal.SIGKILL.value, moment)
        _, said = await asyncio.to_thread(process.communicate, 120)
        # A quicker run than the one that was counted looks for work less often: it may be over.
        assert process.returncode in (-signal.SIGKILL, 0), (moment, said)
        killed += process.returncode != 0
        await work_off(url, run)
    assert killed


async def test_a_worker_that_stopped_at_any_moment_and_goes_on_too_late_changes_nothing(url):
    stopped = 0
    async for moment, run in spread(url, ENTITIES, PROGRAM, signal.SIGSTOP, start):
        process = preloaded.start(PROGRAM, url, signal.SIGSTOP.value, moment)
        if await asyncio.to_thread(process.stdout.read, 3) != b"at\n":
            await asyncio.to_thread(process.communicate, 120)  # a quicker run, as above
            continue
        stopped += 1
        found = await work_off(url, run)
        process.send_signal(signal.SIGCONT)
        _, said = await asyncio.to_thread(process.communicate, 120)
        assert process.returncode == 0, (moment, said)
        async with open_store(url, ENTITIES) as store:
            now = await ends(store, run)
        # What a handler tells other jobs is no write of its own job: it may come once more.
        first, again = found["first"], now["first"].signals - found["first"].signals
        assert again in (0, 1), moment
        if again:
            first.signals, first.updated_at = now["first"].signals, now["first"].updated_at
            first.version += 1
        assert now == found, moment
    assert stopped
