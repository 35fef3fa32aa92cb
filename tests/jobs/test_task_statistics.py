"""Statistics of tasks: what is counted, when it is written, how it is rolled up and read."""

import asyncio
import statistics
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from random import Random
from uuid import UUID

import pytest

from holdfast import open_store
from holdfast.errors import ConfigurationError, InvalidQueryError, LeaseLostError
from holdfast.jobs import (
    JOB_ENTITIES,
    EnqueueOptions,
    FigureQuery,
    Jobs,
    TaskFailure,
    TaskFigures,
    Worker,
    Workflow,
    Workflows,
)
from holdfast.jobs.history.figure_recording import MOST_REASONS, roll_up
from holdfast.jobs.history.task_figures import OTHER, reason_of
from holdfast.jobs.history.task_tally import MOST_ROWS, AttemptEnd, TaskTally
from holdfast.jobs.job import JobStatus

pytestmark = pytest.mark.anyio


@pytest.fixture
async def store(url, clock):
    async with open_store(url, JOB_ENTITIES, clock=clock) as store:
        await store.create_schema()
        yield store


async def told(jobs, **asked):
    since = jobs.now() - timedelta(days=500)
    until = jobs.now() + timedelta(seconds=1)
    return await jobs.task_statistics(FigureQuery(since=since, until=until, **asked))


async def done(jobs, clock, task="a", seconds=0.0, queue="default"):
    await jobs.enqueue(task, options=EnqueueOptions(queue=queue))
    claim = await jobs.claim("w", queues=[queue])
    clock.forward(seconds=seconds)
    return await jobs.complete(claim)


async def test_each_end_is_counted_once_whoever_brings_it_about(store, jobs, clock):
    await done(jobs, clock, seconds=1)
    once = EnqueueOptions(max_attempts=2)
    await jobs.enqueue("a", options=once)
    await jobs.fail(await jobs.claim("w"), "ValueError: 1")  # and is tried again
    clock.forward(minutes=1)
    zombie = await jobs.claim("w")
    clock.forward(hours=1)
    assert await jobs.claim("w") is None  # takes it back: its last attempt was lost
    with pytest.raises(LeaseLostError):
        await jobs.fail(zombie, "late")
    await jobs.cancel((await jobs.enqueue("a")).job.id)
    running = await jobs.enqueue("a")
    claim = await jobs.claim("w")
    await jobs.cancel(running.job.id)
    await jobs.cancel(running.job.id)
    await jobs.stopped(claim)
    await jobs.cancel(running.job.id)
    await jobs.write_figures()
    (found,) = await told(jobs)
    counts = (found.succeeded, found.failed, found.cancelled, found.retried, found.lost)
    assert counts == (1, 1, 2, 1, 1)
    assert found.ended == 4
    assert found.timed == 2
    assert found.mean == timedelta(seconds=0.5)


async def test_jobs_that_end_together_are_timed_each(jobs, clock):
    for task in ("a", "a", "b", "b"):
        await jobs.enqueue(task)
        clock.forward(seconds=1)
    claims = await jobs.claim_many("w", 3)
    clock.forward(seconds=4)
    claims += await jobs.claim_many("w", 1)
    clock.forward(seconds=2)
    assert await jobs.complete_many([(claim, None) for claim in claims]) == [None] * 4
    await jobs.write_figures()
    by_task = await told(jobs, step=None, by="task")
    found = {each.name: (each.succeeded, each.timed, each.mean) for each in by_task}
    assert found == {
        "a": (2, 2, timedelta(seconds=6)),
        "b": (2, 2, timedelta(seconds=4)),
    }


async def test_a_job_that_its_workflow_cancels_is_counted(store, jobs):
    flow = Workflow("w")
    flow.job("b", after=[flow.job("a")])
    await Workflows(jobs).start(flow)
    await jobs.fail(await jobs.claim("w"), "no", retry=False)
    await jobs.make_ready()
    await jobs.write_figures()
    found = [(each.name, each.failed, each.cancelled) for each in await told(jobs)]
    assert found == [("a", 1, 0), ("b", 0, 1)]


async def test_what_is_rolled_back_is_not_counted(store, jobs):
    await jobs.enqueue("a")
    claim = await jobs.claim("w")
    with pytest.raises(ZeroDivisionError):
        async with store.transaction():
            await jobs.complete(claim)
            raise ZeroDivisionError
    await jobs.write_figures()
    assert await told(jobs) == []
    async with store.transaction():
        await jobs.complete(claim)
        assert jobs.tally.since is None
    await jobs.write_figures()
    assert [each.succeeded for each in await told(jobs)] == [1]


async def test_a_worker_writes_what_it_counted_and_others_do_when_it_is_late(store, jobs, clock):
    async def work(context):
        pass

    await jobs.enqueue("a")
    await Worker(jobs, {"a": work}).run(until="idle")
    assert [each.succeeded for each in await told(jobs)] == [1]
    await done(jobs, clock)
    assert [each.succeeded for each in await told(jobs)] == [1]
    await done(jobs, clock, seconds=31)
    assert [each.succeeded for each in await told(jobs)] == [3]


async def test_figures_of_many_writers_add_up_and_survive_a_roll_up_by_several(store, clock):
    crowd = [Jobs(store) for _ in range(4)]
    for hour in range(6):
        for jobs in crowd:
            for minute in (0, 7):
                at = clock.time + timedelta(minutes=minute)
                jobs.tally.add(ended("a", at, timedelta(seconds=hour)))
                jobs.tally.add(ended("b", at, None, status=JobStatus.CANCELLED))
        await asyncio.gather(*(jobs.write_figures() for jobs in crowd))
        clock.forward(hours=5)
    expected = {("a", 48, 0), ("b", 0, 48)}
    whole = await told(crowd[0])
    assert {(each.name, each.succeeded, each.cancelled) for each in whole} == expected
    clock.forward(days=7)
    await asyncio.gather(*(roll_up(store) for _ in crowd))
    await roll_up(store)
    since = clock() - timedelta(days=500)
    assert await told(crowd[0]) == [replace(each, start=since) for each in whole]
    spans = Counter(row.span for row in await store.repository(TaskFigures).find())
    assert "minute" not in spans
    assert spans["total"] == 2
    assert len({each.start for each in await told(crowd[0], step="day")}) == 2
    clock.forward(days=401)
    await roll_up(store)
    await roll_up(store)
    assert await store.repository(TaskFigures).count() == 0


async def test_steps_and_groups_are_cut_from_the_same_rows(store, jobs, clock):
    for minute in range(3):
        await done(jobs, clock, "a", queue="one", seconds=minute)
        await done(jobs, clock, "b", queue="two")
        clock.forward(minutes=1)
    await jobs.write_figures()
    found = await told(jobs, step=None, by="queue")
    assert [(each.name, each.succeeded) for each in found] == [("one", 3), ("two", 3)]
    since = clock() - timedelta(hours=1)
    by_minute = await jobs.task_statistics(FigureQuery(since=since, step="minute", by="all"))
    assert [(each.name, each.succeeded) for each in by_minute] == [("", 2)] * 3
    assert by_minute[0].per_second == 2 / 60
    only = await jobs.task_statistics(FigureQuery(since=since, queue="one", task="a"))
    assert [each.succeeded for each in only] == [3]
    assert await jobs.task_statistics(FigureQuery(since=since, queue="one", task="b")) == []
    totals = await jobs.task_totals(most=1)
    assert [(queue, each.name, each.succeeded) for queue, each in totals] == [("two", "b", 3)]
    with pytest.raises(InvalidQueryError, match="steps"):
        await told(jobs, step="minute")
    with pytest.raises(InvalidQueryError, match="before"):
        await jobs.task_statistics(FigureQuery(since=clock()))


async def test_percentiles_are_within_a_factor_of_two(store, jobs, clock):
    random = Random(4)
    seconds = [random.lognormvariate(1, 1.5) for _ in range(2_000)]
    for each in seconds:
        jobs.tally.add(ended("a", clock(), timedelta(seconds=each)))
    jobs.tally.add(ended("long", clock(), timedelta(days=1)))
    await jobs.write_figures()
    found, long = await told(jobs)
    cuts = statistics.quantiles(seconds, n=100)
    for percent in (50, 95, 99):
        exact = cuts[percent - 1]
        assert exact / 2 <= found.percentile(percent / 100).total_seconds() <= exact * 2
    assert found.mean.total_seconds() == pytest.approx(statistics.mean(seconds))
    assert long.percentile(0.5) < timedelta(hours=2)  # the last edge: no less than that
    with pytest.raises(InvalidQueryError):
        found.percentile(95)


async def test_failures_are_grouped_by_what_does_not_vary_and_are_bounded(store, jobs, clock):
    for number in range(3):
        await jobs.enqueue("a", options=EnqueueOptions(max_attempts=1))
        claim = await jobs.claim("w")
        await jobs.fail(claim, f"KeyError: 'row {number}' at 0x{number:x}f in /tmp/{number}/x")
    for number in range(MOST_REASONS + 5):
        name = "E" + chr(65 + number)
        jobs.tally.add(ended("a", clock(), None, status=JobStatus.FAILED, error=name))
    await jobs.write_figures()
    found = await jobs.failures(clock() - timedelta(minutes=1))
    assert (found[0].reason, found[0].count) == (OTHER, 5)
    assert (found[1].reason, found[1].count) == ("KeyError: … at … in …", 3)
    assert found[1].example.startswith("KeyError: 'row 2'")
    assert found[1].job_id == claim.job.id
    assert len(found) == MOST_REASONS + 2
    assert await jobs.failures(clock(), task="b") == []
    clock.forward(days=9)
    await roll_up(store)
    assert await store.repository(TaskFailure).count() == 0
    assert reason_of("") == OTHER


async def test_an_error_that_no_store_can_keep_is_told_of_in_a_form_that_it_can(store, jobs):
    name = "caf\udce9\0"  # a file's name as the system gives it, in no UTF-8

    async def read(_context):
        raise FileNotFoundError(name)

    await jobs.enqueue("read", options=EnqueueOptions(max_attempts=1))
    assert await Worker(jobs, {"read": read}).run(until="idle") == 1
    (group,) = await jobs.failures(jobs.now() - timedelta(hours=1))
    assert (group.reason, group.count) == (r"FileNotFoundError: caf\udce…\…", 1)


async def test_a_tally_is_bounded_and_counts_under_other_what_is_beyond(clock):
    tally = TaskTally()
    for number in range(MOST_ROWS + 50):
        tally.add(ended(f"t{number}", clock(), None))
    minutes = {key.task: sums for key, sums in tally.take().figures.items() if key.span == "minute"}
    assert tally.since is None
    assert len(minutes) == MOST_ROWS + 1
    assert minutes[OTHER].counts == {"succeeded": 50}
    assert minutes["t0"].counts == {"succeeded": 1}


async def test_what_can_not_be_written_is_kept_and_written_the_next_time(clock):
    async with open_store("memory://", JOB_ENTITIES, clock=clock) as store:
        jobs = Jobs(store)
        jobs.tally.add(ended("a", clock(), timedelta(seconds=1), error="no"))
        with pytest.raises(ConfigurationError):
            await jobs.write_figures()  # there are no tables yet
        await store.create_schema()
        jobs.tally.add(ended("a", clock(), timedelta(seconds=1)))
        await jobs.write_figures()
        await jobs.write_figures()
        assert [(each.succeeded, each.timed) for each in await told(jobs)] == [(2, 2)]
        ((_, total),) = await jobs.task_totals()
        assert (total.succeeded, total.duration) == (2, timedelta(seconds=2))
        assert [each.count for each in await jobs.failures(clock())] == [1]


def ended(task, at, duration, *, status=JobStatus.SUCCEEDED, error=None):
    return AttemptEnd(
        job_id=UUID(int=7),
        queue="q",
        task=task,
        at=at,
        status=status,
        duration=duration,
        error=error,
    )
