import asyncio
from collections import Counter
from datetime import timedelta

import pytest

from holdfast.errors import ConfigurationError
from holdfast.jobs import EnqueueOptions, JobLimitKey, Jobs, Limit, NewJob
from holdfast.records.conformance.statement_counter import CountingDriver

pytestmark = pytest.mark.anyio
MINUTE = timedelta(minutes=1)


def new(limit_key=None, **options):
    return NewJob("t", options=EnqueueOptions(limit_key=limit_key, **options))


async def test_no_more_jobs_of_a_queue_run_at_once_than_its_limit(every_jobs, clock):
    jobs = every_jobs
    await jobs.limits.set(Limit(queue="default", concurrency=3))
    await jobs.enqueue_many([*(new() for _ in range(6)), new(queue="other")])
    first = await jobs.claim_many("w", 2, lease=MINUTE)
    (third,) = await jobs.claim_many("v", 9, lease=MINUTE)
    assert await jobs.claim_many("w", 9, lease=MINUTE) == []
    assert len(await jobs.claim_many("w", 9, queues=("default", "other"), lease=MINUTE)) == 1
    await jobs.complete(first[0])
    assert len(await jobs.claim_many("w", 9, lease=MINUTE)) == 1
    clock.forward(minutes=1)  # the others' workers died: their places are free again
    assert (await jobs.limits.use(queue="default")).running == {}
    assert len(await jobs.claim_many("w", 9, lease=MINUTE)) == 3
    assert third.job.id is not None


async def test_keys_have_their_own_limit_and_take_turns(every_jobs):
    jobs = every_jobs
    await jobs.limits.set(Limit(queue="default", key_concurrency=2))
    await jobs.enqueue_many([new("a") for _ in range(6)])
    await jobs.enqueue_many([*(new("b") for _ in range(3)), new("c"), new(), new()])
    claims = await jobs.claim_many("w", 20)
    assert Counter(claim.job.limit_key for claim in claims) == {"a": 2, "b": 2, "c": 1, None: 2}
    assert await jobs.claim_many("w", 20) == []
    await jobs.complete(next(claim for claim in claims if claim.job.limit_key == "b"))
    assert [claim.job.limit_key for claim in await jobs.claim_many("w", 20)] == ["b"]


async def test_a_task_has_its_own_limit_in_whatever_queue(every_jobs, clock):
    jobs = every_jobs
    await jobs.limits.set(Limit(task="t", concurrency=2, rate=3, period=MINUTE))
    await jobs.enqueue_many([*(new(priority=1) for _ in range(3)), new(queue="other")])
    await jobs.enqueue_many([NewJob("free"), NewJob("free")])
    first = await jobs.claim_many("w", 9)
    assert [claim.job.task for claim in first] == ["t", "t", "free", "free"]
    both = ("default", "other")
    assert await jobs.claim_many("w", 9, queues=both) == []
    await jobs.complete(first[0])
    (third,) = await jobs.claim_many("w", 9, queues=("other",))
    await jobs.complete_many([(third, None), (first[1], None)])
    assert await jobs.claim_many("w", 9, queues=both) == []  # three have started
    clock.forward(seconds=20)
    assert len(await jobs.claim_many("w", 9, queues=both)) == 1


async def test_keys_of_a_task_have_their_own_limit_beside_that_of_the_queue(jobs_of_all):
    jobs = jobs_of_all
    await jobs.limits.set(Limit(queue="default", key_concurrency=3))
    await jobs.limits.set(Limit(task="t", key_concurrency=1))
    await jobs.enqueue_many([new("a"), new("a"), new("b"), new("b")])
    free = [NewJob("free", options=EnqueueOptions(limit_key="a")) for _ in range(9)]
    await jobs.enqueue_many(free)
    claims = await jobs.claim_many("w", 20)
    found = Counter((claim.job.task, claim.job.limit_key) for claim in claims)
    assert found == {("t", "a"): 1, ("t", "b"): 1, ("free", "a"): 2}
    assert (await jobs.limits.use(task="t")).running == {"a": 1, "b": 1}
    use = await jobs.limits.use(queue="default")
    assert (use.running, use.waiting) == ({"a": 3, "b": 1}, {"a": 8, "b": 1})


async def test_no_more_jobs_of_a_key_start_than_its_rate(every_jobs, clock):
    jobs = every_jobs
    await jobs.limits.set(Limit(queue="default", key_rate=2, period=MINUTE))
    await jobs.enqueue_many([*(new("a") for _ in range(9)), new("b"), new()])
    claims = await jobs.claim_many("w", 9)
    assert Counter(claim.job.limit_key for claim in claims) == {"a": 2, "b": 1, None: 1}
    for claim in claims:
        await jobs.complete(claim)
    assert await jobs.claim_many("w", 9) == []
    clock.forward(seconds=30)
    assert [claim.job.limit_key for claim in await jobs.claim_many("w", 9)] == ["a"]
    clock.forward(seconds=61)
    await jobs.limits.purge_keys()
    assert await jobs.limits.key_rows().count(JobLimitKey.limit == "queue:default") == 0
    assert len(await jobs.claim_many("w", 1)) == 1  # of those that have all come back
    assert await jobs.limits.remove(queue="default")
    assert await jobs.limits.key_rows().count(JobLimitKey.limit == "queue:default") == 0


async def test_a_limit_that_is_set_anew_goes_on_counting(jobs_of_all, clock):
    jobs = jobs_of_all
    await jobs.limits.set(Limit(queue="default", rate=4, period=MINUTE))
    await jobs.enqueue_many([new() for _ in range(20)])
    assert len(await jobs.claim_many("w", 4)) == 4
    await jobs.limits.set(Limit(queue="default", rate=6, period=MINUTE, concurrency=5))
    assert len(await jobs.claim_many("w", 9)) == 1
    clock.forward(minutes=2)  # leases are over too
    assert len(await jobs.claim_many("w", 9)) == 5


async def test_no_key_starves_another_and_weights_share(jobs_of_all):
    jobs = jobs_of_all
    weights = {"heavy": 3}
    await jobs.limits.set(Limit(queue="default", concurrency=9, key_concurrency=9, weights=weights))
    await jobs.enqueue_many([new("big", priority=9) for _ in range(200)])
    await jobs.enqueue_many([new("heavy") for _ in range(200)])
    await jobs.enqueue_many([new("small") for _ in range(200)])
    for size, rounds in ((1, 100), (10, 20)):
        done = Counter()
        for _ in range(rounds):
            for claim in await jobs.claim_many("w", size):
                done[claim.job.limit_key] += 1
                await jobs.complete(claim)
        total = done.total()
        assert abs(done["heavy"] - total * 3 / 5) <= 6, (size, done)
        assert abs(done["big"] - total / 5) <= 3, (size, done)
        assert abs(done["small"] - total / 5) <= 3, (size, done)


async def test_no_more_jobs_start_than_the_rate(every_jobs, clock):
    jobs = every_jobs
    await jobs.limits.set(Limit(queue="default", rate=6, period=MINUTE))
    await jobs.enqueue_many([new() for _ in range(20)])
    assert len(await jobs.claim_many("w", 4)) == 4
    assert len(await jobs.claim_many("w", 4)) == 2
    assert await jobs.claim_many("w", 4) == []
    clock.forward(seconds=15)
    assert len(await jobs.claim_many("w", 4)) == 1
    clock.forward(seconds=5)
    assert len(await jobs.claim_many("w", 4)) == 1
    clock.forward(minutes=9)
    assert len(await jobs.claim_many("w", 20, lease=MINUTE * 99)) == 6


async def test_limits_hold_among_claimers_at_once(every_live_store, every_live_jobs):
    jobs = every_live_jobs
    await jobs.limits.set(Limit(queue="default", concurrency=5, key_concurrency=2))
    await jobs.enqueue_many([new("abc"[at % 3]) for at in range(24)])
    running, most, done = Counter(), Counter(), []

    async def worker(name):
        mine = Jobs(every_live_store)
        while len(done) < 24:
            claims = await mine.claim_many(name, 2)
            for claim in claims:
                running[claim.job.limit_key] += 1
            most.update({"all": max(0, running.total() - most["all"])})
            for key, count in running.items():
                most[key] = max(most[key], count)
            await asyncio.sleep(0)
            for claim in claims:
                running[claim.job.limit_key] -= 1
                await mine.complete(claim)
                done.append(claim.job.id)

    await asyncio.gather(*(worker(f"w{number}") for number in range(6)))
    assert len(done) == len(set(done)) == 24
    assert most["all"] <= 5
    assert all(most[key] <= 2 for key in "abc")


async def test_a_limit_is_told_changed_and_removed(jobs_of_all):
    jobs = jobs_of_all
    limit = Limit(queue="default", concurrency=2, rate=5, period=MINUTE)
    other = Limit(task="t", key_rate=2)
    await jobs.limits.set(other)
    await jobs.limits.set(limit)
    assert await jobs.limits.get(queue="default") == limit
    assert await jobs.limits.all() == [limit, other]
    await jobs.limits.set(Limit(queue="default", key_concurrency=1, weights={"a": 2}))
    assert (await jobs.limits.get(queue="default")).weights == {"a": 2}
    assert await jobs.limits.remove(queue="default")
    assert not await jobs.limits.remove(queue="default")
    assert await jobs.limits.get(queue="default") is None
    assert await jobs.limits.all() == [other]


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"concurrency": 0},
        {"concurrency": True},
        {"concurrency": "1"},
        {"rate": 1, "period": timedelta(0)},
        {"rate": 1, "period": 60},
        {"concurrency": 1, "weights": {"a": 1}},
        {"key_concurrency": 1, "weights": {"a": 0}},
        {"key_rate": 1, "task": "t"},
        {"key_rate": 1, "queue": ""},
    ],
)
def test_a_limit_that_can_not_be_is_refused(wrong):
    with pytest.raises(ConfigurationError):
        Limit(**{"queue": "q", **wrong})


async def test_a_store_without_the_table_has_no_limits_and_says_so(jobs):
    await jobs.enqueue("t")
    assert await jobs.claim("w") is not None
    with pytest.raises(ConfigurationError, match="JOB_ENTITIES"):
        await jobs.limits.set(Limit(queue="default", concurrency=1))


async def test_what_keys_have_used_is_read_for_several_of_them_at_once(jobs_of_all):
    limit = Limit(queue="default", key_rate=1000)
    await jobs_of_all.limits.set(limit)
    await jobs_of_all.enqueue_many([new(f"key {at % 10}") for at in range(400)])
    with CountingDriver.around(jobs_of_all.store) as counting:
        jobs = Jobs(jobs_of_all.store)
        for _ in range(3):  # until all keys are found, each by a search
            assert len(await jobs.claim_ready("w", 40)) == 40
        before = counting.reads, counting.writes
        keys = {claim.job.limit_key for claim in await jobs.claim_ready("w", 40)}
        assert len(keys) == 4
        # The limit, and what its keys have used; the jobs, and what they have used now.
        assert (counting.reads - before[0], counting.writes - before[1]) == (2, 2)
