"""A worker's searches begin where the last one ended, and miss nothing for long."""

import asyncio
from datetime import timedelta
from functools import partial

import pytest

from holdfast import open_store
from holdfast.errors import SerializationError
from holdfast.jobs import JOB_ENTITIES, EnqueueOptions, Job, Jobs, Limit, NewJob
from holdfast.jobs.claim_floors import ClaimFloors, SearchPace
from holdfast.jobs.workers import claimed_ahead
from holdfast.jobs.workers.worker_options import WorkerOptions
from holdfast.records import Repository
from holdfast.records.conformance.statement_counter import CountingDriver
from servers import connected, database_on, execute

pytestmark = pytest.mark.anyio
HOUR = timedelta(hours=1)


class Seconds:
    """Seconds that a test moves by hand."""

    def __init__(self):
        self.time = 0.0

    def __call__(self):
        return self.time


@pytest.fixture
def seconds():
    return Seconds()


def new(task, **options):
    return NewJob(task, options=EnqueueOptions(**options))


async def claimed(jobs, floors, limit=9, **options):
    claims = await jobs.claim_ready("w", limit, floors=floors, **options)
    return [claim.job.task for claim in claims]


async def met(jobs, clock, seconds):
    """Return floors that know jobs of priority 0, of now; the next whole search is for later."""
    floors = ClaimFloors(seconds)
    await jobs.enqueue("first")
    (first,) = await jobs.claim_ready("w", 9, floors=floors)
    await jobs.complete(first)
    clock.forward(minutes=1)
    assert await claimed(jobs, floors) == []
    return floors


async def test_new_jobs_of_any_priority_are_found_at_once_in_their_order(jobs, clock, seconds):
    floors = await met(jobs, clock, seconds)
    wanted = [new("low", priority=-1), new("usual"), new("high", priority=3), new("next")]
    await jobs.enqueue_many(wanted)
    assert await claimed(jobs, floors, 2) == ["high", "usual"]
    await jobs.enqueue_many([new("higher", priority=4), new("between", priority=2)])
    assert await claimed(jobs, floors) == ["higher", "between", "next", "low"]


async def test_jobs_due_in_the_last_two_seconds_are_found_at_once(jobs, clock, seconds):
    floors = await met(jobs, clock, seconds)
    await jobs.enqueue_many([new("now"), new("then", run_at=clock.time - timedelta(seconds=1))])
    assert await claimed(jobs, floors, 1) == ["then"]
    await jobs.enqueue_many([new("before", run_at=clock.time - timedelta(seconds=2))])
    assert await claimed(jobs, floors) == ["before", "now"]


async def test_a_job_that_comes_to_stand_before_the_floor_waits_for_a_whole_search(
    jobs, clock, seconds
):
    floors = await met(jobs, clock, seconds)
    await jobs.enqueue_many([new("late", run_at=clock.time - HOUR)])
    assert await claimed(jobs, floors) == []
    assert (await jobs.claim("w")).job.task == "late"  # which goes by no floor
    await jobs.enqueue_many([new("later", run_at=clock.time - HOUR), new("now")])
    seconds.time += 1
    assert await claimed(jobs, floors) == ["later", "now"]


async def test_what_a_look_makes_ready_is_found_at_once_wherever_it_stands(jobs, clock, seconds):
    floors, pace = await met(jobs, clock, seconds), SearchPace(seconds)
    minute = timedelta(minutes=1)
    await jobs.enqueue_many([new("lost", run_at=clock.time - HOUR), new("due", delay=minute)])
    (dead,) = await jobs.claim_many("dead", 1, lease=minute)
    assert dead.job.task == "lost"
    clock.forward(hours=1)
    assert await claimed(jobs, floors) == []  # and its floor is of now
    assert await jobs.make_ready(pace=pace, floors=floors) == 2
    assert await claimed(jobs, floors) == ["lost", "due"]


async def test_what_a_worker_puts_back_itself_it_finds_at_once(jobs, clock, seconds, monkeypatch):
    monkeypatch.setattr(claimed_ahead, "ClaimFloors", lambda: ClaimFloors(seconds))
    claims = claimed_ahead.ClaimedAhead(jobs, "w", WorkerOptions(), None)
    await jobs.enqueue_many([new("old", run_at=clock.time - HOUR)])
    find = partial(claims.find, 1, ends=False, start=lambda: None)
    assert [await find(), await find()] == [1, 0]
    await claims.put_back()
    assert await find() == 1


async def test_what_a_whole_search_leaves_is_not_passed(jobs, clock, seconds):
    floors = ClaimFloors(seconds)
    old = [new(f"old {at}", run_at=clock.time - HOUR) for at in range(3)]
    await jobs.enqueue_many([*old, new("new"), new("high", priority=1)])
    assert await claimed(jobs, floors, 2) == ["high", "old 0"]
    assert await claimed(jobs, floors, 1) == ["old 1"]
    assert await claimed(jobs, floors) == ["old 2", "new"]


async def test_with_more_priorities_than_it_remembers_each_search_is_whole(jobs, clock, seconds):
    floors = ClaimFloors(seconds)
    await jobs.enqueue_many([new("many", priority=at) for at in range(9)])
    assert len(await claimed(jobs, floors)) == 9
    await jobs.enqueue_many([new("late", run_at=clock.time - HOUR)])
    assert await claimed(jobs, floors) == ["late"]


async def test_what_comes_after_a_search_that_found_nothing_is_found(jobs, seconds):
    floors = ClaimFloors(seconds)
    assert await claimed(jobs, floors) == []
    await jobs.enqueue("t")
    assert await claimed(jobs, floors) == ["t"]


async def test_as_many_priorities_as_it_remembers_are_searched_from_their_floors(
    jobs, clock, seconds
):
    floors = ClaimFloors(seconds)
    await jobs.enqueue_many([new("many", priority=at) for at in range(8)])
    assert len(await claimed(jobs, floors)) == 8
    await jobs.enqueue_many([new("late", run_at=clock.time - HOUR)])
    assert await claimed(jobs, floors) == []


async def test_searches_from_the_floor_do_not_put_the_whole_one_off(jobs, clock, seconds):
    floors = await met(jobs, clock, seconds)
    await jobs.enqueue_many([new("late", run_at=clock.time - HOUR)])
    for _ in range(3):
        seconds.time += 0.3
        assert await claimed(jobs, floors) == []
    seconds.time += 0.3
    assert await claimed(jobs, floors) == ["late"]


async def test_whether_there_is_work_is_asked_while_that_costs_little(jobs, seconds):
    floors, stored = ClaimFloors(seconds), jobs.store.repository(Job)
    queues = ["default", "other"]
    assert not await floors.any_ready(stored, queues)
    await jobs.enqueue("t")
    assert await floors.any_ready(stored, queues)
    assert not await floors.any_ready(stored, ["other"])
    await jobs.claim("w")
    for _ in range(3):
        took(floors._asking, seconds, 1.0)
    assert await floors.any_ready(stored, queues)  # who asks is told so without a look
    seconds.time += 59
    assert await floors.any_ready(stored, queues)
    seconds.time += 1
    assert not await floors.any_ready(stored, queues)


async def test_each_queue_has_a_floor_of_its_own(jobs, clock, seconds):
    floors = await met(jobs, clock, seconds)
    await jobs.enqueue_many([new("other", queue="other", run_at=clock.time - HOUR), new("here")])
    assert await claimed(jobs, floors, queues=("default", "other")) == ["here", "other"]


async def test_under_a_limit_of_the_queue_searches_begin_at_its_floor_too(
    jobs_of_all, clock, seconds
):
    jobs = jobs_of_all
    await jobs.limits.set(Limit(queue="default", concurrency=2, rate=100))
    floors = await met(jobs, clock, seconds)
    await jobs.enqueue_many([new("late", run_at=clock.time - HOUR), *[new("now")] * 3])
    assert await claimed(jobs, floors) == ["now", "now"]  # which is as many as may run
    assert await claimed(jobs, floors) == []
    clock.forward(hours=1)
    seconds.time += 1
    assert await claimed(jobs, floors) == ["late", "now"]


async def test_a_claim_that_clashed_is_searched_for_as_a_whole(jobs_of_all, clock, seconds):
    jobs = jobs_of_all
    await jobs.limits.set(Limit(queue="default", rate=100))
    floors = await met(jobs, clock, seconds)
    await jobs.enqueue_many([new("first"), new("second")])
    clock.forward(minutes=1)
    rows, patch = jobs.limits.rows(), Repository.patch
    clashes = iter([SerializationError("memory", "another claims"), None])

    async def clashing(repository, *args, **kwargs):
        if repository.model is rows.model and (error := next(clashes, None)) is not None:
            raise error
        return await patch(repository, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Repository, "patch", clashing)
        assert await claimed(jobs, floors) == ["first", "second"]


async def test_whole_searches_take_a_hundredth_of_the_time_and_five_at_first(seconds):
    searched(seconds, 0.5, waits=(10, 10, 50))  # known from the third on: the first connects


async def test_whole_searches_are_made_once_a_minute_however_long_one_took(seconds):
    searched(seconds, 2, waits=(40, 40, 60, 60))


def searched(seconds, cost, *, waits):
    """See that after each whole search, which takes *cost* seconds, so many pass till the next."""
    pace = SearchPace(seconds)
    for wait in waits:
        assert pace.whole()
        took(pace, seconds, cost)
        assert not pace.whole()
        seconds.time += wait - 1
        assert not pace.whole()
        seconds.time += 1
    assert pace.whole()


async def test_searches_are_whole_while_that_costs_little_more(seconds):
    pace = SearchPace(seconds)
    took(pace, seconds, 0.2)
    assert not pace.whole()
    took(pace, seconds, 0.1, whole=False)
    assert pace.whole()
    for _ in range(3):
        took(pace, seconds, 0.4)
    assert not pace.whole()


async def test_what_a_search_costs_is_the_least_of_the_last_three(seconds):
    pace, seconds.time = SearchPace(seconds), 64.0
    took(pace, seconds, 0.25)
    for cost in (0.0625, 0.125, 0.125, 0.125):
        took(pace, seconds, cost, whole=False)
    assert pace.whole()  # for 0.25 is less than three times 0.125
    took(pace, seconds, 0.0625, whole=False)
    assert not pace.whole()


async def test_searches_are_quick_up_to_two_milliseconds_and_before_the_first(seconds):
    pace = SearchPace(seconds)
    assert pace.quick()
    took(pace, seconds, 0.002)
    assert pace.quick()
    for _ in range(3):
        took(pace, seconds, 0.003)
    assert not pace.quick()


async def test_searches_from_the_floor_that_were_slow_once_are_tried_again(seconds):
    pace = SearchPace(seconds)
    took(pace, seconds, 0.1)
    for _ in range(3):
        took(pace, seconds, 0.05, whole=False)  # on a machine that was busy
    whole = 0
    while pace.whole():
        took(pace, seconds, 0.1)
        whole += 1
        assert whole <= 8
    took(pace, seconds, 0.01, whole=False)
    assert not pace.whole()  # for 0.1 is more than three times 0.01


def took(pace, seconds, cost, *, whole=True):
    """Let a search take *cost* seconds."""
    began, seconds.time = seconds.time, seconds.time + cost
    pace.took(began, whole=whole)


async def test_looks_from_then_on_find_what_came_due_since_and_whole_ones_the_rest(
    jobs, clock, seconds
):
    pace = SearchPace(seconds)
    assert await jobs.make_ready(pace=pace) == 0
    await jobs.enqueue_many([new("later", delay=HOUR)])
    (claim,) = [await jobs.enqueue("lost")] and await jobs.claim_many("w", 1, lease=HOUR)
    clock.forward(hours=1)
    assert await jobs.make_ready(pace=pace) == 2
    assert (await jobs.get(claim.job.id)).lane == "default"
    await jobs.store.repository(Job).update_where(
        Job.task == "later", changes=[Job.lane.to(""), Job.run_at.to(clock.time - HOUR)]
    )
    (claim,) = await jobs.claim_many("w", 1, lease=HOUR)
    await jobs.store.repository(Job).patch(
        claim.job.id, Job.leased_until.to(clock.time - timedelta(minutes=1))
    )
    assert await jobs.make_ready(pace=pace) == 0
    seconds.time += 1
    assert await jobs.make_ready(pace=pace) == 2


async def test_looks_find_what_came_up_to_two_seconds_late_and_put_no_whole_one_off(
    jobs, clock, seconds
):
    pace, stored = SearchPace(seconds), jobs.store.repository(Job)
    await jobs.enqueue_many([new("lost 2"), new("lost 3")])
    await jobs.claim_many("w", 2, lease=HOUR)
    assert await jobs.make_ready(pace=pace) == 0
    await jobs.enqueue_many([new("due 2"), new("due 3")])
    for task, field in (("lost", Job.leased_until), ("due", Job.run_at)):
        for end, ago in ((" 2", 2), (" 3", 2.001)):
            then = field.to(clock.time - timedelta(seconds=ago))
            where = Job.task == task + end
            assert await stored.update_where(where, changes=[then, Job.lane.to("")]) == 1
    found = []
    for _ in range(4):
        seconds.time += 0.25
        found.append(await jobs.make_ready(pace=pace))
    assert found == [2, 0, 0, 2]


async def test_a_look_is_three_searches_however_many_jobs_run_and_wait(jobs, clock, seconds):
    pace = SearchPace(seconds)
    await jobs.enqueue_many([*[new("runs")] * 3, *[new("later", delay=9 * HOUR)] * 3])
    await jobs.claim_many("w", 3, lease=HOUR)
    with CountingDriver.around(jobs.store) as counting:
        looking = Jobs(jobs.store)
        for looks in (1, 2, 3):
            assert await looking.make_ready(pace=pace) == 0
            assert counting.reads + counting.writes == 3 * looks
            clock.forward(seconds=1)


async def test_lost_jobs_are_taken_back_a_few_at_a_time_and_all_of_them(jobs, clock, seconds):
    pace = SearchPace(seconds)
    await jobs.enqueue_many([new("lost")] * 120)
    await jobs.claim_many("w", 120, lease=HOUR)
    clock.forward(hours=1)
    assert [await jobs.make_ready(pace=pace) for _ in range(4)] == [50, 50, 20, 0]


@pytest.mark.parametrize(
    "limit",
    [
        None,
        Limit(queue="default", rate=10_000),
        Limit(queue="default", concurrency=10_000),
    ],
    ids=["unlimited", "rate", "concurrency"],
)
async def test_a_worker_does_not_read_over_what_ended_while_a_transaction_is_held_open(
    clock, seconds, limit
):
    rounds, batch = 30, 20
    with database_on("postgresql") as url:
        async with open_store(url, JOB_ENTITIES) as store:
            await store.create_schema()
        holder = connected(url)
        holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        holder.execute("SELECT 1")
        floors, pace = ClaimFloors(seconds), SearchPace(seconds)
        async with open_store(url, JOB_ENTITIES, clock=clock) as store:
            jobs = Jobs(store)
            if limit is not None:
                await jobs.limits.set(limit)
            for number in range(rounds):
                if number == 2:  # as autovacuum does: from now on it knows that few jobs run
                    execute(url, "ANALYZE jobs")
                await jobs.enqueue_many([new("t")] * batch)
                claims = await jobs.claim_ready("w", batch, floors=floors)
                assert len(claims) == batch
                await jobs.complete_many([(claim, None) for claim in claims])
                clock.forward(minutes=2)
                await jobs.make_ready(pace=pace)
        read = await told(url)
        holder.close()
    # From the start it is half of rounds * rounds * batch for the claims alone, which is 9,000.
    assert rounds * batch < read < rounds * batch * 8


async def told(url):
    """Return how many entries of indexes were read, once all sessions but the holder's ended."""
    others = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
    )
    async with asyncio.timeout(60):
        while execute(url, others) != [(1,)]:  # noqa: ASYNC110 - the server tells nobody
            await asyncio.sleep(0.05)
    count = "SELECT sum(idx_tup_read)::int FROM pg_stat_user_indexes WHERE relname = 'jobs'"
    ((found,),) = execute(url, count)
    return found
