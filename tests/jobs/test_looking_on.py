from datetime import timedelta
from uuid import uuid4

import pytest

from holdfast.errors import ConfigurationError, NotFoundError
from holdfast.jobs import EnqueueOptions, Job, JobStatus, QueueStatistics

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
