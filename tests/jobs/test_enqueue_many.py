import asyncio

import pytest

from holdfast.errors import InvalidValueError
from holdfast.jobs import EnqueueOptions, Jobs, NewJob

pytestmark = pytest.mark.anyio


def keyed(*keys):
    return [NewJob("a", {"n": n}, EnqueueOptions(unique_key=key)) for n, key in enumerate(keys)]


async def test_many_are_made_in_order_and_claimed_in_order(every_jobs):
    new = [NewJob("a", {"n": n}) for n in range(20)]
    made = await every_jobs.enqueue_many(new)
    assert [each.job.payload["n"] for each in made] == [*range(20)]
    assert all(each.created for each in made)
    claims = [await every_jobs.claim("w") for _ in range(21)]
    assert [claim.job.id for claim in claims[:-1]] == [each.job.id for each in made]
    assert claims[-1] is None
    assert await every_jobs.enqueue_many([]) == []


async def test_of_one_unique_key_the_first_stands_for_all(every_jobs):
    before = (await every_jobs.enqueue("a", options=EnqueueOptions(unique_key="old"))).job
    made = await every_jobs.enqueue_many(keyed("x", "old", None, "y", "x", None))
    assert [each.created for each in made] == [True, False, True, True, False, True]
    assert made[1].job == before
    assert made[4].job == made[0].job
    assert [each.job.payload["n"] for each in made if each.created] == [0, 2, 3, 5]
    assert {job.id for job in await every_jobs.list(queue="default")} == {
        each.job.id for each in made
    }


async def test_batches_that_name_the_same_keys_at_once_make_each_once(every_live_store):
    jobs = Jobs(every_live_store)
    names = [f"k{n}" for n in range(12)]
    batches = [names[turn:] + names[:turn] for turn in range(0, 12, 3)]
    found = await asyncio.gather(*(jobs.enqueue_many(keyed(*each)) for each in batches))
    by_key = {}
    for batch in found:
        for each in batch:
            by_key.setdefault(each.job.unique_key, set()).add(each.job.id)
    assert all(len(ids) == 1 for ids in by_key.values())
    assert sum(each.created for batch in found for each in batch) == len(names)
    assert len(await jobs.list(queue="default")) == len(names)


async def test_one_that_can_not_be_stored_keeps_all_out(jobs):
    with pytest.raises(InvalidValueError, match="task"):
        await jobs.enqueue_many([NewJob("a"), NewJob("")])
    with pytest.raises(InvalidValueError, match="payload"):
        await jobs.enqueue_many([NewJob("a"), NewJob("a", {"x": object()})])
    assert len(await jobs.list()) == 0


async def test_a_batch_is_rolled_back_with_the_transaction_around_it(store, jobs):
    taken = (await jobs.enqueue("a", options=EnqueueOptions(unique_key="k"))).job
    with pytest.raises(ZeroDivisionError):
        async with store.transaction():
            await jobs.enqueue_many([*keyed("k", "l"), NewJob("b")])
            raise ZeroDivisionError
    assert [job.id for job in await jobs.list()] == [taken.id]
