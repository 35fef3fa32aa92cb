from datetime import timedelta
from uuid import uuid4

import pytest

from holdfast import open_store
from holdfast.errors import (
    ConfigurationError,
    DuplicateError,
    IllegalTransitionError,
    InvalidValueError,
    NotFoundError,
)
from holdfast.jobs import EnqueueOptions, Job, JobEdit, Jobs, JobStatus, Uniqueness
from holdfast.jobs.held_key import HeldKey

pytestmark = pytest.mark.anyio
HOUR = timedelta(hours=1)


async def failed(jobs, task="a", **options):
    made = await jobs.enqueue(task, {"n": 1}, options=EnqueueOptions(**options))
    claim = await jobs.claim("w", queues=(made.job.queue,))
    assert claim.job.id == made.job.id
    return await jobs.fail(claim, "no", retry=False)


async def test_a_retry_gives_all_attempts_again_and_takes_the_key(every_jobs, clock):
    job = await failed(every_jobs, unique_key="k", max_attempts=1, retention=HOUR)
    assert job.expires_at == clock.time + HOUR
    clock.forward(minutes=1)
    again = await every_jobs.retry(job.id)
    assert (again.status, again.attempts, again.error) == (JobStatus.QUEUED, 0, "no")
    assert (again.run_at, again.finished_at, again.expires_at) == (clock.time, None, None)
    assert not (await every_jobs.enqueue("a", options=EnqueueOptions(unique_key="k"))).created
    claim = await every_jobs.claim("w")
    assert claim.job.id == job.id
    with pytest.raises(IllegalTransitionError, match="running to retried"):
        await every_jobs.retry(job.id)
    await every_jobs.complete(claim)
    with pytest.raises(IllegalTransitionError, match="succeeded to retried"):
        await every_jobs.retry(job.id)
    with pytest.raises(NotFoundError):
        await every_jobs.retry(uuid4())


async def test_a_retry_is_refused_while_another_job_has_the_key(every_jobs):
    plain = await failed(every_jobs, unique_key="k")
    held = await failed(every_jobs, unique=Uniqueness(key="k", period=HOUR))
    for job, options in (
        (plain, EnqueueOptions(unique_key="k")),
        (held, EnqueueOptions(unique=Uniqueness(key="k", period=HOUR))),
    ):
        other = (await every_jobs.enqueue("a", options=options)).job
        with pytest.raises(DuplicateError, match=r"unique_key|held_key"):
            await every_jobs.retry(job.id)
        assert (await every_jobs.get(job.id)).status is JobStatus.FAILED
        await every_jobs.fail(await every_jobs.claim("w"), "no", retry=False)
        again = await every_jobs.retry(job.id)
        assert again.status is JobStatus.QUEUED
        taken = await every_jobs.enqueue("a", options=options)
        assert (taken.created, taken.job.id) == (False, job.id)
        assert (await every_jobs.get(other.id)).status is JobStatus.FAILED
        await every_jobs.cancel(job.id)


async def test_a_job_that_is_retried_holds_its_key_by_its_own_rule_again(every_jobs):
    options = EnqueueOptions(unique=Uniqueness(key="k", period=HOUR))
    job = await failed(every_jobs, unique=options.unique)
    await every_jobs.retry(job.id)
    again = await every_jobs.enqueue("a", options=options)
    assert (again.created, again.job.id) == (False, job.id)


async def test_a_key_is_not_taken_over_from_a_job_that_is_retried_at_this_moment(every_store):
    class Overtaken(Jobs):
        """Enqueues, and finds that the job was retried after it has looked who holds the key."""

        retries = ()

        async def _held(self, keys):
            found = await super()._held(keys)
            retries, self.retries = self.retries, ()
            for job_id in retries:
                await Jobs(self.store).retry(job_id)
            return found

    once = Uniqueness(key="k", period=HOUR)
    jobs = Overtaken(every_store)
    job = await failed(jobs, unique=once)
    jobs.retries = (job.id,)
    made = await jobs.enqueue("a", options=EnqueueOptions(unique=once))
    assert (made.created, made.job.id) == (False, job.id)


async def test_dead_letters_are_redriven_in_bounded_pieces(every_jobs):
    ids = [(await failed(every_jobs, queue="q" if n % 2 else "r")).id for n in range(6)]
    key = await failed(every_jobs, queue="q", unique_key="k")
    await every_jobs.enqueue("a", options=EnqueueOptions(queue="s", unique_key="k"))
    first = await every_jobs.redrive(Job.queue == "q", limit=2)
    assert (first.changed, first.refused, first.next) == (2, 0, ids[3])
    rest = await every_jobs.redrive(Job.queue == "q", limit=9, after=first.next)
    assert (rest.changed, rest.refused, rest.next) == (1, 1, None)
    left = await every_jobs.list(status=JobStatus.FAILED)
    assert {job.id for job in left} == {ids[0], ids[2], ids[4], key.id}
    with pytest.raises(ConfigurationError, match="limit"):
        await every_jobs.redrive(limit=0)


async def test_what_waits_is_edited_and_put_off(every_jobs, clock):
    job = (await every_jobs.enqueue("a", {"n": 1})).job
    deadline = clock.time + 2 * HOUR
    edited = await every_jobs.edit(
        job.id, JobEdit(payload={"n": 2}, queue="fast", priority=0, tags=("x",), deadline=deadline)
    )
    assert (edited.payload, edited.queue, edited.tags) == ({"n": 2}, "fast", ["x"])
    assert edited.deadline == deadline
    assert (await every_jobs.edit(job.id, JobEdit(no_deadline=True))).deadline is None
    later = await every_jobs.reschedule(job.id, clock.time + HOUR)
    assert later.run_at == clock.time + HOUR
    assert await every_jobs.claim("w", queues=("fast",)) is None
    clock.forward(hours=1)
    assert (await every_jobs.claim("w", queues=("fast",))).job.id == job.id
    with pytest.raises(IllegalTransitionError, match="running to edited"):
        await every_jobs.edit(job.id, JobEdit(priority=1))
    dead = await failed(every_jobs, queue="q")
    assert (await every_jobs.edit(dead.id, JobEdit(payload={"n": 3}))).payload == {"n": 3}
    with pytest.raises(IllegalTransitionError, match="failed to rescheduled"):
        await every_jobs.reschedule(dead.id, clock.time)


async def test_many_are_edited_and_cancelled_by_what_they_are(jobs):
    tagged = [
        (await jobs.enqueue("a", options=EnqueueOptions(tags=("night", str(n))))).job
        for n in range(3)
    ]
    other = (await jobs.enqueue("a")).job
    assert (
        await jobs.edit_where(Job.tags.has_item("night"), edit=JobEdit(priority=5))
    ).changed == 3
    claim = await jobs.claim("w")
    assert claim.job.id == tagged[0].id
    done = await jobs.cancel_where(Job.tags.has_item("night"))
    assert (done.changed, done.refused, done.next) == (3, 0, None)
    assert (await jobs.get(tagged[0].id)).cancel_requested
    assert (await jobs.get(tagged[1].id)).status is JobStatus.CANCELLED
    assert (await jobs.get(other.id)).status is JobStatus.QUEUED


async def test_a_job_is_not_started_after_its_deadline(every_jobs, clock):
    late = (await every_jobs.enqueue("a", options=EnqueueOptions(deadline=clock.time + HOUR))).job
    in_time = (
        await every_jobs.enqueue("a", options=EnqueueOptions(deadline=clock.time + 2 * HOUR))
    ).job
    clock.forward(hours=1)
    assert (await every_jobs.claim("w")).job.id == in_time.id
    found = await every_jobs.get(late.id)
    assert found.status is JobStatus.FAILED
    assert "deadline" in found.error
    assert (await every_jobs.retry(late.id)).deadline is None
    assert (await every_jobs.claim("w")).job.id == late.id


async def test_what_was_to_be_kept_for_a_time_is_removed_after_it(every_store, every_jobs, clock):
    kept = EnqueueOptions(retention=HOUR, unique=Uniqueness(key="k", period=9 * HOUR))
    done = (await every_jobs.enqueue("a", options=kept)).job
    assert (await every_jobs.complete(await every_jobs.claim("w"))).expires_at == clock.time + HOUR
    waits = (await every_jobs.enqueue("a", options=EnqueueOptions(retention=HOUR))).job
    cancelled = (await every_jobs.enqueue("a", options=EnqueueOptions(retention=HOUR))).job
    clock.forward(minutes=30)
    await every_jobs.cancel(cancelled.id)
    forever = await failed(every_jobs, queue="q")
    clock.forward(minutes=30)
    assert await every_jobs.purge_expired() == 1
    assert await every_jobs.get(done.id) is None
    assert await every_store.repository(HeldKey).get("k") is None
    clock.forward(minutes=30)
    assert await every_jobs.purge_expired() == 1
    assert await every_jobs.get(cancelled.id) is None
    assert await every_jobs.get(waits.id) is not None
    assert await every_jobs.get(forever.id) is not None
    assert await every_jobs.purge(timedelta(0)) == 1


async def test_hooks_are_told_of_each_change_in_its_transaction(clock):
    class Listener:
        entities = ()

        def __init__(self):
            self.told = []

        def watches(self, model):
            return False

        async def changed(self, store, changes):
            raise AssertionError

        async def happened(self, store, event):
            self.told.append((event.name, event.key, event.details))

    listener = Listener()
    async with open_store("memory://", [Job], clock=clock, hooks=[listener]) as store:
        await store.create_schema()
        jobs = Jobs(store)
        job = await failed(jobs)
        await jobs.retry(job.id)
        await jobs.reschedule(job.id, clock.time + HOUR)
        with pytest.raises(IllegalTransitionError):
            await jobs.retry(job.id)
    details = {"task": "a", "status": "queued"}
    assert listener.told == [
        (f"job.{what}", str(job.id), details) for what in ("retried", "edited")
    ]


async def test_an_edit_is_checked(jobs):
    job = (await jobs.enqueue("a")).job
    for wrong in (
        {},
        {"queue": ""},
        {"tags": "x"},
        {"deadline": job.run_at, "no_deadline": True},
    ):
        with pytest.raises(ConfigurationError):
            JobEdit(**wrong)
    with pytest.raises(InvalidValueError, match="payload"):
        await jobs.edit(job.id, JobEdit(payload={"x": object()}))
