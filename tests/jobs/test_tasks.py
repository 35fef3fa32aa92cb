import pickle
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from uuid import UUID, uuid4

import msgspec
import pytest
from pydantic import BaseModel

from holdfast.errors import ConfigurationError, InvalidValueError
from holdfast.jobs import (
    Backoff,
    Context,
    EnqueueOptions,
    HandlerOptions,
    Jobs,
    JobStatus,
    NoResultError,
    PermanentError,
    RetryLaterError,
    RetryPolicy,
    Uniqueness,
    Worker,
    runs,
    task,
    tasks,
)

pytestmark = pytest.mark.anyio


class Quality(StrEnum):
    LOW = "low"
    HIGH = "high"


@dataclass
class Size:
    width: int
    height: int


class Crop(BaseModel):
    left: int
    when: datetime


class Frame(msgspec.Struct):
    number: int
    crop: Crop | None = None


@task(queue="video")
async def resize(
    context: Context,
    video_id: UUID,
    size: Size,
    *,
    quality: Quality = Quality.HIGH,
    frames: list[Frame] | None = None,
) -> Size:
    assert isinstance(video_id, UUID)
    assert isinstance(quality, Quality)
    assert all(isinstance(frame, Frame) for frame in frames or ())
    assert frames is None or isinstance(frames[0].crop, Crop)
    return Size(size.width * 2, size.height * 2)


@task(name="words.count")
def count_words(_context, text: str):
    return len(text.split())


async def run(jobs, *given, **options):
    return await Worker(jobs, tasks(*given), **options).run(until="idle")


async def test_arguments_and_the_result_come_back_as_the_types_that_were_said(live_store):
    jobs, key = Jobs(live_store), uuid4()
    crop = Crop(left=3, when=datetime(2026, 1, 1, tzinfo=UTC))
    made = await resize.enqueue(jobs, key, Size(1, 2), frames=[Frame(7, crop)])
    assert made.job.queue == "video"
    assert made.job.payload == {
        "video_id": str(key),
        "size": {"width": 1, "height": 2},
        "frames": [{"number": 7, "crop": {"left": 3, "when": "2026-01-01T00:00:00Z"}}],
    }
    words = (await count_words.enqueue(jobs, text="a b c")).job
    with pytest.raises(NoResultError, match="queued"):
        resize.result(made.job)
    for queue in ("video", "default"):
        claim = await jobs.claim("w", queues=(queue,))
        handler = tasks(resize, count_words)[claim.job.task]
        value = handler(Context(jobs, claim, lambda _context: None))
        await jobs.complete(claim, await value if queue == "video" else value)
    assert resize.result(await jobs.get(made.job.id)) == Size(2, 4)
    assert count_words.result(await jobs.get(words.id)) == 3
    with pytest.raises(InvalidValueError, match=r"words\.count"):
        resize.result(await jobs.get(words.id))


async def test_tuples_are_kept_as_lists_and_come_back_as_tuples(live_store):
    @task()
    def swap(_context, pair: tuple[int, str], boxes: list[tuple[int, int]]) -> tuple[str, int]:
        assert boxes == [(1, 2)]
        return pair[1], pair[0]

    jobs = Jobs(live_store)
    made = (await swap.enqueue(jobs, (1, "a"), boxes=[(1, 2)])).job
    assert made.payload == {"pair": [1, "a"], "boxes": [[1, 2]]}
    assert await run(jobs, swap) == 1
    assert swap.result(await jobs.get(made.id)) == ("a", 1)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"video_id": 5, "size": Size(1, 1)}, r"Expected `uuid`, got `int` - at `\$\.video_id`"),
        ({"video_id": uuid4(), "size": Size("1", 1)}, r"\$\.size\.width"),
        ({"video_id": uuid4(), "size": Size(1, 1), "quality": "best"}, "best"),
        ({"video_id": uuid4(), "size": object()}, "object"),
        ({"video_id": uuid4(), "size": Size(1, 1), "frames": [Frame(1, {"left": "x"})]}, "left"),
    ],
)
async def test_what_the_types_do_not_hold_is_refused_before_it_is_stored(jobs, arguments, named):
    with pytest.raises(InvalidValueError, match=f"(?s)resize.*{named}"):
        await resize.enqueue(jobs, **arguments)
    with pytest.raises(TypeError, match="size"):
        await resize.enqueue(jobs, uuid4())
    assert len(await jobs.list()) == 0


async def test_a_stored_payload_that_does_not_fit_fails_its_job_at_once(live_store):
    jobs = Jobs(live_store)
    wrong = (await jobs.enqueue("words.count", {"text": 5})).job
    unknown = (await jobs.enqueue("words.count", {"text": "a", "more": 1})).job
    assert await run(jobs, count_words) == 2
    found = [await jobs.get(job.id) for job in (wrong, unknown)]
    assert [(job.status, job.attempts) for job in found] == [(JobStatus.FAILED, 1)] * 2
    assert "$.text" in found[0].error
    assert "more" in found[1].error


async def test_a_task_retries_by_its_policy(live_store):
    asked = []
    hour = Backoff(first=timedelta(hours=1), jitter=0)

    @task(retry=RetryPolicy(attempts=2, backoff=hour, permanent=(KeyError,)))
    async def fragile(context: Context, how: str) -> None:
        asked.append(how)
        if how == "later":
            raise RetryLaterError(timedelta(days=2), "the camera sleeps")
        raise {"error": ValueError, "gone": KeyError, "never": PermanentError}[how]("no")

    jobs = Jobs(live_store)
    made = {
        how: (await fragile.enqueue(jobs, how)).job for how in ("error", "gone", "never", "later")
    }
    assert {job.max_attempts for job in made.values()} == {2}
    assert await run(jobs, fragile) == 4
    found = {how: await jobs.get(job.id) for how, job in made.items()}
    assert {how: job.status.value for how, job in found.items()} == {
        "error": "queued",
        "gone": "failed",
        "never": "failed",
        "later": "queued",
    }
    assert found["later"].error == "RetryLaterError: the camera sleeps"
    for how, delay in (("error", timedelta(hours=1)), ("later", timedelta(days=2))):
        waits = found[how].run_at - found[how].started_at
        assert delay <= waits < delay + timedelta(minutes=30)


@pytest.mark.parametrize(
    ("after", "delay"),
    [
        (timedelta.max, timedelta(days=36_525)),
        (timedelta.min, timedelta(0)),
        (5, timedelta(seconds=5)),  # no delay at all, so it is the backoff's
    ],
)
async def test_a_delay_that_can_not_be_is_no_end_of_the_worker(jobs, clock, after, delay):
    async def busy(_context):
        raise RetryLaterError(after)

    job = (await jobs.enqueue("busy")).job
    assert await Worker(jobs, {"busy": busy}).run(until="one") == 1
    found = await jobs.get(job.id)
    assert (found.status, found.run_at) == (JobStatus.QUEUED, clock.time + delay)


async def test_options_of_one_call_stand_over_those_of_the_task(jobs):
    @task(
        queue="slow",
        retry=RetryPolicy(attempts=7),
        enqueue=EnqueueOptions(priority=3, tags=("a",), unique=Uniqueness()),
    )
    def work(_context, n: int) -> None: ...

    once = (await work.enqueue(jobs, 1)).job
    assert (once.queue, once.priority, once.max_attempts, once.tags) == ("slow", 3, 7, ["a"])
    assert not (await work.enqueue(jobs, 1)).created
    other = work.using(EnqueueOptions(priority=0, unique_key="k", delay=timedelta(hours=1)))
    job = (await other.enqueue(jobs, 1)).job
    assert (job.queue, job.priority, job.unique_key, job.tags) == ("slow", 0, "k", ["a"])
    made = await jobs.enqueue_many([work.new(2), other.new(2)])
    assert [each.created for each in made] == [True, False]


def test_a_task_is_pickled_by_its_place_and_says_where_it_runs():
    handler = pickle.loads(pickle.dumps(tasks(resize)["resize"]))
    assert handler.args[0] is resize

    @task(timeout=timedelta(seconds=3))
    @runs(executor="process")
    def heavy(_context, n: int) -> None: ...

    expected = HandlerOptions(executor="process", timeout=timedelta(seconds=3))
    assert tasks(heavy)["heavy"].handler_options == expected


def test_what_can_not_be_a_task_is_refused():
    @task()
    def many(_context, *values: int) -> None: ...

    @task()
    def unknown(_context, value: "Missing") -> None: ...  # noqa: F821

    @task()
    def mixed(_context, value: Crop | Context) -> None: ...

    @task()
    def alone() -> None: ...

    @task()
    def by_name(*, _context) -> None: ...

    refused = (
        (many, r"\*values"),
        (unknown, "Missing"),
        (mixed, "mixed"),
        (alone, "for the context"),
        (by_name, "for the context"),
    )
    for wrong, named in refused:
        with pytest.raises(ConfigurationError, match=named):
            tasks(wrong)
    with pytest.raises(ConfigurationError, match="two tasks"):
        tasks(resize, resize)
    with pytest.raises(ConfigurationError, match="queue"):
        task(queue="a", enqueue=EnqueueOptions(queue="b"))
    with pytest.raises(ConfigurationError, match="permanent"):
        RetryPolicy(permanent=(5,))
