"""What the type checkers must refuse of tasks, at each line that says so."""

from uuid import UUID

from holdfast.jobs import Context, Job, Jobs, NewJob, task


@task(queue="video")
async def resize(context: Context, video_id: UUID, width: int) -> float:
    return width / len(context.payload) + video_id.int


@task()
def count_words(_context: Context, text: str) -> int:
    return len(text.split())


@task()  # refused
async def without_context() -> None: ...


async def use(jobs: Jobs, video: UUID, job: Job) -> NewJob:
    await resize.enqueue(jobs, video)  # refused
    await resize.enqueue(jobs, video_id="x", width=1)  # refused
    await resize.enqueue(jobs, video_id=video, width=1, depth=2)  # refused
    await resize.enqueue(video_id=video, width=1)  # refused
    await count_words.enqueue(jobs, 5)  # refused
    count_words.new()  # refused
    text: str = count_words.result(job)  # refused
    resized: int = resize.result(job)  # refused
    return count_words.new(f"{text}{resized}")
