from datetime import timedelta
from uuid import uuid4

import pytest

from holdfast import open_store
from holdfast.errors import ConfigurationError, LeaseLostError, NotFoundError
from holdfast.jobs import (
    JOB_ENTITIES,
    EnqueueOptions,
    FigureQuery,
    Job,
    JobAttempt,
    JobFeed,
    JobFilter,
    Jobs,
    JobStatus,
    LogLevel,
    Queues,
    QueueStatistics,
)
from holdfast.jobs.history.figure_recording import roll_up
from holdfast.jobs.history.job_log import log_line

pytestmark = pytest.mark.anyio


async def test_lists_filter_and_page_the_newest_first(jobs):
    ids = [(await jobs.enqueue("a" if n % 2 else "b")).job.id for n in range(6)]
    video = (await jobs.enqueue("a", options=EnqueueOptions(queue="video"))).job.id
    await jobs.cancel(ids[0])
    assert [job.id for job in await jobs.list(queue="default")] == ids[::-1]
    assert [job.id for job in await jobs.list(task="a")] == [video, ids[5], ids[3], ids[1]]
    assert [job.id for job in await jobs.list(status=JobStatus.CANCELLED)] == [ids[0]]
    assert [job.id for job in await jobs.list(status=JobStatus.QUEUED, task="b")] == [
        ids[4],
        ids[2],
    ]
    first = await jobs.list(queue="default", size=4)
    rest = await jobs.list(queue="default", size=4, cursor=first.next)
    assert [job.id for job in (*first, *rest)] == ids[::-1]


async def test_the_position_is_the_number_of_claims_until_the_job_is_next(jobs, clock):
    async def enqueue(**options):
        return (await jobs.enqueue("a", options=EnqueueOptions(**options))).job.id

    ids = [await enqueue(priority=priority) for priority in (0, 5, 0, 5)]
    await enqueue(priority=9, queue="other")
    scheduled = await enqueue(priority=9, delay=timedelta(hours=1))
    after = await enqueue(priority=9, delay=timedelta(hours=2))
    positions = {job_id: await jobs.position(job_id) for job_id in ids}
    assert sorted(positions.values()) == [1, 2, 3, 4]
    assert await jobs.position(scheduled) == 1  # ahead of all when its time comes
    assert await jobs.position(after) == 2
    for expected in range(1, 5):
        claim = await jobs.claim("w")
        assert positions[claim.job.id] == expected
    assert await jobs.position(ids[0]) is None
    with pytest.raises(NotFoundError):
        await jobs.position(uuid4())


async def test_statistics_count_by_queue_and_status_and_tell_the_oldest(jobs, clock):
    assert await jobs.statistics() == {}
    for _ in range(3):
        await jobs.enqueue("a")
    await jobs.enqueue("a", options=EnqueueOptions(queue="later", delay=timedelta(days=1)))
    await jobs.complete(await jobs.claim("w"))
    await jobs.claim("w")
    clock.forward(minutes=7)
    found = await jobs.statistics()
    none = dict.fromkeys(JobStatus, 0)
    assert found == {
        "default": QueueStatistics(
            none | {JobStatus.QUEUED: 1, JobStatus.RUNNING: 1, JobStatus.SUCCEEDED: 1},
            timedelta(minutes=7),
        ),
        "later": QueueStatistics(none | {JobStatus.QUEUED: 1}, None),
    }


async def test_a_purge_removes_what_finished_long_ago_and_nothing_else(store, jobs, clock):
    for _ in range(4):
        await jobs.enqueue("a")
    old = await jobs.complete(await jobs.claim("w"))
    running = (await jobs.claim("w", lease=timedelta(days=9))).job
    clock.forward(days=1)
    young = await jobs.fail(await jobs.claim("w"), "x", retry=False)
    assert await jobs.purge(timedelta(hours=23)) == 1
    assert await jobs.get(old.id) is None
    assert await jobs.get(running.id) is not None
    assert await jobs.get(young.id) is not None
    assert await store.repository(Job).count() == 3
    with pytest.raises(ConfigurationError, match="older_than"):
        await jobs.purge(timedelta(days=-1))


async def test_on_every_backend_a_job_leaves_a_log_a_history_and_figures(every_jobs, clock):
    jobs, store = every_jobs, every_jobs.store
    feed = JobFeed(jobs, every=timedelta(hours=1))
    await feed.look()
    job = (await jobs.enqueue("a", options=EnqueueOptions(max_attempts=2))).job
    first = await jobs.claim("w")
    lines = [log_line(number, "info", jobs.now()) for number in range(3)]
    await jobs.write_log(first, lines[:2])
    await jobs.write_log(first, lines)  # its answer was lost: two of them are there
    await feed.look()
    assert feed.last == 1
    clock.forward(seconds=3)
    await jobs.fail(first, "ValueError: 3")
    clock.forward(hours=1)
    lost = await jobs.claim("v")
    clock.forward(hours=1)
    await jobs.make_ready()
    with pytest.raises(LeaseLostError):
        await jobs.write_log(lost, lines)
    assert [line.position for line in await jobs.log(job.id, at_least=LogLevel.INFO)] == [1, 2, 3]
    attempts = await jobs.attempts(job.id)
    assert [(each.worker, each.outcome) for each in attempts] == [("w", "failed"), ("v", "lost")]
    await feed.look()
    assert feed.last == 2  # it failed

    for _ in range(2):
        await jobs.write_figures()
    asked = FigureQuery(since=clock() - timedelta(days=1), by="queue")
    (told,) = await jobs.task_statistics(asked)
    assert (told.failed, told.retried, told.lost, told.timed) == (1, 1, 1, 1)
    assert {each.reason for each in await jobs.failures(clock() - timedelta(hours=3))} == {
        "ValueError: …",
        "the lease ran out",
    }
    clock.forward(hours=5)
    await roll_up(store)
    assert (await jobs.task_statistics(asked))[0].failed == 1
    ((queue, total),) = await jobs.task_totals()
    assert (queue, total.failed) == ("default", 1)
    await jobs.enqueue("a")
    assert (await jobs.statistics(finished=False))["default"].counts[JobStatus.QUEUED] == 1
    assert (await jobs.statistics())["default"].counts[JobStatus.FAILED] == 1
    assert await jobs.count(JobFilter(statuses=[JobStatus.FAILED], task="a").where()) == 1

    assert await jobs.purge(timedelta(hours=1)) == 1
    assert await jobs.log(job.id) == []
    assert await store.repository(JobAttempt).find(JobAttempt.job_id == job.id) == []


@pytest.fixture
async def full_store(clock):
    async with open_store("memory://", JOB_ENTITIES, clock=clock) as store:
        await store.create_schema()
        yield store


async def test_the_estimated_start_is_between_what_came_to_pass(full_store, clock):
    jobs = Jobs(full_store)
    for number in range(40):
        await jobs.enqueue("a", options=EnqueueOptions(priority=-number))
    waiting = (await jobs.enqueue("a", options=EnqueueOptions(priority=-50))).job
    unknown = await jobs.queue_position(waiting.id)
    assert (unknown.place, unknown.earliest, unknown.latest) == (41, None, None)
    for _ in range(20):  # 3 a minute
        claim = await jobs.claim("w")
        clock.forward(seconds=20)
        await jobs.complete(claim)
    await jobs.write_figures()
    told = await jobs.queue_position(waiting.id)
    assert told.place == 21
    for _ in range(20):
        claim = await jobs.claim("w")
        clock.forward(seconds=20)
        await jobs.complete(claim)
    assert told.earliest < clock() < told.latest
    assert (await jobs.claim("w")).job.id == waiting.id
    assert await jobs.queue_position(waiting.id) is None
    paused = (await jobs.enqueue("a")).job
    await Queues(full_store).pause("default")
    assert (await jobs.queue_position(paused.id)).earliest is None
