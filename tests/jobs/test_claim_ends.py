"""What stays of a job when a claim of it ends, however that is, and who may not end it."""

from datetime import timedelta

import pytest

from holdfast import open_store
from holdfast.errors import ConfigurationError, LeaseLostError, UnavailableError
from holdfast.jobs import JOB_ENTITIES, EnqueueOptions, Job, JobAttempt, Jobs, JobStatus, Worker
from holdfast.jobs.history.job_log import log_line
from holdfast.records import Repository

pytestmark = pytest.mark.anyio
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


@pytest.fixture
def jobs(jobs_of_all):
    return jobs_of_all


async def succeeds(jobs, claim, clock):
    await jobs.complete(claim)


async def succeeds_with_others(jobs, claim, clock):
    await jobs.enqueue("b", options=EnqueueOptions(retention=HOUR))
    (other,) = await jobs.claim_many("w", 1)
    together = Jobs(jobs.store)
    claims = [claim, type(other)(other.job, claim.token, claim.lease)]
    await jobs.store.repository(Job).patch(other.job.id, Job.lease.to(claim.token))
    assert await together.complete_many([(each, None) for each in claims]) == [None, None]


async def fails(jobs, claim, clock):
    await jobs.fail(claim, "boom")


async def fails_though_cancelled(jobs, claim, clock):
    await jobs.cancel(claim.job.id)
    await jobs.fail(claim, "boom")


async def stops(jobs, claim, clock):
    await jobs.cancel(claim.job.id)
    await jobs.stopped(claim)


async def is_given_back_though_cancelled(jobs, claim, clock):
    await jobs.cancel(claim.job.id)
    await jobs.put_back(claim)


async def vanishes(jobs, claim, clock):
    clock.forward(minutes=1)
    assert await jobs.make_ready() == 0  # none can be claimed for it


async def vanishes_though_cancelled(jobs, claim, clock):
    await jobs.cancel(claim.job.id)
    await vanishes(jobs, claim, clock)


@pytest.mark.parametrize(
    ("end", "attempts", "status", "error"),
    [
        (succeeds, 1, JobStatus.SUCCEEDED, None),
        (succeeds_with_others, 1, JobStatus.SUCCEEDED, None),
        (fails, 1, JobStatus.FAILED, "boom"),
        (fails_though_cancelled, 2, JobStatus.CANCELLED, "boom"),
        (stops, 2, JobStatus.CANCELLED, None),
        (is_given_back_though_cancelled, 2, JobStatus.CANCELLED, None),
        (vanishes, 1, JobStatus.FAILED, "the lease of worker w ran out in attempt 1 of 1"),
        (vanishes_though_cancelled, 2, JobStatus.CANCELLED, "the lease of worker w ran out"),
    ],
)
async def test_whatever_ends_a_job_it_is_kept_for_its_time_and_tells_how_and_when(
    jobs, clock, end, attempts, status, error
):
    options = EnqueueOptions(max_attempts=attempts, retention=HOUR)
    made = (await jobs.enqueue("a", options=options)).job
    claim = await jobs.claim("w", lease=MINUTE)
    clock.forward(seconds=7)
    await end(jobs, claim, clock)
    job = await jobs.get(made.id)
    assert (job.status, job.finished_at) == (status, clock.time)
    assert job.expires_at == clock.time + HOUR
    assert job.error is None if error is None else job.error.startswith(error)
    (attempt,) = await jobs.attempts(made.id)
    assert (attempt.ended_at, attempt.error) == (clock.time, job.error)


async def test_an_attempt_does_not_end_without_its_row_in_the_history(jobs, clock):
    made = (await jobs.enqueue("a")).job
    claim = await jobs.claim("w", lease=MINUTE)
    add = Repository.add

    async def refused(repository, entity):
        if repository.model.name == JobAttempt.__name__:
            raise UnavailableError("test", "the table is locked")
        return await add(repository, entity)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Repository, "add", refused)
        with pytest.raises(UnavailableError):
            await jobs.fail(claim, "boom")
        with pytest.raises(UnavailableError):
            await jobs.stopped(claim)
        assert await jobs.get(made.id) == claim.job
        clock.forward(minutes=1)
        with pytest.raises(UnavailableError):
            await jobs.make_ready()
    assert await jobs.get(made.id) == claim.job


async def test_what_is_given_back_counts_no_attempt(jobs, clock):
    made = (await jobs.enqueue("a")).job
    clock.forward(minutes=1)
    back = await jobs.put_back(await jobs.claim("w"))
    assert (back.status, back.attempts, back.worker) == (JobStatus.QUEUED, 0, None)
    assert (back.lease, back.leased_until, back.run_at) == (None, None, made.run_at)
    (again,) = await jobs.claim_ready("w", 9)  # found at once, by no look for what is due
    with pytest.raises(LeaseLostError):
        await jobs.put_back(type(again)(again.job, made.id, MINUTE))
    later = await jobs.put_back(again, after=HOUR, error="no key for it")
    assert (later.run_at, later.attempts) == (clock.time + HOUR, 0)
    assert later.error == "no key for it"
    assert await jobs.claim("w") is None
    clock.forward(hours=1)
    assert (await jobs.claim("w")).job.attempts == 1


async def test_a_failure_may_say_itself_when_it_is_tried_again(jobs, clock):
    await jobs.enqueue("a")
    job = await jobs.fail(await jobs.claim("w"), "busy", after=HOUR)
    assert (job.status, job.run_at) == (JobStatus.QUEUED, clock.time + HOUR)


async def test_lines_of_the_log_renew_the_lease(jobs, clock):
    await jobs.enqueue("a")
    claim = await jobs.claim("w", lease=MINUTE)
    clock.forward(seconds=50)
    job = await jobs.write_log(claim, [log_line("still here", "info", clock.time)])
    assert job.leased_until == clock.time + MINUTE


class Overtaken(Jobs):
    """Takes back what is lost, and finds that *meanwhile* happened after it had looked."""

    meanwhile = None

    async def _try(self, job_id, *changes, when):
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            await meanwhile()
        return await super()._try(job_id, *changes, when=when)


async def test_a_lease_that_is_renewed_at_this_moment_is_not_taken_back(store, clock):
    jobs = Overtaken(store)
    made = (await jobs.enqueue("a")).job
    claim = await jobs.claim("w", lease=MINUTE)
    clock.forward(minutes=1)

    async def renewed():
        changes = Job.leased_until.to(clock.time + MINUTE)
        await store.repository(Job).patch(made.id, changes)

    jobs.meanwhile = renewed
    assert await jobs.make_ready() == 0
    assert (await jobs.get(made.id)).status is JobStatus.RUNNING
    assert (await jobs.heartbeat(claim)).lost_leases == 0


async def test_a_lost_job_that_another_lost_too_at_this_moment_is_counted_once(store, clock):
    jobs = Overtaken(store)
    made = (await jobs.enqueue("a")).job
    await jobs.claim("w", lease=MINUTE)
    clock.forward(minutes=1)

    async def lost_again():
        await Jobs(store).claim("v", lease=timedelta(microseconds=1))
        clock.forward(seconds=1)

    jobs.meanwhile = lost_again
    assert await jobs.make_ready() == 0
    job = await jobs.get(made.id)
    assert (job.status, job.worker, job.lost_leases) == (JobStatus.RUNNING, "v", 1)


async def test_a_wait_that_is_over_is_ended_once_and_not_under_who_runs_it_then(clock):
    async def work(context):
        await context.wait_for("go", timeout=HOUR)

    async with open_store("memory://", JOB_ENTITIES, clock=clock) as store:
        await store.create_schema()
        jobs = Overtaken(store)
        made = (await jobs.enqueue("a")).job
        worker = Worker(jobs, {"a": work})
        await worker.run(until="idle")
        clock.forward(hours=1)
        claims = []

        async def told():
            await Jobs(store).signal(made.id, "go")
            claims.append(await Jobs(store).claim("w", lease=2 * HOUR))

        jobs.meanwhile = told
        assert await jobs.make_ready() == 0
        assert (await jobs.heartbeat(claims[0])).status is JobStatus.RUNNING
        await jobs.complete(claims[0])

        await jobs.enqueue("a")
        await worker.run(until="idle")
        clock.forward(hours=1)
        assert await jobs.make_ready() == 1
        assert (await jobs.claim("w")).job.run_at == clock.time


async def test_a_job_that_ends_its_workers_is_given_up_before_its_attempts_are(store, clock):
    jobs = Jobs(store, quarantine_after=2)
    ids = [
        (await jobs.enqueue("a", options=EnqueueOptions(max_attempts=most))).job.id
        for most in (9, 2)
    ]
    for ready in (2, 0):
        assert len(await jobs.claim_many("w", 9, lease=MINUTE)) == 2
        clock.forward(minutes=1)
        assert await jobs.make_ready() == ready
    with pytest.raises(ConfigurationError, match="quarantine_after=0"):
        Jobs(store, quarantine_after=0)
    poison, used_up = [await jobs.get(job_id) for job_id in ids]
    assert (poison.status, used_up.status) == (JobStatus.FAILED, JobStatus.FAILED)
    assert poison.error.startswith("poison: 2 workers vanished over it")
    assert poison.error.endswith("the lease of worker w ran out in attempt 2 of 9")
    assert used_up.error == "the lease of worker w ran out in attempt 2 of 2"
    careful = Jobs(store, quarantine_after=1)
    await careful.enqueue("a")
    await careful.claim("w", lease=MINUTE)
    clock.forward(minutes=1)
    assert await careful.claim("w") is None


async def test_of_ends_that_can_not_be_written_each_is_told_why_and_the_others_are_written(
    store, clock
):
    jobs = Jobs(store)
    for _ in range(8):
        await jobs.enqueue("a")
    alone = await jobs.claim_many("w", 1)
    first, second = [await jobs.claim_many("w", 2) for _ in range(2)]
    large = await jobs.claim_many("w", 2)
    broken, away = iter([False, True]), UnavailableError("test", "away")
    update_where, patch = Repository.update_where, Repository.patch

    async def failing(repository, *args, **kwargs):
        if next(broken, False):
            raise away
        return await update_where(repository, *args, **kwargs)

    async def failing_for_large(repository, key, *args, **kwargs):
        if key in {claim.job.id for claim in large}:
            raise away
        return await patch(repository, key, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Repository, "update_where", failing)
        ends = [(claim, None) for claim in (*alone, *first, *second)]
        outcomes = await jobs.complete_many(ends)
        assert outcomes == [None, None, None, away, away]
        found = [(await jobs.get(claim.job.id)).status for claim, _ in ends]
        assert found == [JobStatus.SUCCEEDED] * 3 + [JobStatus.RUNNING] * 2
        patched.setattr(Repository, "patch", failing_for_large)
        ends = [(claim, None) for claim in second] + [(claim, "x" * 20_000) for claim in large]
        assert await jobs.complete_many(ends) == [None, None, away, away]
    assert (await jobs.get(large[0].job.id)).status is JobStatus.RUNNING
