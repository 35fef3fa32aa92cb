"""Workflows that no transaction of DynamoDB holds: all of their jobs are there, or none lives."""

import asyncio
from contextvars import Context
from datetime import timedelta
from uuid import uuid4

import pytest

from dynamodb_servers import store_url
from holdfast import open_store
from holdfast.errors import DuplicateError, LeaseLostError, NotFoundError, UnsupportedError
from holdfast.jobs import (
    JOB_ENTITIES,
    EnqueueOptions,
    Job,
    Jobs,
    JobStatus,
    NewJob,
    OnFailure,
    Workflow,
    Workflows,
)
from holdfast.jobs.workflows.gated_start import GatedStart
from holdfast.jobs.workflows.job_dependency import JobDependency
from holdfast.jobs.workflows.workflow_gate import is_gate

pytestmark = pytest.mark.anyio
WIDTH = 25


class _Killed(BaseException):
    """What no code of the store catches, as a process that is gone."""


@pytest.fixture(scope="module")
def place():
    return store_url("dynoxide", f"gate{uuid4().hex[:8]}", scan=True)


@pytest.fixture
async def store(place, clock):
    async with open_store(place, JOB_ENTITIES, clock=clock) as store:
        await store.create_schema()
        yield store
        await store.drop_schema()


def film():
    """Return a workflow of three transactions: a job, two layers behind it, and one behind all."""
    flow = Workflow("film")
    first = flow.job("work", name="first")
    parts = [flow.job("work", name="part", after=[first]) for _ in range(WIDTH)]
    for part in parts:
        flow.job("work", name="review", after=[part], if_failed=OnFailure.WAIT)
    flow.then("work", name="last")
    return flow


async def work_off(jobs):
    """Do all jobs that can be done, and return how many there were of each name, in order."""
    done = {}
    while claims := await jobs.claim_many("w", 50):
        for claim, refused in zip(
            claims, await jobs.complete_many([(claim, None) for claim in claims]), strict=True
        ):
            assert refused is None
            done[claim.job.name] = done.get(claim.job.name, 0) + 1
    return done


async def all_ended(jobs):
    """Let what nobody goes on with be ended by whoever claims next, and return what came of it."""
    while await jobs.claim_many("w", 50):
        raise AssertionError("a job of a workflow that never started was claimed")
    while await jobs.release_waiting():
        pass
    return {job.status for job in await jobs.store.repository(Job).find()}


async def test_more_jobs_than_a_transaction_holds_start_as_one_and_the_last_behind_all_others(
    store, clock
):
    jobs = Jobs(store)
    flows = Workflows(jobs)
    flow = Workflow("batch")
    for _ in range(119):
        flow.job("work", name="part")
    flow.then("work", name="last")
    run = await flows.start(flow)
    assert run.size == 120
    done = await work_off(jobs)
    assert done == {"part": 119, "last": 1}
    assert list(done)[-1] == "last"
    assert (await flows.status(run.id)).succeeded
    members = await flows.jobs(run.id)
    assert not any(is_gate(link.on_id) for link in await flows.links([job.id for job in members]))
    last = next(job for job in members if job.name == "last")
    assert len(await flows.awaited_by(last.id)) == 119
    clock.forward(seconds=1)  # the gate, and what led to it, goes with the next upkeep
    assert await jobs.purge_expired() == 1
    assert not any(is_gate(link.on_id) for link in await store.repository(JobDependency).find())


@pytest.mark.parametrize("pieces", [1, "all"])
async def test_a_start_that_was_killed_leaves_no_job_that_runs(store, clock, monkeypatch, pieces):
    jobs = Jobs(store)
    write, opens = GatedStart._write, GatedStart._open
    written = 0

    async def until_killed(self, piece):
        nonlocal written
        if written == pieces:
            raise _Killed
        await write(self, piece)
        written += 1

    async def never(self, size):
        await opens(self, size)
        raise _Killed  # in the transaction, which is not committed

    monkeypatch.setattr(GatedStart, "_write", until_killed)
    monkeypatch.setattr(GatedStart, "_open", never)
    flow = film()
    with pytest.raises(_Killed):
        await Workflows(jobs).start(flow)
    assert await jobs.claim_many("w", 50) == []
    clock.forward(minutes=3)
    assert await all_ended(jobs) == {JobStatus.CANCELLED}
    with pytest.raises(NotFoundError):
        await Workflows(jobs).status(flow.id)
    clock.forward(seconds=1)
    await jobs.purge(timedelta(0))
    assert await store.repository(Job).count() == 0


async def test_a_start_that_is_refused_in_its_midst_is_undone_at_once(store):
    jobs = Jobs(store)
    taken = EnqueueOptions(unique_key="taken", delay=timedelta(days=1))
    other = (await jobs.enqueue("other", options=taken)).job
    flow = film()
    flow.add(NewJob("work", options=EnqueueOptions(unique_key="taken")), name="unique")
    with pytest.raises(DuplicateError) as refused:
        await Workflows(jobs).start(flow)
    assert refused.value.fields == ("unique_key",)
    await jobs.cancel(other.id)
    assert await all_ended(jobs) == {JobStatus.CANCELLED}


async def test_a_start_that_was_held_up_past_its_lease_writes_nothing_more(
    store, clock, monkeypatch
):
    jobs, write = Jobs(store), GatedStart._write
    written = 0

    async def held_up(self, piece):
        nonlocal written
        written += 1
        if written == 3:
            clock.forward(minutes=3)
            # Another worker's, and no part of the transaction around this.
            claiming = asyncio.create_task(jobs.claim_many("w", 50), context=Context())
            assert await claiming == []
        await write(self, piece)

    monkeypatch.setattr(GatedStart, "_write", held_up)
    with pytest.raises(LeaseLostError):
        await Workflows(jobs).start(film())
    assert written == 3
    assert await all_ended(jobs) == {JobStatus.CANCELLED}


async def test_within_a_transaction_it_is_refused_and_leaves_nothing(store):
    with pytest.raises(UnsupportedError):
        async with store.transaction():
            await Workflows(Jobs(store)).start(film())
    assert await store.repository(Job).count() == 0
