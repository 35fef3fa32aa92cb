import asyncio
from datetime import UTC, date, datetime, timedelta

import pytest

from holdfast.errors import ConfigurationError, InvalidValueError
from holdfast.jobs import EnqueueOptions, JobStatus
from holdfast.jobs.job import PAYLOAD_BYTES

pytestmark = pytest.mark.anyio


async def test_a_job_is_stored_as_it_was_asked_for(jobs, clock):
    options = EnqueueOptions(queue="video", priority=3, max_attempts=7)
    made = await jobs.enqueue("thumbnail", {"video": "v1", "at": [1, 2.5, None]}, options=options)
    assert made.created
    job = await jobs.get(made.job.id)
    assert (job.task, job.queue, job.priority) == ("thumbnail", "video", 3)
    assert job.max_attempts == 7
    assert job.payload == {"video": "v1", "at": [1, 2.5, None]}
    assert job.status is JobStatus.QUEUED
    assert job.run_at == clock.time
    assert job.attempts == 0


async def test_a_job_is_gone_when_the_callers_transaction_is_rolled_back(store, jobs):
    class UndoneError(Exception):
        pass

    with pytest.raises(UndoneError):
        async with store.transaction():
            plain = await jobs.enqueue("a")
            keyed = await jobs.enqueue("b", options=EnqueueOptions(unique_key="k"))
            raise UndoneError
    assert await jobs.get(plain.job.id) is None
    assert await jobs.get(keyed.job.id) is None
    assert await jobs.claim("w") is None
    assert (await jobs.enqueue("b", options=EnqueueOptions(unique_key="k"))).created


async def test_a_duplicate_key_in_a_transaction_leaves_the_rest_of_it_whole(store, jobs):
    first = await jobs.enqueue("a", options=EnqueueOptions(unique_key="k"))
    async with store.transaction():
        other = await jobs.enqueue("b")
        again = await jobs.enqueue("a", options=EnqueueOptions(unique_key="k"))
    assert (again.job.id, again.created) == (first.job.id, False)
    assert await jobs.get(other.job.id) is not None


async def test_a_delay_and_a_time_keep_a_job_back_until_then(jobs, clock):
    later = EnqueueOptions(delay=timedelta(minutes=5))
    at = EnqueueOptions(run_at=datetime(2026, 1, 1, 0, 10, tzinfo=UTC))
    delayed = (await jobs.enqueue("a", options=later)).job
    timed = (await jobs.enqueue("a", options=at)).job
    assert await jobs.claim("w") is None
    clock.forward(minutes=5)
    claim = await jobs.claim("w")
    assert claim.job.id == delayed.id
    await jobs.complete(claim)
    assert await jobs.claim("w") is None
    clock.forward(minutes=5)
    assert (await jobs.claim("w")).job.id == timed.id


async def test_a_unique_key_gives_the_living_job_until_it_ends(jobs):
    once = EnqueueOptions(unique_key="nightly")
    first = await jobs.enqueue("report", options=once)
    assert first.created
    assert not (await jobs.enqueue("report", options=once)).created
    claim = await jobs.claim("w")
    running = await jobs.enqueue("report", options=once)
    assert (running.created, running.job.id) == (False, first.job.id)
    ended = await jobs.complete(claim)
    assert ended.unique_key == "nightly"
    second = await jobs.enqueue("report", options=once)
    assert second.created
    assert second.job.id != first.job.id
    await jobs.cancel(second.job.id)
    third = await jobs.enqueue("report", options=once)
    assert third.created
    await jobs.fail(await jobs.claim("w"), "no", retry=False)
    assert (await jobs.enqueue("report", options=once)).created


async def test_of_many_who_enqueue_one_key_at_once_one_makes_the_job(jobs):
    once = EnqueueOptions(unique_key="k")
    made = await asyncio.gather(*(jobs.enqueue("a", options=once) for _ in range(20)))
    assert sum(one.created for one in made) == 1
    assert len({one.job.id for one in made}) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_attempts": 0},
        {"delay": timedelta(seconds=-1)},
        {"delay": 5},
        {"retention": 86_400},
        {"delay": timedelta(0), "run_at": datetime(2026, 1, 1, tzinfo=UTC)},
        {"queue": ""},
        {"unique_key": ""},
    ],
)
def test_options_that_can_not_be_are_refused(wrong):
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        EnqueueOptions(**wrong)


async def test_what_can_not_be_stored_is_refused_by_name(jobs):
    with pytest.raises(InvalidValueError, match=r"payload.*object"):
        await jobs.enqueue("a", {"x": object()})
    with pytest.raises(InvalidValueError, match="run_at"):
        await jobs.enqueue("a", options=EnqueueOptions(run_at=datetime(2026, 1, 1)))  # noqa: DTZ001
    for name, wrong in (("run_at", "2026-01-01"), ("run_at", date(2026, 1, 1)), ("priority", "9")):
        with pytest.raises(InvalidValueError, match=name):
            await jobs.enqueue("a", options=EnqueueOptions(**{name: wrong}))
    with pytest.raises(InvalidValueError, match="task"):
        await jobs.enqueue("")
    assert len(await jobs.list()) == 0


@pytest.mark.parametrize("delay", [timedelta.max, timedelta(days=40_000), timedelta(seconds=-1)])
def test_a_delay_beyond_all_calendars_is_refused(delay):
    with pytest.raises(ConfigurationError, match=r"delay=.*of 0 to \d+ days$"):
        EnqueueOptions(delay=delay)


async def test_options_are_no_dict(jobs):
    with pytest.raises(ConfigurationError, match=r"options=.*: expected EnqueueOptions"):
        await jobs.enqueue("a", options={"priority": 1})
    assert len(await jobs.list()) == 0


@pytest.mark.parametrize("payload", [[1, 2], "text", 7, [("a", 1)]])
async def test_a_payload_that_is_not_a_mapping_is_refused(jobs, payload):
    with pytest.raises(InvalidValueError, match=r"Job\.payload: expected a mapping"):
        await jobs.enqueue("a", payload)


async def test_a_payload_is_small(jobs):
    with pytest.raises(InvalidValueError, match=r"Job\.payload: has \d+ bytes as JSON"):
        await jobs.enqueue("a", {"text": "x" * PAYLOAD_BYTES})
    fitting = {"text": "x" * (PAYLOAD_BYTES - 20)}
    assert (await jobs.enqueue("a", fitting)).job.payload == fitting


async def test_a_tag_that_is_no_text_is_refused_and_no_row_of_it_is_left(jobs):
    with pytest.raises(InvalidValueError, match=r"Job\.tags"):
        await jobs.enqueue("t", options=EnqueueOptions(tags=("a", None)))
    assert await jobs.claim("w") is None
