"""What is kept of a job beside it: the lines of its log, and its attempts."""

from datetime import timedelta
from uuid import uuid4

import pytest

from holdfast import open_store
from holdfast.errors import ConfigurationError, InvalidQueryError, InvalidValueError, LeaseLostError
from holdfast.jobs import (
    JOB_ENTITIES,
    AttemptOutcome,
    EnqueueOptions,
    Job,
    JobAttempt,
    JobLogLine,
    Jobs,
    LogLevel,
    Worker,
)
from holdfast.jobs.history.job_log import LINES_AT_ONCE, LOG_LINES, LogBuffer, log_line, unwritten

pytestmark = pytest.mark.anyio


@pytest.fixture
async def store(url, clock):
    async with open_store(url, JOB_ENTITIES, clock=clock) as store:
        await store.create_schema()
        yield store


def lines_of(jobs, *texts, level="info"):
    return [log_line(text, level, jobs.now()) for text in texts]


async def test_a_handler_logs_and_its_lines_are_read_in_order_by_page_and_by_level(store):
    jobs = Jobs(store)

    async def work(context):
        context.log("began")
        context.log("odd", level="warning")
        context.log("x" * 5_000, level=LogLevel.ERROR)
        with pytest.raises(InvalidValueError, match="debug, info, warning, error"):
            context.log("?", level="loud")

    job = (await jobs.enqueue("a")).job
    await Worker(jobs, {"a": work}).run(until="idle")
    found = await jobs.log(job.id)
    assert [(line.position, line.level, line.text[:5]) for line in found] == [
        (1, "info", "began"),
        (2, "warning", "odd"),
        (3, "error", "xxxxx"),
    ]
    assert found[0].attempt == 1
    assert len(found[2].text) == 1_000
    assert [line.position for line in await jobs.log(job.id, after=1, size=1)] == [2]
    loud = await jobs.log(job.id, at_least=LogLevel.WARNING)
    assert [line.text[:3] for line in loud] == ["odd", "xxx"]
    assert await jobs.log(uuid4()) == []
    with pytest.raises(InvalidQueryError, match="size"):
        await jobs.log(job.id, size=501)


async def test_a_log_keeps_the_latest_lines_and_says_by_a_gap_what_came_too_fast(store, jobs):
    await jobs.enqueue("a")
    claim = await jobs.claim("w")
    for start in range(0, LOG_LINES, LINES_AT_ONCE):
        numbers = range(start, min(start + LINES_AT_ONCE, LOG_LINES))
        await jobs.write_log(claim, lines_of(jobs, *numbers))
    await jobs.write_log(claim, lines_of(jobs, "the last"), dropped=7)
    positions = [line.position for line in await jobs.log(claim.job.id, size=500)]
    assert positions == [*range(9, LOG_LINES + 1), LOG_LINES + 8]
    assert await store.repository(JobLogLine).count() == len(positions)

    buffer = LogBuffer()
    for number in range(LOG_LINES + 3):
        buffer.add(log_line(number, "info", jobs.now()))
    taken, dropped = buffer.take()
    assert (taken[0].text, dropped) == ("3", 3)
    buffer.put_back(taken, dropped)
    assert buffer.take() == (taken, 3)


async def test_a_worker_whose_lease_is_over_writes_no_line(store, jobs, clock):
    await jobs.enqueue("a")
    claim = await jobs.claim("w")
    clock.forward(hours=1)
    with pytest.raises(LeaseLostError):
        await jobs.write_log(claim, lines_of(jobs, "late"))
    assert await store.repository(JobLogLine).count() == 0


async def test_lines_whose_answer_was_lost_are_not_written_twice(store, jobs):
    await jobs.enqueue("a")
    claim = await jobs.claim("w")
    first, second = lines_of(jobs, "one", "two")
    await jobs.write_log(claim, [first])
    assert await unwritten(store, [first, second]) == [second]
    await jobs.write_log(claim, [first, second])
    await jobs.write_log(claim, [first, second])
    assert [line.text for line in await jobs.log(claim.job.id)] == ["one", "two"]


async def test_lines_logged_before_complete_are_kept_with_it(store):
    jobs = Jobs(store)

    async def work(context):
        context.log("almost")
        async with store.transaction():
            await context.complete("ok")

    job = (await jobs.enqueue("a")).job
    await Worker(jobs, {"a": work}).run(until="idle")
    assert [line.text for line in await jobs.log(job.id)] == ["almost"]


async def test_every_attempt_is_told_with_its_worker_its_times_and_its_end(store, jobs, clock):
    job = (await jobs.enqueue("a", options=EnqueueOptions(max_attempts=4))).job
    began = []
    assert await jobs.attempts(job.id) == []

    async def claimed(worker):
        clock.forward(hours=2)
        began.append(clock())
        return await jobs.claim(worker)

    failed = await claimed("one")
    clock.forward(seconds=5)
    await jobs.fail(failed, "ValueError: 7")
    await claimed("two")  # which dies
    third = await claimed("three")
    assert [each.outcome for each in await jobs.attempts(job.id)] == ["failed", "lost", None]
    await jobs.complete(third)
    found = await jobs.attempts(job.id)
    assert [(each.number, each.worker, each.outcome) for each in found] == [
        (1, "one", AttemptOutcome.FAILED),
        (2, "two", AttemptOutcome.LOST),
        (3, "three", AttemptOutcome.SUCCEEDED),
    ]
    assert [each.began_at for each in found] == began
    assert found[0].ended_at - found[0].began_at == timedelta(seconds=5)
    assert found[0].error == "ValueError: 7"
    assert "the lease of worker two" in found[1].error
    assert found[2].ended_at == clock()
    assert await store.repository(JobAttempt).count() == 2  # the job itself tells of the third


async def test_a_cancelled_attempt_is_told_and_a_refused_end_is_not(store, jobs, clock):
    job = (await jobs.enqueue("a")).job
    claim = await jobs.claim("w")
    await jobs.cancel(job.id)
    await jobs.stopped(claim)
    with pytest.raises(LeaseLostError):
        await jobs.fail(claim, "late")
    assert [each.outcome for each in await jobs.attempts(job.id)] == ["cancelled"]


async def test_a_store_with_jobs_alone_is_a_plain_queue_and_says_what_it_lacks(url):
    async with open_store(url, [Job]) as store:
        await store.create_schema()
        jobs = Jobs(store)
        refused = []

        async def work(context):
            try:
                context.log("x")
            except ConfigurationError as error:
                refused.append(str(error))
            raise ValueError("no")

        job = (await jobs.enqueue("a", options=EnqueueOptions(max_attempts=1))).job
        assert await Worker(jobs, {"a": work}).run(until="idle") == 1
        assert (await jobs.get(job.id)).error == "ValueError: no"
        for read in (jobs.log(job.id), jobs.attempts(job.id), jobs.failures(jobs.now())):
            with pytest.raises(ConfigurationError) as caught:
                await read
            refused.append(str(caught.value))
        assert all("JOB_ENTITIES" in text for text in refused)
        assert len(refused) == 4
