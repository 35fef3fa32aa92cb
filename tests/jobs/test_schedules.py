import asyncio
import os
import random
import signal
from datetime import UTC, datetime, timedelta

import pytest

from clock import Clock
from holdfast import open_store
from holdfast.errors import ConfigurationError, InvalidValueError, NotFoundError
from holdfast.jobs import (
    JOB_ENTITIES,
    EnqueueOptions,
    Job,
    Jobs,
    NewJob,
    Queues,
    Schedule,
    Scheduler,
    Schedules,
    ScheduleStatus,
    Worker,
    WorkerOptions,
    upcoming,
)
from preloaded import start

pytestmark = pytest.mark.anyio
MINUTE = timedelta(minutes=1)
SCHEDULER = """
import asyncio, sys, time
from datetime import datetime, timedelta, UTC
from holdfast import open_store
from holdfast.jobs import JOB_ENTITIES, Jobs, Scheduler

def clock():  # ten minutes a second
    began = float(sys.argv[2])
    return datetime.fromtimestamp(began, UTC) + 600 * timedelta(seconds=time.time() - began)

async def main():
    async with open_store(sys.argv[1], JOB_ENTITIES, clock=clock) as store:
        scheduler = Scheduler(Jobs(store))
        while True:
            await scheduler.tick()

asyncio.run(main())
"""


@pytest.fixture
def url():
    return "memory://"


@pytest.fixture
def schedules(jobs_of_all):
    return Schedules(jobs_of_all.store)


async def ticks(store):
    """The ticks that have jobs of the task "a", in minutes since the clock's beginning."""
    found = await store.repository(Job).find(Job.task == "a")
    return sorted((job.tick - Clock().time) // MINUTE for job in found)


async def test_among_many_schedulers_each_tick_has_one_job(every_backend, every_store, clock):
    await Schedules(every_store).put(
        Schedule("often", NewJob("a", {"n": 1}), every=MINUTE, catch_up=20)
    )
    stores = [every_store]
    async with asyncio.timeout(300), open_store(every_backend, JOB_ENTITIES, clock=clock) as other:
        if every_store.backend != "memory":
            stores.append(other)
        schedulers = [Scheduler(Jobs(store)) for store in stores * 3]
        made = 0
        for _ in range(4):
            clock.forward(minutes=3)
            made += sum(await asyncio.gather(*(each.tick() for each in schedulers)))
    found = await every_store.repository(Job).find(Job.task == "a")
    assert await ticks(every_store) == [*range(1, 13)]
    assert made == 12
    assert {(job.schedule, job.task, job.payload["n"]) for job in found} == {("often", "a", 1)}
    assert all(job.run_at == job.tick for job in found)


async def test_schedulers_that_are_killed_lose_no_tick_and_do_none_twice(tmp_path):
    url, began = f"sqlite:///{tmp_path}/jobs.db", datetime.now(UTC)
    async with open_store(url, JOB_ENTITIES, clock=lambda: began) as store:
        await store.create_schema()
        await Schedules(store).put(Schedule("a", NewJob("a"), every=MINUTE, catch_up=1000))
        jobs = store.repository(Job)
        for _ in range(3):
            pair = [start(SCHEDULER, url, began.timestamp()) for _each in range(2)]
            wanted = await jobs.count() + random.randint(3, 12)
            async with asyncio.timeout(120):
                while await jobs.count() < wanted:
                    assert all(each.poll() is None for each in pair), pair[0].communicate()
                    await asyncio.sleep(0.005)
            for each in pair:
                os.kill(each.pid, signal.SIGKILL)
                each.communicate()
        found = sorted([job.tick async for job in jobs.stream()])
        stored = await Schedules(store).get("a")
    assert found == [found[0] + number * MINUTE for number in range(len(found))]
    assert (found[-1], stored.next_tick) == (stored.last_tick, found[-1] + MINUTE)


@pytest.mark.parametrize(
    ("catch_up", "expected"),
    # A tick that is two minutes late at the most is not a missed one.
    [(0, [8, 9, 10]), (1, [7, 8, 9, 10]), (3, [5, 6, 7, 8, 9, 10]), (50, [*range(1, 11)])],
)
async def test_of_missed_ticks_as_many_as_said_are_made_up_for(
    jobs_of_all, schedules, clock, catch_up, expected
):
    await schedules.put(Schedule("a", NewJob("a"), every=MINUTE, catch_up=catch_up))
    clock.forward(minutes=10)
    assert await Scheduler(jobs_of_all).tick() == len(expected)
    assert await ticks(jobs_of_all.store) == expected
    assert (await schedules.get("a")).next_tick == clock() + MINUTE


async def test_a_schedule_that_skips_waits_for_its_next_tick(jobs_of_all, schedules, clock):
    await schedules.put(Schedule("a", NewJob("a"), cron="@daily", zone="Asia/Tokyo", catch_up=0))
    clock.forward(days=2, hours=3)
    assert await Scheduler(jobs_of_all).tick() == 0
    stored = await schedules.get("a")
    assert (stored.next_tick, stored.last_tick) == (datetime(2026, 1, 3, 15, tzinfo=UTC), None)


async def test_a_paused_schedule_makes_nothing_and_does_not_make_up_for_it(
    jobs_of_all, schedules, clock
):
    await schedules.put(Schedule("a", NewJob("a"), every=MINUTE, catch_up=100))
    await schedules.put(Schedule("b", NewJob("b"), cron="0 12 * * *", zone="Europe/Athens"))
    assert (await schedules.pause("a")).status is ScheduleStatus.PAUSED
    clock.forward(minutes=5)
    assert await Scheduler(jobs_of_all).tick() == 0
    found = await schedules.list()
    assert [each.name for each in found] == ["a", "b"]
    assert [upcoming(each, 2) for each in found] == [
        [],
        [datetime(2026, 1, 1, 10, tzinfo=UTC), datetime(2026, 1, 2, 10, tzinfo=UTC)],
    ]
    await schedules.put(Schedule("a", NewJob("changed"), every=MINUTE))
    assert (await schedules.get("a")).status is ScheduleStatus.PAUSED
    await schedules.resume("a")
    clock.forward(minutes=1)
    assert await Scheduler(jobs_of_all).tick() == 1
    assert [(job.task, job.tick) for job in await jobs_of_all.list()] == [("changed", clock())]
    await schedules.remove("a")
    clock.forward(minutes=1)
    assert await Scheduler(jobs_of_all).tick() == 0
    for verb in (schedules.pause, schedules.resume, schedules.remove):
        with pytest.raises(NotFoundError):
            await verb("a")


async def test_putting_a_schedule_again_keeps_its_next_tick_unless_its_times_change(
    schedules, clock
):
    first = await schedules.put(Schedule("a", NewJob("a"), every=MINUTE))
    clock.forward(minutes=5)
    again = await schedules.put(Schedule("a", NewJob("a"), every=MINUTE))
    assert again == first
    assert (await schedules.put(Schedule("a", NewJob("b"), every=MINUTE))).next_tick == (
        first.next_tick
    )
    moved = await schedules.put(Schedule("a", NewJob("b"), cron="*/10 * * * *"))
    assert moved.next_tick == Clock().time + 10 * MINUTE


async def test_a_schedule_in_code_is_ticked_by_those_that_declare_it(jobs_of_all, schedules, clock):
    await schedules.put(Schedule("stored", NewJob("a"), every=MINUTE))
    in_code = Scheduler(jobs_of_all, [Schedule("in code", NewJob("b"), every=MINUTE)])
    assert await in_code.tick() == 0
    clock.forward(minutes=1)
    assert await Scheduler(jobs_of_all).tick() == 1
    assert await in_code.tick() == 1
    assert {job.task for job in await jobs_of_all.list()} == {"a", "b"}


async def test_a_tick_whose_forerunner_lives_makes_no_job_where_the_schedule_says_so(
    jobs_of_all, schedules, clock
):
    options = EnqueueOptions(
        unique_key="a", queue="nightly", tags=("x",), max_attempts=7, retention=MINUTE
    )
    await schedules.put(Schedule("a", NewJob("a", options=options), every=MINUTE))
    made = []
    for _ in range(3):
        clock.forward(minutes=1)
        made.append(await Scheduler(jobs_of_all).tick())
        if len(made) == 2:
            claim = await jobs_of_all.claim("w", queues=("nightly",), lease=timedelta(hours=1))
            job = claim.job
            assert (job.tags, job.max_attempts, job.retention) == (["x"], 7, 60)
            await jobs_of_all.complete(claim)
    assert made == [1, 0, 1]


async def test_a_schedule_that_can_not_be_ticked_does_not_hold_up_the_others(
    jobs_of_all, schedules, clock, caplog
):
    await schedules.put(Schedule("a", NewJob("a"), every=MINUTE))
    await schedules.put(Schedule("b", NewJob("b"), every=MINUTE))
    broken = await schedules.get("a")
    broken.every, broken.cron = None, "no cron"
    await jobs_of_all.store.repository(type(broken)).update(broken)
    clock.forward(minutes=1)
    assert await Scheduler(jobs_of_all).tick() == 1
    assert "the schedule 'a' can't be looked after now" in caplog.text


async def test_a_worker_makes_the_jobs_of_schedules_and_does_them():
    done = asyncio.Event()

    async def handler(_):
        worker.stop()
        done.set()

    async with open_store("memory://", JOB_ENTITIES) as store:
        await store.create_schema()
        schedule = Schedule("a", NewJob("a"), every=timedelta(seconds=1))
        worker = Worker(
            Jobs(store),
            {"a": handler},
            options=WorkerOptions(poll=timedelta(milliseconds=20)),
            schedules=[schedule],
        )
        await asyncio.wait_for(worker.run(), 120)
        assert done.is_set()
        (job,) = (await Jobs(store).list()).items[-1:]
        assert job.schedule == "a"


async def test_schedules_need_their_table(jobs):
    with pytest.raises(ConfigurationError, match="JOB_ENTITIES"):
        await Schedules(jobs.store).list()
    with pytest.raises(ConfigurationError, match="JOB_ENTITIES"):
        Scheduler(jobs, [Schedule("a", NewJob("a"), every=MINUTE)])
    with pytest.raises(ConfigurationError, match="JOB_ENTITIES"):
        await Queues(jobs.store).pause("a")
    assert await Scheduler(jobs).tick() == 0


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"every": None}, "cron or every"),
        ({"cron": "@daily"}, "cron or every"),
        ({"every": timedelta(seconds=1.5)}, "whole number of seconds"),
        ({"every": timedelta(days=40_000)}, "at most 36525 days"),
        ({"zone": "Europe/Athens"}, "has no zone"),
        ({"every": None, "cron": "@daily", "zone": "Nowhere"}, "time zone"),
        ({"catch_up": -1}, "catch_up"),
        ({"name": ""}, "name"),
        ({"job": NewJob("a", options=EnqueueOptions(delay=MINUTE))}, "delay"),
    ],
)
def test_schedules_that_can_not_be_are_refused(wrong, match):
    given = {"name": "a", "job": NewJob("a"), "every": MINUTE} | wrong
    with pytest.raises(ConfigurationError, match=match):
        Schedule(**given)


async def test_ticks_are_told_as_far_as_the_calendar_goes(schedules):
    stored = await schedules.put(Schedule("a", NewJob("a"), cron="0 0 29 2 */7"))
    told = upcoming(stored, 1000)
    assert 1 < len(told) < 1000
    assert 9999 - told[-1].year <= 40


def test_a_payload_that_no_job_may_have_is_refused_at_once():
    with pytest.raises(InvalidValueError):
        Schedule("a", NewJob("a", ["no mapping"]), every=MINUTE)


async def test_a_paused_queue_is_left_alone_until_it_is_resumed(every_store, clock):
    queues, jobs, other = Queues(every_store), Jobs(every_store), Jobs(every_store)
    await jobs.enqueue("a")
    await queues.pause("default")
    assert [queue.name for queue in await queues.paused()] == ["default"]
    assert await jobs.claim("w") is None
    await jobs.enqueue("b", options=EnqueueOptions(queue="open"))
    both = ("default", "open")
    assert (await other.claim("w", queues=both)).job.task == "b"
    await queues.resume("default")
    assert await queues.paused() == []
    clock.forward(seconds=1)
    assert (await jobs.claim("w", queues=both)).job.task == "a"


async def test_a_pause_is_heeded_within_a_second_and_read_no_oftener(jobs_of_all, clock):
    queues = Queues(jobs_of_all.store)
    for _ in range(3):
        await jobs_of_all.enqueue("a")
    assert await jobs_of_all.claim("w") is not None
    await queues.pause("default")
    assert await jobs_of_all.claim("w") is not None
    clock.forward(seconds=1)
    assert await jobs_of_all.claim("w") is None
