import asyncio
from dataclasses import dataclass
from datetime import timedelta

import pytest

from holdfast import Entity, Field, generated_key, open_store
from holdfast.errors import (
    ConfigurationError,
    EventTimeoutError,
    InvalidValueError,
    LeaseLostError,
    TransactionError,
)
from holdfast.jobs import JOB_ENTITIES, EnqueueOptions, Job, Jobs, JobStatus, Worker

pytestmark = pytest.mark.anyio


class Write(Entity, table="writes"):
    id: Field[int] = generated_key()
    by: Field[str]


@dataclass
class Probe:
    width: int
    codecs: tuple[str, ...]


@pytest.fixture
async def store(clock):
    async with open_store("memory://", [Write, *JOB_ENTITIES], clock=clock) as store:
        await store.create_schema()
        yield store


class Calls(list):
    """What was called, in order; each entry of it is a function to give a step."""

    def __call__(self, value, fails=0):
        self.append(value)
        if self.count(value) <= fails:
            raise OSError(value)
        return value


async def run(jobs, handler):
    return await Worker(jobs, {"work": handler}).run(until="idle")


async def test_steps_sleeps_and_waits_are_done_once_on_every_backend(every_jobs, clock):
    jobs, calls, runs = every_jobs, Calls(), Calls()

    async def work(context):
        runs(context.job.attempts)
        first = await context.step("probe", calls, "probe")
        await context.sleep(timedelta(hours=1))
        parts = await asyncio.gather(*(context.step("part", calls, n) for n in range(3)))
        if len(runs) == 2:
            raise OSError("once")
        by = await context.wait_for("approved", timeout=timedelta(days=1))
        try:
            await context.wait_for("published", timeout=timedelta(days=1))
        except EventTimeoutError:
            return [first, parts, by]

    job = (await jobs.enqueue("work")).job
    await run(jobs, work)
    asleep = await jobs.get(job.id)
    assert (asleep.status, asleep.attempts) == (JobStatus.QUEUED, 0)
    await run(jobs, work)
    clock.forward(hours=1)
    await run(jobs, work)  # fails behind the parts
    clock.forward(seconds=5)
    await run(jobs, work)
    waiting = await jobs.get(job.id)
    assert (waiting.status, waiting.event) == (JobStatus.WAITING, "approved")
    clock.forward(hours=23)
    assert (await jobs.signal(job.id, "other")).status is JobStatus.WAITING
    assert (await jobs.signal(job.id, "approved", {"by": "ann"})).status is JobStatus.QUEUED
    await run(jobs, work)
    clock.forward(days=1)
    await run(jobs, work)
    done = await jobs.get(job.id)
    assert (done.status, done.result) == (JobStatus.SUCCEEDED, ["probe", [0, 1, 2], {"by": "ann"}])
    assert ({*calls}, len(calls), runs) == ({"probe", 0, 1, 2}, 4, [1, 1, 2, 2, 2])
    steps = [step.label for step in await jobs.steps(job.id)]
    assert steps[:2] + sorted(steps[2:5]) + steps[5:] == [
        "probe", "sleep", "part", "part#1", "part#2", "wait for approved", "wait for published",
    ]  # fmt: skip


async def test_signals_that_come_first_are_kept_and_each_ends_one_wait(jobs):
    async def work(context):
        first = [await context.wait_for("go") for _ in range(2)]
        context.progress(0.5, "two")
        return [*first, await context.wait_for("go")]

    job = (await jobs.enqueue("work")).job
    for number in range(2):
        await jobs.signal(job.id, "go", number)
    await run(jobs, work)
    waiting = await jobs.get(job.id)
    assert (waiting.status, waiting.message) == (JobStatus.WAITING, "two")
    await jobs.signal(job.id, "go", 2)
    await run(jobs, work)
    assert (await jobs.get(job.id)).result == [0, 1, 2]


async def test_a_signal_between_the_look_and_the_putting_aside_is_not_lost(jobs, monkeypatch):
    look = jobs.unused_signal

    async def looked(job_id, event):
        found = await look(job_id, event)
        if found is None:
            await jobs.signal(job_id, "other")
            await jobs.signal(job_id, event, "late")
        return found

    monkeypatch.setattr(jobs, "unused_signal", looked)

    async def work(context):
        return await context.wait_for("go")

    job = (await jobs.enqueue("work")).job
    await run(jobs, work)
    assert (await jobs.get(job.id)).result == "late"


async def test_what_a_step_returns_is_of_the_same_type_each_time(jobs, clock):
    seen = []

    def probe(path: str) -> Probe:
        return Probe(len(path), ("h264",))

    async def work(context):
        seen.append(await context.step("probe", probe, "abc"))
        raise OSError

    await jobs.enqueue("work", options=EnqueueOptions(max_attempts=2))
    await run(jobs, work)
    clock.forward(minutes=1)
    await run(jobs, work)
    assert seen == [Probe(3, ("h264",))] * 2


async def test_a_plain_handler_has_the_same_steps(jobs, clock):
    calls = Calls()

    def work(context):
        first = context.blocking.step("probe", calls, "probe")
        context.blocking.sleep(timedelta(hours=1))
        second = context.blocking.step("probe", calls, "again")
        return [first, second, context.blocking.wait_for("go", into=list[int])]

    job = (await jobs.enqueue("work")).job
    await run(jobs, work)
    clock.forward(hours=1)
    await run(jobs, work)
    await jobs.signal(job.id, "go", [1, 2])
    await run(jobs, work)
    done = await jobs.get(job.id)
    assert (done.result, calls) == (["probe", "again", [1, 2]], ["probe", "again"])


async def test_a_step_in_a_transaction_is_recorded_with_what_it_has_written(store, jobs):
    writes = store.repository(Write)

    async def write(by):
        await writes.add(Write(by=by))
        return by

    async def both(context, *, fails):
        async with store.transaction():
            found = [await context.step("write", write, by) for by in "ab"]
            if fails:
                raise KeyError
        return found

    async def work(context):
        with pytest.raises(KeyError):
            await both(context, fails=True)
        found = await both(context, fails=False)
        return [*found, await context.step("write", write, "c")]

    job = (await jobs.enqueue("work")).job
    await run(jobs, work)
    assert (await jobs.get(job.id)).result == ["a", "b", "c"]
    steps = [(step.label, step.after) for step in await jobs.steps(job.id)]
    assert steps == [("write", ""), ("write#1", "write"), ("write#2", "write#1")]
    assert [each.by for each in await writes.find()] == ["a", "b", "c"]


async def test_a_job_that_began_before_its_deadline_goes_on_behind_it(jobs, clock):
    async def work(context):
        await context.sleep(timedelta(hours=2))

    options = EnqueueOptions(deadline=clock() + timedelta(hours=1))
    job = (await jobs.enqueue("work", options=options)).job
    await run(jobs, work)
    clock.forward(hours=2)
    await run(jobs, work)
    assert (await jobs.get(job.id)).status is JobStatus.SUCCEEDED


async def test_a_zombie_records_nothing(jobs, clock):
    async def work(context):
        clock.forward(minutes=2)
        taken = await jobs.claim("other")
        assert taken.job.id == context.job.id
        with pytest.raises(LeaseLostError):
            await context.step("probe", Calls(), "probe")
        return "zombie"

    job = (await jobs.enqueue("work")).job
    await run(jobs, work)
    stored = await jobs.get(job.id)
    assert (stored.status, stored.result) == (JobStatus.RUNNING, None)
    assert await jobs.steps(job.id) == []


async def fails_after(jobs, clock, first, second):
    """Run a job by the code *first*, which fails, then by *second*; return its error."""
    job = (await jobs.enqueue("work", options=EnqueueOptions(max_attempts=2))).job
    await run(jobs, first)
    clock.forward(minutes=1)
    await run(jobs, second)
    return await jobs.get(job.id)


def code(*names, end=OSError):
    async def work(context):
        for name in names:
            await context.step(name, Calls(), name)
        raise end

    return work


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (("b", "a"), "at its beginning the handler comes to 'b'"),
        (("a", "c"), "after the step 'a' the handler comes to 'c', where it had come to 'b'"),
        (("b",), "'b' is recorded already"),
    ],
)
async def test_changed_code_is_found_and_named(jobs, clock, now, said):
    job = await fails_after(jobs, clock, code("a", "b"), code(*now))
    assert job.status is JobStatus.FAILED
    assert "StepsChangedError" in job.error
    assert said in job.error


async def test_code_that_goes_another_way_after_a_failed_step_is_not_changed_code(jobs, clock):
    calls = Calls()

    async def work(context):
        try:
            found = await context.step("primary", calls, "primary", 1)
        except OSError:
            found = await context.step("fallback", calls, "fallback")
            raise
        return found

    job = await fails_after(jobs, clock, work, work)
    assert (job.status, job.result) == (JobStatus.SUCCEEDED, "primary")


async def test_lines_that_run_at_once_may_come_to_their_steps_in_any_order(jobs, clock):
    calls, gates = Calls(), {"a": asyncio.Event(), "b": asyncio.Event()}

    async def line(context, name, other):
        await context.step(f"{name}1", calls, f"{name}1")
        await gates[name].wait()
        await context.step(f"{name}2", calls, f"{name}2")
        gates[other].set()

    async def work(context):
        await asyncio.gather(line(context, "a", "b"), line(context, "b", "a"))
        await context.step("end", calls, "end")
        raise OSError

    gates["b"].set()
    job = (await jobs.enqueue("work", options=EnqueueOptions(max_attempts=2))).job
    await run(jobs, work)
    assert calls == ["a1", "b1", "b2", "a2", "end"]
    clock.forward(minutes=1)
    await run(jobs, work)
    assert "OSError" in (await jobs.get(job.id)).error
    assert len(calls) == 5


async def test_a_handler_that_goes_on_after_it_was_put_aside_changes_nothing(jobs, clock):
    calls = Calls()

    async def work(context):
        try:
            await context.sleep(timedelta(hours=1))
        except BaseException:  # noqa: BLE001 - what a careless handler does
            calls("caught")
            return "too early"
        return "slept"

    job = (await jobs.enqueue("work")).job
    await run(jobs, work)
    assert (await jobs.get(job.id)).status is JobStatus.QUEUED
    clock.forward(hours=1)
    await run(jobs, work)
    assert (await jobs.get(job.id)).result == "slept"


async def test_a_job_that_is_to_be_cancelled_is_not_put_aside(jobs, clock):
    async def work(context):
        await jobs.cancel(context.job.id)
        await context.wait_for("never")

    job = (await jobs.enqueue("work")).job
    await run(jobs, work)
    assert (await jobs.get(job.id)).status is JobStatus.CANCELLED
    waiting = (await jobs.enqueue("work")).job
    await run(jobs, lambda context: context.blocking.wait_for("never"))
    assert (await jobs.cancel(waiting.id)).status is JobStatus.CANCELLED


async def test_what_can_not_be_is_refused(store, jobs):
    refused = []

    async def work(context):
        async with store.transaction():
            with pytest.raises(TransactionError, match="inside a transaction"):
                await context.sleep(timedelta(1))
        with pytest.raises(ConfigurationError, match="as a whole"):
            await asyncio.gather(context.wait_for("go"))
        with pytest.raises(ConfigurationError, match="plain handlers"):
            context.blocking.step("a", str)
        with pytest.raises(ConfigurationError, match="plain handlers"):
            context.blocking.sleep(timedelta(1))
        with pytest.raises(InvalidValueError, match="no JSON"):
            await context.step("a", object)
        with pytest.raises(InvalidValueError, match="1 to 200"):
            await context.step("", str)
        with pytest.raises(InvalidValueError, match="NUL"):
            await context.step("a\0", pytest.fail, "it is not called")
        for event, named in (("go\0", "NUL"), (5, "1 to 200")):
            with pytest.raises(InvalidValueError, match=named):
                await context.wait_for(event)
        refused.append(True)

    await jobs.enqueue("work")
    await run(jobs, work)
    assert refused


@pytest.mark.parametrize(
    "part",
    [
        lambda context: context.step("a", pytest.fail, "it is not called"),
        lambda context: context.sleep(timedelta(1)),
        lambda context: context.wait_for("go"),
    ],
    ids=["step", "sleep", "wait"],
)
async def test_a_store_with_plain_jobs_names_what_steps_need(clock, part):
    async with open_store("memory://", [Job], clock=clock) as store:
        await store.create_schema()
        jobs = Jobs(store)

        async def work(context):
            await part(context)

        job = (await jobs.enqueue("work", options=EnqueueOptions(max_attempts=1))).job
        await run(jobs, work)
        found = await jobs.get(job.id)
        assert found.status is JobStatus.FAILED
        assert "JOB_ENTITIES" in found.error
        with pytest.raises(ConfigurationError, match="JOB_ENTITIES"):
            await jobs.signal(job.id, "go")
