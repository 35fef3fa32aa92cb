import asyncio
from datetime import timedelta

import pytest

from holdfast import open_store
from holdfast.errors import ConfigurationError
from holdfast.jobs import EnqueueOptions, Job, Jobs, JobStatus, NewJob, Uniqueness

pytestmark = pytest.mark.anyio
HOUR = timedelta(hours=1)


def unique(**how):
    return EnqueueOptions(unique=Uniqueness(**how))


async def made(jobs, payload=None, **how):
    return await jobs.enqueue("a", payload, options=unique(**how))


async def test_without_a_key_the_task_and_the_payload_are_it(every_jobs):
    first = await made(every_jobs, {"video": 1, "at": [1.5, None]})
    again = await made(every_jobs, {"at": [1.5, None], "video": 1})
    assert (again.created, again.job.id) == (False, first.job.id)
    assert (await made(every_jobs, {"video": 2})).created
    assert (await made(every_jobs, {"video": True})).created
    other = await every_jobs.enqueue("b", {"video": 2}, options=unique())
    assert other.created
    await every_jobs.complete(await every_jobs.claim("w"))
    assert (await made(every_jobs, {"video": 1, "at": [1.5, None]})).created


async def test_a_period_holds_the_key_beyond_the_end_and_not_longer(every_jobs, clock):
    first = await made(every_jobs, key="k", period=HOUR)
    await every_jobs.complete(await every_jobs.claim("w"))
    clock.forward(minutes=59)
    again = await made(every_jobs, key="k", period=HOUR)
    assert (again.created, again.job.id) == (False, first.job.id)
    clock.forward(minutes=1)
    second = await made(every_jobs, key="k", period=HOUR)
    assert second.created
    # One that failed does not stand for the work, unless that is said.
    await every_jobs.fail(await every_jobs.claim("w"), "no", retry=False)
    assert (await made(every_jobs, key="k", period=HOUR)).created


async def test_a_job_that_runs_may_let_the_next_one_in(every_jobs):
    waits = frozenset({JobStatus.WAITING, JobStatus.QUEUED})
    first = await made(every_jobs, key="k", states=waits)
    assert not (await made(every_jobs, key="k", states=waits)).created
    claim = await every_jobs.claim("w")
    second = await made(every_jobs, key="k", states=waits)
    assert second.created
    assert (await made(every_jobs, key="k", states=waits)).job.id == second.job.id
    await every_jobs.complete(claim)
    assert (await every_jobs.get(first.job.id)).status is JobStatus.SUCCEEDED


async def test_of_many_batches_at_once_one_makes_each(every_live_store):
    jobs = Jobs(every_live_store)
    for _ in range(2):  # the first time keys are free, the second they are taken over
        new = [NewJob("a", {}, unique(key=f"k{n}", states=None, period=HOUR)) for n in range(4)]
        batches = [new[turn:] + new[:turn] for turn in range(4)]
        found = await asyncio.gather(*(jobs.enqueue_many(batch) for batch in batches))
        assert sum(each.created for batch in found for each in batch) == 4
        by_key = {}
        for each in (each for batch in found for each in batch):
            by_key.setdefault(each.job.held_key, set()).add(each.job.id)
        assert [len(ids) for ids in by_key.values()] == [1] * 4
        for _ in range(4):
            await jobs.fail(await jobs.claim("w"), "no", retry=False)


async def test_a_batch_may_hold_keys_by_every_rule(jobs_of_all):
    batch = [
        NewJob("a"),
        NewJob("a", {}, EnqueueOptions(unique_key="k")),
        NewJob("a", {}, unique(key="k", period=HOUR)),
        NewJob("a", {}, unique(key="k")),
        NewJob("a", {}, unique(key="k", period=2 * HOUR)),
    ]
    made = await jobs_of_all.enqueue_many(batch)
    assert [each.created for each in made] == [True, True, True, False, False]
    assert made[3].job == made[1].job
    assert made[4].job == made[2].job


async def test_a_store_with_jobs_alone_says_what_it_lacks():
    async with open_store("memory://", [Job]) as store:
        await store.create_schema()
        jobs = Jobs(store)
        assert (await made(jobs, key="k")).created
        with pytest.raises(ConfigurationError, match="JOB_ENTITIES"):
            await made(jobs, key="k", period=HOUR)
        assert len(await jobs.list()) == 1


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"key": ""}, "key"),
        ({"period": timedelta(0)}, "period"),
        ({"states": frozenset({JobStatus.RUNNING})}, "states"),
    ],
)
def test_what_can_not_be_is_refused(wrong, named):
    with pytest.raises(ConfigurationError, match=named):
        Uniqueness(**wrong)
    with pytest.raises(ConfigurationError, match="not both"):
        EnqueueOptions(unique_key="k", unique=Uniqueness())
