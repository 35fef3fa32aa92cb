"""What the type checkers must take of tasks."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from holdfast.jobs import (
    Context,
    EnqueueOptions,
    Job,
    Jobs,
    RetryPolicy,
    Task,
    Worker,
    task,
    tasks,
)


@dataclass
class Size:
    width: int
    height: int


@task(queue="video", timeout=timedelta(minutes=5), retry=RetryPolicy(attempts=5))
async def resize(context: Context, video_id: UUID, width: int, *, sharp: bool = False) -> Size:
    context.progress(0.5, f"{video_id} {sharp}")
    return Size(width, width)


@task(name="words.count")
def count_words(_context: Context, text: str) -> int:
    return len(text.split())


async def use(jobs: Jobs, video: UUID, job: Job) -> int:
    await resize.enqueue(jobs, video, 640)
    made = await resize.enqueue(jobs, video_id=video, width=640, sharp=True)
    later = resize.using(EnqueueOptions(delay=timedelta(minutes=1)))
    same: Task[[str], int] = count_words
    await jobs.enqueue_many([later.new(video, 640), same.new("a b"), count_words.new(text="a")])
    size: Size = resize.result(made.job)
    words: int = count_words.result(job)
    worker = Worker(jobs, tasks(resize, count_words))
    return size.width + words + await worker.run(until="idle")
