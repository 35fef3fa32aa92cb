import secrets
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from holdfast import open_store
from holdfast.errors import ConfigurationError, IntegrityError, InvalidValueError
from holdfast.jobs import (
    JOB_ENTITIES,
    EnqueueOptions,
    Job,
    JobEdit,
    JobKeyMissingError,
    JobKeys,
    Jobs,
    JobStatus,
    NewJob,
    Uniqueness,
    Worker,
    Workflow,
    Workflows,
    task,
    tasks,
)

pytestmark = pytest.mark.anyio
OLD, NEW = secrets.token_bytes(32), secrets.token_bytes(32)
SECRET = {"card": "4111 1111"}


@pytest.fixture
def old():
    return JobKeys({"old": OLD}, current="old")


@pytest.fixture
def new():
    return JobKeys({"old": OLD, "new": NEW}, current="new")


@task()
async def charge(_context, card: str) -> str:
    return f"charged {card}"


async def run(jobs):
    return await Worker(jobs, tasks(charge)).run(until="idle")


async def test_payload_and_result_are_sealed_in_the_store_and_open_to_the_handler(
    every_live_store, old
):
    jobs = Jobs(every_live_store, keys=old)
    made = (await charge.enqueue(jobs, card="4111 1111")).job
    assert await run(jobs) == 1
    stored = await every_live_store.repository(Job).get_one(made.id)
    assert stored.status is JobStatus.SUCCEEDED
    for value in (stored.payload, stored.result):
        assert value["holdfast:key"] == "old"
        assert "4111" not in repr(value)
    opened = jobs.opened(stored)
    assert opened.payload == SECRET
    assert charge.result(opened) == "charged 4111 1111"
    assert jobs.opened(opened) is opened


async def test_keys_are_changed_while_jobs_of_both_wait(live_store, old, new):
    first = (await charge.enqueue(Jobs(live_store, keys=old), "1")).job
    jobs = Jobs(live_store, keys=new)
    second = (await charge.enqueue(jobs, "2")).job
    plain = (await charge.enqueue(Jobs(live_store), "3")).job
    assert await run(jobs) == 3
    results = [charge.result(jobs.opened(await jobs.get(job.id))) for job in (first, second, plain)]
    assert results == ["charged 1", "charged 2", "charged 3"]
    assert (await jobs.get(first.id)).result["holdfast:key"] == "new"


async def test_a_worker_without_the_key_leaves_the_job_to_one_that_has_it(store, new, old, clock):
    job = (await charge.enqueue(Jobs(store, keys=new), "1")).job
    for without in (Jobs(store, keys=old), Jobs(store)):
        assert await run(without) == 1
        found = await without.get(job.id)
        assert (found.status, found.attempts) == (JobStatus.QUEUED, 0)
        assert found.run_at == clock.time + timedelta(seconds=30)
        assert f"JobKeyMissingError: the job {job.id} is sealed by the key 'new'" in found.error
        with pytest.raises(JobKeyMissingError, match="'new'"):
            without.opened(found)
        clock.forward(seconds=30)
    assert await run(Jobs(store, keys=new)) == 1
    assert (await Jobs(store).get(job.id)).status is JobStatus.SUCCEEDED


async def test_what_was_changed_or_moved_to_another_job_does_not_open(store, jobs, old):
    sealing = Jobs(store, keys=old)
    one, other = await sealing.enqueue_many([NewJob("charge", SECRET, EnqueueOptions())] * 2)
    rows = store.repository(Job)
    await rows.patch(other.job.id, Job.payload.to(one.job.payload))
    with pytest.raises(IntegrityError, match=f"payload of job {other.job.id} does not open"):
        sealing.opened(await sealing.get(other.job.id))
    wrong = Jobs(store, keys=JobKeys({"old": NEW}, current="old"))
    assert await run(wrong) == 2
    found = await wrong.get(one.job.id)
    assert (found.status, found.attempts) == (JobStatus.QUEUED, 1)
    assert "IntegrityError" in found.error
    with pytest.raises(IntegrityError):
        wrong.opened(found)
    damaged = {**one.job.payload, "holdfast:sealed": "no base64"}
    with pytest.raises(IntegrityError):
        old.open(one.job.id, "payload", damaged)


async def test_an_edited_payload_is_sealed_too(store, old):
    jobs = Jobs(store, keys=old)
    job = (await jobs.enqueue("charge", SECRET)).job
    edited = await jobs.edit(job.id, JobEdit(payload={"card": "5"}))
    assert edited.payload.keys() == {"holdfast:key", "holdfast:sealed"}
    assert jobs.opened(edited).payload == {"card": "5"}


@pytest.mark.parametrize(
    "value", [float("nan"), datetime(2026, 1, 1, tzinfo=UTC), (1,), "\0", 2**63]
)
async def test_what_is_no_json_is_refused_sealed_as_it_is_unsealed(store, jobs, old, value):
    sealing = Jobs(store, keys=old)
    said = []
    for each in (jobs, sealing):
        with pytest.raises(InvalidValueError) as caught:
            await each.enqueue("charge", {"card": value})
        said.append(str(caught.value))
        job = (await each.enqueue("charge")).job
        with pytest.raises(InvalidValueError) as caught:
            await each.complete(await each.claim("w"), [value])
        said.append(str(caught.value))
        await each.cancel(job.id)
    assert said[:2] == said[2:]


async def test_what_has_the_names_of_a_sealed_payload_and_is_none_is_a_payload(store, old):
    payload = {"holdfast:key": ["old"], "holdfast:sealed": 5}
    job = (await Jobs(store).enqueue("echo", payload)).job
    jobs = Jobs(store, keys=old)
    worker = Worker(jobs, {"echo": lambda context: dict(context.payload)})
    assert await worker.run(until="idle") == 1
    assert jobs.opened(await jobs.get(job.id)).result == payload


async def test_a_hash_does_not_tell_of_a_sealed_payload(store, old):
    jobs = Jobs(store, keys=old)
    with pytest.raises(ConfigurationError, match="give it a key"):
        await jobs.enqueue("charge", SECRET, options=EnqueueOptions(unique=Uniqueness()))
    once = EnqueueOptions(unique=Uniqueness(key="k"))
    assert (await jobs.enqueue("charge", SECRET, options=once)).created
    assert not (await jobs.enqueue("charge", SECRET, options=once)).created
    with pytest.raises(InvalidValueError, match="payload"):
        await jobs.enqueue("charge", {"x": object()})


async def test_jobs_of_a_workflow_are_sealed_and_read_each_others_results(old):
    read = []

    async def bill(context):
        read.append((context.payload["customer"], await context.result_of("charge")))

    async with open_store("memory://", JOB_ENTITIES) as store:
        await store.create_schema()
        jobs = Jobs(store, keys=old)
        flow = Workflow("payment")
        first = flow.add(charge.new(card="4111 1111"))
        flow.job("bill", {"customer": "Ada"}, after=[first])
        run = await Workflows(jobs).start(flow)
        assert await Worker(jobs, {**tasks(charge), "bill": bill}).run(until="idle") == 2
        assert read == [("Ada", "charged 4111 1111")]
        rows = await Workflows(jobs).jobs(run.id)
        assert "Ada" not in repr([row.payload for row in rows])
        assert "4111" not in repr([(row.payload, row.result) for row in rows])


def test_keys_that_can_not_be_are_refused():
    with pytest.raises(ConfigurationError, match="'a': expected 32"):
        JobKeys({"a": b"short"}, current="a")
    with pytest.raises(ConfigurationError, match="current='b'"):
        JobKeys({"a": OLD}, current="b")
    keys = JobKeys({"a": OLD}, current="a")
    job_id = uuid4()
    first, second = keys.seal(job_id, "result", 5), keys.seal(job_id, "result", 5)
    assert first != second
    assert keys.open(job_id, "result", first) == 5
    with pytest.raises(IntegrityError):
        keys.open(job_id, "payload", first)


async def test_a_store_that_was_opened_without_keys_stays_as_it_was():
    async with open_store("memory://", [Job]) as store:
        await store.create_schema()
        jobs = Jobs(store)
        assert (await jobs.enqueue("charge", SECRET)).job.payload == SECRET
