"""The feed of changes: one look at the store for all who follow, and what each is told."""

import asyncio
from contextlib import aclosing
from datetime import timedelta

import pytest

from holdfast import open_store
from holdfast.jobs import JOB_ENTITIES, EnqueueOptions, JobFeed, JobFilter, Jobs
from holdfast.jobs.history.job_feed import MOST_KEPT, JobChange
from holdfast.jobs.history.job_log import log_line
from holdfast.jobs.history.job_streams import change_events, log_events
from holdfast.records.conformance.statement_counter import CountingDriver

pytestmark = pytest.mark.anyio

HOUR = timedelta(hours=1)  # the feeds look once, at their start; then these tests make them look
ALL = JobFilter()


async def next_of(changes, count):
    """Return the next *count* changes, as status and task."""
    found = []
    for _ in range(count):
        change = await anext(changes)
        found.append(None if change is None else (change.job.task, change.job.status.value))
    return found


async def begun(feed, changes):
    """Return the first change of *changes* as a task that waits, once *feed* has looked."""
    first = asyncio.ensure_future(anext(changes))
    while feed._looked is None:  # noqa: ASYNC110 - a few turns of the loop
        await asyncio.sleep(0)
    return first


async def test_every_change_of_a_job_is_told_to_those_whose_filter_it_fits(live_store):
    jobs = Jobs(live_store)
    await jobs.enqueue("before", options=EnqueueOptions(queue="other"))
    feed = JobFeed(jobs, every=HOUR)
    async with aclosing(feed.follow(ALL)) as all_of_them:
        first = await begun(feed, all_of_them)
        async with aclosing(feed.follow(JobFilter(task="b"))) as some:
            other = asyncio.ensure_future(anext(some))
            await asyncio.sleep(0)
            await jobs.enqueue("a")
            await feed.look()
            assert (await first).job.task == "a"
            claim = await jobs.claim("w")
            await feed.look()
            await jobs.progress(claim, 0.5, "half")
            await feed.look()
            await jobs.heartbeat(claim)  # nothing to tell
            await feed.look()
            await jobs.fail(claim, "no")
            await feed.look()
            await jobs.enqueue("b")
            await jobs.complete(await jobs.claim("w"))  # between two looks
            await feed.look()
            assert await next_of(all_of_them, 4) == [
                ("a", "running"), ("a", "running"), ("a", "queued"), ("b", "succeeded")
            ]  # fmt: skip
            assert (await other).job.task == "b"
            await feed.look()
            assert feed.last == 5
            last = asyncio.ensure_future(anext(all_of_them))
            await asyncio.sleep(0)
            assert not last.done()
            last.cancel()
            await asyncio.wait({last})


async def test_many_who_follow_cost_the_store_what_one_does(live_store):
    jobs = Jobs(live_store)
    for _ in range(3):
        await jobs.enqueue("a")
    await jobs.claim("w")
    with CountingDriver.around(live_store) as counting:
        feed = JobFeed(jobs, every=HOUR)
        followers = [feed.follow(ALL) for _ in range(50)]
        waiting = [await begun(feed, each) for each in followers]
        before = counting.reads
        await feed.look()
        assert counting.reads - before <= 6
    for each in waiting:
        each.cancel()
    await asyncio.wait(waiting)
    for each in followers:
        await each.aclose()
    assert feed._task is None  # nobody follows, so nobody looks


async def test_who_is_slow_goes_on_where_it_was_and_is_told_of_a_gap(live_store):
    jobs = Jobs(live_store)
    feed = JobFeed(jobs, every=HOUR)
    async with aclosing(feed.follow(ALL)) as slow:
        first = await begun(feed, slow)
        await jobs.enqueue("a")
        await feed.look()
        await first
        claim = await jobs.claim("w")
        for step in range(3):
            await jobs.progress(claim, step / 10, f"step {step}")
            await feed.look()
        assert await next_of(slow, 3) == [("a", "running")] * 3
        async with aclosing(feed.follow(ALL, after=2)) as returned:
            assert (await anext(returned)).number == 3
        for _ in range(MOST_KEPT + 1):
            feed._kept.append(JobChange(feed.last + 1, claim.job))
            feed._number += 1
        assert await next_of(slow, 2) == [None, ("a", "running")]
        async with aclosing(feed.follow(ALL, after=feed.last + 9)) as stranger:
            assert await next_of(stranger, 1) == [None]


async def test_the_events_of_a_feed_are_resumed_by_their_ids(live_store):
    jobs = Jobs(live_store)
    feed = JobFeed(jobs, every=HOUR)
    source = change_events(feed, ALL)
    async with aclosing(source(None)) as events:
        first = await begun(feed, events)
        await jobs.enqueue("a")
        await feed.look()
        told = await first
        assert (told.name, told.data["status"]) == ("job", "queued")
        await jobs.claim("w")
        await feed.look()
        async with aclosing(source(told.id)) as resumed:
            assert (await anext(resumed)).data["status"] == "running"
        for unknown in ("0000-1", "x", ""):
            async with aclosing(source(unknown)) as lost:
                assert (await anext(lost)).name == "reset"


async def test_a_log_is_followed_to_the_end_of_its_job(url):
    async with open_store(url, JOB_ENTITIES) as store:
        await store.create_schema()
        jobs = Jobs(store)
        job = (await jobs.enqueue("a")).job
        claim = await jobs.claim("w")

        async def write(text):
            await jobs.write_log(claim, [log_line(text, "info", jobs.now())])

        await write("one")
        source = log_events(jobs, job.id, poll=timedelta(0))
        async with aclosing(source(None)) as events:
            first = await anext(events)
            assert (first.id, first.data["text"]) == ("1", "one")
            second = asyncio.ensure_future(anext(events))
            await write("two")
            assert (await second).data["text"] == "two"
            await write("three")
            await jobs.complete(claim)
            assert [event.id async for event in events] == ["3"]
        async with aclosing(source("2")) as resumed:
            assert [event.data["text"] async for event in resumed] == ["three"]
