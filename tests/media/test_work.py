"""The detection job on the library: what its end leaves, whatever happens meanwhile."""

import asyncio
import contextlib
from datetime import timedelta

import pytest

from holdfast.jobs import Job, JobStatus, Worker, WorkerOptions
from holdfast.media import Clip
from holdfast.media.detection_job import DetectionHandler
from holdfast.platform import open_platform
from holdfast.settings import Settings
from media.films import film
from media.waiting_detector import Meanwhile


@pytest.fixture
async def platform(tmp_path):
    async with open_platform(Settings(data=tmp_path / "data")) as opened:
        yield opened


@pytest.fixture
async def video(platform, tmp_path):
    path = film(tmp_path / "long.mp4", frames=250, size=(160, 120))
    return (await platform.library.ingest(path, project="p")).video


async def stored(platform, video):
    return {info.key for info in await platform.library.objects(video.id)}


async def under_way(platform, *, lease=timedelta(seconds=15)):
    """A worker that has begun to look at the video, and its task."""
    flag = platform.settings.data / "begun"
    work = DetectionHandler(platform.library, Meanwhile(flag), platform.settings.work_folder)
    worker = Worker(platform.jobs, work.handlers, options=WorkerOptions(lease=lease))
    task = asyncio.create_task(worker.run(until="one"))
    async with asyncio.timeout(120):
        while not flag.exists():
            if task.done():  # so busy a machine that the lease was lost before the detector began
                task = asyncio.create_task(worker.run(until="one"))
            await asyncio.sleep(0.01)
    return task


async def test_a_job_cancelled_while_it_runs_stops_and_leaves_nothing(platform, video):
    before = await stored(platform, video)
    task = await under_way(platform, lease=timedelta(seconds=0.6))
    await platform.jobs.cancel(video.job_id)
    await task
    job = await platform.jobs.get(video.job_id)
    assert job.status is JobStatus.CANCELLED
    assert await stored(platform, video) == before
    assert list(platform.settings.work_folder.iterdir()) == []
    assert await platform.library.clips.count(Clip.video_id == video.id) == 0


async def test_a_worker_stopped_at_once_leaves_the_job_to_the_next(platform, video):
    task = await under_way(platform, lease=timedelta(seconds=0.6))
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert list(platform.settings.work_folder.iterdir()) == []
    second = Worker(platform.jobs, platform.handlers)
    while (await platform.jobs.get(video.job_id)).status is not JobStatus.SUCCEEDED:
        await second.run(until="idle")
    assert await platform.library.clips.count(Clip.video_id == video.id) == 1


async def test_a_video_deleted_while_it_is_looked_at_leaves_no_clip(platform, video):
    task = await under_way(platform)
    assert await platform.library.delete(video.id)
    await task
    job = await platform.jobs.get(video.job_id)
    assert job.status is not JobStatus.SUCCEEDED
    assert await platform.library.clips.count(Clip.video_id == video.id) == 0
    assert await stored(platform, video) == set()


async def test_looked_at_again_one_set_of_results_is_left(platform, video):
    worker = Worker(platform.jobs, platform.handlers)
    await worker.run(until="idle")
    before = await stored(platform, video)
    await platform.bucket.put(f"frames/{video.id}/track-99.jpg", b"of another time")
    await platform.jobs.enqueue("detect", {"video_id": str(video.id)})
    await worker.run(until="idle")
    assert await stored(platform, video) == before
    assert await platform.library.clips.count(Clip.video_id == video.id) == 1
    assert await platform.store.repository(Job).count(Job.status == JobStatus.SUCCEEDED) == 2
