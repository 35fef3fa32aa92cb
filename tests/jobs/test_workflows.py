import asyncio
from datetime import timedelta

import pytest

from holdfast import open_store, sync
from holdfast.errors import (
    ConfigurationError,
    DuplicateError,
    IllegalTransitionError,
    InvalidValueError,
    NotFoundError,
)
from holdfast.jobs import (
    JOB_ENTITIES,
    EnqueueOptions,
    Job,
    Jobs,
    JobStatus,
    JobStep,
    NewJob,
    OnFailure,
    PermanentError,
    Worker,
    Workflow,
    Workflows,
)
from holdfast.uuid7 import uuid7

pytestmark = pytest.mark.anyio
ONCE = EnqueueOptions(max_attempts=1)


@pytest.fixture
async def store(clock):
    async with open_store("memory://", JOB_ENTITIES, clock=clock) as store:
        await store.create_schema()
        yield store


@pytest.fixture
def flows(jobs):
    return Workflows(jobs)


class Done(list):
    """A handler that writes down the names of its jobs; those in *bad* fail."""

    def __init__(self, *bad):
        super().__init__()
        self.bad = set(bad)

    async def __call__(self, context):
        self.append(context.job.name)
        if context.job.name in self.bad:
            raise PermanentError("bad")
        return context.job.name


async def run(jobs, handler):
    return await Worker(jobs, {"work": handler}).run(until="idle")


async def standing(flows, run):
    return {job.name: job.status.value for job in await flows.jobs(run.id)}


async def test_a_workflow_runs_in_order_on_every_backend(every_jobs, clock):
    jobs, flows = every_jobs, Workflows(every_jobs)
    flow = Workflow("video")
    probe = flow.job("probe")
    split = flow.job("split", after=[probe])
    join = flow.job("join", after=[split])
    flow.job("notify", after=[join, probe], if_failed=OnFailure.RUN)
    seen = []

    async def fan_out(context):
        more = Workflow("parts", part_of=context.job.workflow_id)
        (joins,) = await flows.jobs(context.job.workflow_id, name="join")
        for number in range(3):
            more.job("detect", {"part": number}, after=[context.job], before=[joins])
        await context.start(more)
        seen.append(await context.result_of("probe"))
        if len(seen) == 1:
            raise OSError("after the parts were started")

    async def joined(context):
        return sorted(await context.results_of("detect"))

    handlers = {
        "probe": lambda _: "h264",
        "split": fan_out,
        "detect": lambda context: context.payload["part"],
        "join": joined,
        "notify": lambda _: seen.append("told"),
    }
    empty, started = await flows.start(Workflow("video")), await flows.start(flow)
    first, second = await flows.statuses([empty, started])
    assert (first.counts[JobStatus.WAITING], second.counts[JobStatus.WAITING]) == (0, 3)
    await Worker(jobs, handlers).run(until="idle")
    status = await flows.status(started.id)
    assert (status.run.size, status.counts[JobStatus.QUEUED], status.fraction) == (7, 1, 1 / 7)
    clock.forward(seconds=5)
    await Worker(jobs, handlers).run(until="idle")
    status = await flows.status(started.id)
    assert status.succeeded, await standing(flows, started)
    (join,) = await flows.jobs(started.id, name="join")
    assert (join.result, seen) == ([0, 1, 2], ["h264", "h264", "told"])
    runs = await flows.runs(name="video", size=1)
    more = await flows.runs(name="video", size=1, cursor=runs.next)
    assert {run.id for run in (*runs, *more)} == {empty.id, started.id}
    every = await flows.jobs(started.id)
    assert await flows.jobs(started.id, after=every[1].id, limit=2) == every[2:4]
    links = await flows.links([join.id, split.id])
    assert {link.job_id for link in links} == {join.id, split.id}
    assert (len(links), len(await flows.links([join.id, split.id], limit=3))) == (5, 3)

    clock.forward(seconds=1)
    assert await jobs.purge(timedelta(0)) == 7
    with pytest.raises(NotFoundError):
        await flows.status(started.id)
    assert await flows.awaited_by(join.id) == []
    assert await jobs.store.repository(JobStep).get((split.id, 0)) is None


@pytest.mark.parametrize(
    ("policy", "child", "grandchild"),
    [
        (OnFailure.CANCEL, "cancelled", "cancelled"),
        (OnFailure.RUN, "succeeded", "succeeded"),
        (OnFailure.WAIT, "waiting", "waiting"),
    ],
)
async def test_what_waits_for_a_job_that_failed_is_as_its_policy_says(
    jobs, flows, policy, child, grandchild
):
    flow = Workflow("w")
    bad, good = flow.job("work", name="bad"), flow.job("work", name="good")
    one = flow.job("work", name="child", after=[bad, good], if_failed=policy)
    flow.job("work", name="grandchild", after=[one])
    started = await flows.start(flow)
    handler = Done("bad")
    await run(jobs, handler)
    expected = {"bad": "failed", "good": "succeeded", "child": child, "grandchild": grandchild}
    assert await standing(flows, started) == expected

    handler.bad.clear()
    again = [name for name in expected if expected[name] in ("failed", "cancelled")]
    assert await flows.retry(started.id) == len(again)
    handler.clear()
    await run(jobs, handler)
    waited = [name for name in expected if expected[name] == "waiting"]
    assert sorted(handler) == sorted([*again, *waited])
    assert (await flows.status(started.id)).succeeded
    assert await flows.retry(started.id) == 0
    rows = await flows.jobs(started.id)
    assert {(job.pending, job.dependents, job.awaited) for job in rows} == {(0, 0, False)}


async def test_a_retried_part_keeps_its_steps(jobs, flows):
    calls = []

    async def work(context):
        await context.step("count", calls.append, "called")
        if context.job.name == "bad" and len(calls) < 3:
            calls.append("failed")
            raise PermanentError("bad")

    flow = Workflow("w")
    flow.job("work", name="bad")
    started = await flows.start(flow)
    await run(jobs, work)
    calls.append("mended")
    await flows.retry(started.id)
    await run(jobs, work)
    assert (await flows.status(started.id)).succeeded
    assert calls == ["called", "failed", "mended"]


async def test_a_batch_tells_when_all_are_at_their_end_however_they_end(jobs, flows):
    batch = Workflow("batch")
    for name in ("a", "bad", "c"):
        batch.job("work", name=name)
    batch.then("tell")
    started = await flows.start(batch)
    told = []

    async def tell(context):
        told.append([(job.name, job.status) for job in await flows.awaited_by(context.job.id)])

    await Worker(jobs, {"work": Done("bad"), "tell": tell}).run(until="idle")
    ok, failed = JobStatus.SUCCEEDED, JobStatus.FAILED
    assert told == [[("a", ok), ("bad", failed), ("c", ok)]]
    assert (await flows.status(started.id)).failed


async def test_a_circle_is_found_before_anything_is_stored(flows, store):
    flow = Workflow("w")
    a = flow.job("work", name="a")
    b = flow.job("work", name="b", after=[a])
    flow.job("work", name="c", after=[b], before=[a])
    with pytest.raises(InvalidValueError, match=r"in a circle: \w after \w"):
        await flows.start(flow)
    assert await store.repository(Job).count() == 0


async def test_a_circle_through_jobs_that_are_stored_is_found(flows):
    flow = Workflow("w")
    a = flow.job("work", name="a")
    b = flow.job("work", name="b", after=[a])
    c = flow.job("work", name="c", after=[b])
    started = await flows.start(flow)
    more = Workflow("more", part_of=started.id)
    more.job("work", name="d", after=[c], before=[b])
    with pytest.raises(InvalidValueError, match="in a circle"):
        await flows.start(more)
    assert (await flows.status(started.id)).run.size == 3


async def test_what_can_not_be_added_is_refused_and_changes_nothing(jobs, flows):
    flow = Workflow("w")
    bad = flow.job("work", name="bad")
    good = flow.job("work", name="good")
    started = await flows.start(flow)
    await run(jobs, Done("bad"))
    before = await flows.jobs(started.id)

    async def adding(error, *, part_of=started.id, **links):
        more = Workflow("more", part_of=part_of)
        more.job("work", **links)
        with pytest.raises(error):
            await flows.start(more)

    await adding(IllegalTransitionError, after=[bad])
    await adding(IllegalTransitionError, before=[good])
    await adding(NotFoundError, after=[uuid7()])
    await adding(NotFoundError, part_of=uuid7())
    other = (await jobs.enqueue("work")).job
    await adding(InvalidValueError, after=[other])
    await adding(InvalidValueError, before=[other])
    assert await flows.jobs(started.id) == before
    await flows.cancel(started.id)
    await adding(IllegalTransitionError)


async def test_jobs_that_are_added_behind_one_that_has_ended_run_at_once(jobs, flows):
    flow = Workflow("w")
    good, bad = flow.job("work", name="good"), flow.job("work", name="bad")
    started = await flows.start(flow)
    await run(jobs, Done("bad"))
    more = Workflow("more", part_of=started.id)
    more.job("work", name="after", after=[good])
    more.job("work", name="anyway", after=[bad], if_failed=OnFailure.RUN)
    more.job("work", name="on", after=[bad], if_failed=OnFailure.WAIT)
    await flows.start(more)
    done = Done()
    await run(jobs, done)
    assert sorted(done) == ["after", "anyway"]
    assert (await standing(flows, started))["on"] == "waiting"
    await flows.retry(started.id)
    await run(jobs, done)
    assert (await flows.status(started.id)).succeeded


async def test_cancelling_the_whole_ends_what_has_not_begun_and_asks_what_runs(jobs, flows):
    flow = Workflow("w")
    running = flow.job("work", name="running")
    queued = flow.job("work", name="queued")
    flow.job("work", name="waiting", after=[running, queued])
    started = await flows.start(flow)
    claim = await jobs.claim("me")
    status = await flows.cancel(started.id)
    assert status.counts[JobStatus.CANCELLED] == 2
    assert not status.finished
    assert (await jobs.heartbeat(claim)).cancel_requested
    await jobs.stopped(claim)
    assert await jobs.release_waiting() == 0
    assert (await flows.cancel(started.id)).finished
    assert await jobs.claim("me") is None


async def test_a_retried_job_that_had_waited_for_an_event_waits_for_others_alone(jobs, flows):
    async def waiting(context):
        await context.wait_for("go")

    flow = Workflow("w")
    first = flow.job("work", name="first")
    second = flow.job("work", name="second", after=[first], if_failed=OnFailure.RUN)
    started = await flows.start(flow)
    await jobs.fail(await jobs.claim("w"), "bad", retry=False)
    await run(jobs, waiting)
    await flows.cancel(started.id)
    await flows.retry(started.id)
    assert (await jobs.signal(second.id, "go")).status is JobStatus.WAITING


async def test_one_that_waits_on_goes_on_when_the_failed_one_is_retried_alone(every_live_store):
    jobs = Jobs(every_live_store)
    flows = Workflows(jobs)
    flow = Workflow("w")
    bad = flow.job("work", name="bad")
    flow.job("work", name="on", after=[bad], if_failed=OnFailure.WAIT)
    flow.job("work", name="never", after=[bad])
    started = await flows.start(flow)
    await run(jobs, Done("bad"))
    for handler in (Done("bad"), Done()):
        await jobs.retry(bad.id)
        await run(jobs, handler)
    assert handler == ["bad", "on"]
    assert (await standing(flows, started))["never"] == "cancelled"


async def test_a_job_that_was_retried_alone_waits_for_its_event_alone(jobs, flows):
    async def waiting(context):
        await context.wait_for("go")

    flow = Workflow("w")
    first = flow.job("work", name="first")
    second = flow.job("work", name="second", after=[first])
    await flows.start(flow)
    claim = await jobs.claim("w")
    await jobs.cancel(second.id)
    await jobs.retry(second.id)
    await run(jobs, waiting)
    await jobs.fail(claim, "bad", retry=False)
    assert await run(jobs, waiting) == 0
    assert (await jobs.get(second.id)).status is JobStatus.WAITING


async def test_an_end_that_others_are_to_be_told_of_is_not_removed(every_live_store):
    jobs = Jobs(every_live_store)
    flows = Workflows(jobs)
    at_once = EnqueueOptions(retention=timedelta(0))
    flow = Workflow("w")
    first = flow.add(NewJob("work", options=at_once), name="first")
    gone = flow.add(NewJob("work", options=at_once), name="gone", after=[first])
    last = flow.job("work", name="last", after=[first])
    await flows.start(flow)
    claim = await jobs.claim("dies now")
    await jobs.cancel(gone.id)
    assert await jobs.purge_expired() == 1
    await jobs.complete(claim)
    assert await jobs.purge_expired() == 0
    assert await run(jobs, done := Done()) == 1
    assert done == ["last"]
    assert (await jobs.get(first.id)).awaited is False
    assert await jobs.purge_expired() == 1
    assert (await jobs.get(last.id)).status is JobStatus.SUCCEEDED


async def test_an_end_that_nobody_could_tell_of_is_told_of_by_whoever_claims_next(jobs, flows):
    flow = Workflow("w")
    flow.job("work", name="after", after=[flow.job("work", name="first")])
    await flows.start(flow)
    await jobs.complete(await jobs.claim("dies now"))
    assert (await Jobs(jobs.store).claim("other")).job.name == "after"


async def test_jobs_that_end_at_once_release_what_waits_for_them_once(every_live_store):
    store = every_live_store
    jobs, flows = Jobs(store), Workflows(Jobs(store))
    size = 8 if store.backend == "dynamodb" else 40
    flow = Workflow("w")
    flow.then("work", name="join")
    parts = [
        flow.job("work", name="part", before=list(flow.jobs.values())[:1]) for _ in range(size)
    ]
    flow.job("work", name="twin", after=parts)
    started = await flows.start(flow)

    async def work():
        own, done = Jobs(store), []
        while True:  # a row that another one is writing is passed over, so None is not the end
            if claim := await own.claim("w"):
                await own.complete(claim)
                done.append(claim.job.name)
            elif (await flows.status(started.id)).finished:
                return done

    done = [name for each in await asyncio.gather(*(work() for _ in range(4))) for name in each]
    assert sorted(done) == ["join", *["part"] * size, "twin"]
    assert (await flows.status(started.id)).succeeded
    assert await jobs.release_waiting() == 0


async def test_hundreds_wait_for_one_and_one_for_hundreds_at_few_statements(tmp_path):
    async with open_store(f"sqlite:///{tmp_path}/jobs.db", JOB_ENTITIES) as store:
        await store.create_schema()
        jobs = Jobs(store)
        flow = Workflow("w")
        first = flow.job("work", name="first")
        for _ in range(600):
            flow.job("work", name="part", after=[first])
        parts = [each for each in flow.jobs.values() if each.name == "part"]
        flow.job("work", name="last", after=parts)
        await Workflows(jobs).start(flow)
        await jobs.complete(await jobs.claim("w"))
        before = store.stats().counters["committed"]
        assert await jobs.release_waiting() == 600
        while len(claims := await jobs.claim_many("w", 1_000)) > 1:
            await jobs.complete_many([(claim, None) for claim in claims])
        assert [claim.job.name for claim in claims] == ["last"]
        assert store.stats().counters["committed"] - before < 12


async def test_a_job_that_became_awaited_while_it_ran_tells_of_its_end(jobs, flows):
    flow = Workflow("w")
    first = flow.job("work", name="first")
    started = await flows.start(flow)
    claim = await jobs.claim("w")
    more = Workflow("more", part_of=started.id)
    more.job("work", name="second", after=[first])
    await flows.start(more)
    await jobs.complete_many([(claim, None)])
    await jobs.release_waiting()
    assert (await jobs.claim("w")).job.name == "second"


async def test_jobs_of_a_workflow_have_options_and_wait_for_their_time_too(jobs, flows, clock):
    flow = Workflow("w")
    first = flow.job("work", name="first")
    later = EnqueueOptions(delay=timedelta(hours=1), unique_key="k", queue="other")
    flow.add(NewJob("work", {"n": 1}, later), after=[first])
    await flows.start(flow)
    twice = Workflow("twice")
    twice.add(NewJob("work", options=later))
    with pytest.raises(DuplicateError, match="unique_key"):
        await flows.start(twice)
    await run(jobs, Done())
    assert await jobs.claim("w", queues=["other"]) is None
    clock.forward(hours=1)
    assert (await jobs.claim("w", queues=["other"])).job.payload == {"n": 1}


async def test_a_store_with_plain_jobs_names_what_workflows_need(clock):
    async with open_store("memory://", [Job], clock=clock) as store:
        await store.create_schema()
        with pytest.raises(ConfigurationError, match="JOB_ENTITIES"):
            Workflows(Jobs(store))


def test_workflows_and_signals_work_on_a_blocking_store():
    with sync.open_store("memory://", JOB_ENTITIES) as store:
        store.create_schema()
        jobs, call = Jobs(store.asynchronous), store.run
        flows = Workflows(jobs)
        flow = Workflow("w")
        flow.job("work", after=[flow.job("work")])
        with store.transaction():
            started = call(flows.start(flow))
        for job in call(flows.jobs(started.id)):
            claim = call(jobs.claim("w"))
            assert claim.job.id == job.id
            assert call(jobs.signal(job.id, "go")).signals == 1
            call(jobs.complete(claim))
        assert call(flows.status(started.id)).succeeded
