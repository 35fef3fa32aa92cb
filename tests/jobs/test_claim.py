import asyncio
from datetime import timedelta

import pytest

from holdfast.errors import ConfigurationError, InvalidValueError, LeaseLostError
from holdfast.jobs import Backoff, EnqueueOptions, Job, Jobs, JobStatus
from holdfast.records.conformance.statement_counter import CountingDriver

pytestmark = pytest.mark.anyio
MINUTE = timedelta(minutes=1)


async def test_a_claim_holds_the_job_for_its_lease(jobs, clock):
    made = (await jobs.enqueue("a")).job
    claim = await jobs.claim("w1", lease=MINUTE)
    assert claim.job.id == made.id
    job = await jobs.get(made.id)
    assert (job.status, job.worker, job.attempts) == (JobStatus.RUNNING, "w1", 1)
    assert job.lease == claim.token
    assert job.leased_until == clock.time + MINUTE
    assert job.started_at == clock.time
    assert await jobs.claim("w2") is None


async def test_claims_go_by_priority_then_time_then_age(jobs, clock):
    async def enqueue(priority, **more):
        return (await jobs.enqueue("a", options=EnqueueOptions(priority=priority, **more))).job.id

    low, first, second = await enqueue(0), await enqueue(5), await enqueue(5)
    early = await enqueue(5, run_at=clock.time - MINUTE)
    future = await enqueue(9, delay=MINUTE)
    lowest = await enqueue(-1)
    order = []
    while claim := await jobs.claim("w", lease=timedelta(hours=1)):
        order.append(claim.job.id)
    assert order == [early, first, second, low, lowest]
    clock.forward(minutes=1)
    assert (await jobs.claim("w")).job.id == future


async def test_queues_are_served_in_the_order_given_and_no_other_is(jobs):
    for queue in ("b", "a", "c"):
        await jobs.enqueue("t", options=EnqueueOptions(queue=queue))
    first = await jobs.claim("w", queues=("a", "b"))
    second = await jobs.claim("w", queues=("a", "b"))
    assert (first.job.queue, second.job.queue) == ("a", "b")
    assert await jobs.claim("w", queues=("a", "b")) is None


async def test_twenty_claimers_at_once_get_each_job_once(jobs):
    ids = {(await jobs.enqueue("a")).job.id for _ in range(30)}

    async def claimer(name):
        found = []
        while claim := await jobs.claim(name):
            found.append(claim.job.id)
        return found

    found = await asyncio.gather(*(claimer(f"w{number}") for number in range(20)))
    claimed = [job_id for part in found for job_id in part]
    assert len(claimed) == 30
    assert set(claimed) == ids


async def test_an_expired_lease_is_claimable_again_and_counts_as_an_attempt(jobs, clock):
    await jobs.enqueue("a")
    old = await jobs.claim("w1", lease=MINUTE)
    clock.forward(seconds=59)
    assert await jobs.claim("w2", lease=MINUTE) is None
    clock.forward(seconds=1)
    new = await jobs.claim("w2", lease=MINUTE)
    assert new.job.id == old.job.id
    assert new.token != old.token
    assert (new.job.attempts, new.job.worker) == (2, "w2")
    assert "w1" in new.job.error


async def test_a_job_whose_attempts_are_used_up_fails_when_its_lease_runs_out(jobs, clock):
    made = (await jobs.enqueue("a", options=EnqueueOptions(max_attempts=2))).job
    for _ in range(2):
        assert await jobs.claim("w", lease=MINUTE) is not None
        clock.forward(minutes=1)
    assert await jobs.claim("w", lease=MINUTE) is None
    job = await jobs.get(made.id)
    assert job.status is JobStatus.FAILED
    assert job.error == "the lease of worker w ran out in attempt 2 of 2"
    assert job.finished_at == clock.time
    assert job.lease is None


async def test_a_heartbeat_and_progress_renew_the_lease(jobs, clock):
    await jobs.enqueue("a")
    claim = await jobs.claim("w", lease=MINUTE)
    clock.forward(seconds=50)
    assert (await jobs.heartbeat(claim)).leased_until == clock.time + MINUTE
    clock.forward(seconds=50)
    job = await jobs.progress(claim, 0.5, "half")
    assert (job.progress, job.message) == (0.5, "half")
    clock.forward(seconds=50)
    assert (await jobs.progress(claim, 0.6)).message == "half"
    assert await jobs.claim("w2", lease=MINUTE) is None


VERBS = {
    "heartbeat": lambda jobs, claim: jobs.heartbeat(claim),
    "progress": lambda jobs, claim: jobs.progress(claim, 0.5, "late"),
    "complete": lambda jobs, claim: jobs.complete(claim, {"late": True}),
    "fail": lambda jobs, claim: jobs.fail(claim, "late"),
    "fail for good": lambda jobs, claim: jobs.fail(claim, "late", retry=False),
    "stopped": lambda jobs, claim: jobs.stopped(claim),
}


@pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS.keys())
@pytest.mark.parametrize(
    "meanwhile", ["nothing", "claimed", "requeued", "succeeded", "cancelled", "removed"]
)
async def test_a_paused_worker_that_wakes_up_changes_nothing(store, jobs, clock, verb, meanwhile):
    made = (await jobs.enqueue("a", options=EnqueueOptions(max_attempts=9))).job
    paused = await jobs.claim("paused", lease=MINUTE)
    clock.forward(minutes=1)
    if meanwhile == "cancelled":
        await jobs.cancel(made.id)
    elif meanwhile == "removed":
        await store.repository(Job).delete(made.id)
    elif meanwhile != "nothing":
        other = await jobs.claim("other", lease=MINUTE)
        if meanwhile == "requeued":
            await jobs.fail(other, "other failed")
        elif meanwhile == "succeeded":
            await jobs.complete(other, "other's result")
    before = await jobs.get(made.id)
    with pytest.raises(LeaseLostError) as caught:
        await verb(jobs, paused)
    assert caught.value.key == made.id
    assert await jobs.get(made.id) == before


async def test_a_completed_job_keeps_its_result_and_frees_its_lease(jobs, clock):
    await jobs.enqueue("a")
    job = await jobs.complete(await jobs.claim("w"), {"frames": 12})
    assert (job.status, job.result, job.progress) == (JobStatus.SUCCEEDED, {"frames": 12}, 1.0)
    assert (job.lease, job.leased_until, job.error) == (None, None, None)
    assert job.finished_at == clock.time
    clock.forward(days=1)
    assert await jobs.claim("w") is None


async def test_a_result_that_is_no_json_is_refused_and_the_claim_still_holds(jobs):
    await jobs.enqueue("a")
    claim = await jobs.claim("w")
    with pytest.raises(InvalidValueError, match="result"):
        await jobs.complete(claim, {1, 2})
    assert (await jobs.complete(claim, [1, 2])).result == [1, 2]


async def test_failures_back_off_twice_as_long_until_the_attempts_are_used_up(store, clock):
    backoff = Backoff(first=timedelta(seconds=10), limit=timedelta(seconds=30), jitter=0.5)
    jobs = Jobs(store, backoff=backoff, chance=lambda: 0.2)
    await jobs.enqueue("a", options=EnqueueOptions(max_attempts=4))
    for seconds in (9, 18, 27):  # 10, 20 and 30, less a tenth
        job = await jobs.fail(await jobs.claim("w"), "boom")
        assert (job.status, job.error, job.worker) == (JobStatus.QUEUED, "boom", None)
        assert job.run_at == clock.time + timedelta(seconds=seconds)
        clock.forward(seconds=seconds - 1)
        assert await jobs.claim("w") is None
        clock.forward(seconds=1)
    job = await jobs.fail(await jobs.claim("w"), "boom at last")
    assert (job.status, job.error, job.attempts) == (JobStatus.FAILED, "boom at last", 4)


def test_a_backoff_never_overflows_and_refuses_what_can_not_be():
    assert Backoff(jitter=0).delay(10**9, 0.5) == timedelta(hours=1)
    with pytest.raises(ConfigurationError, match="jitter"):
        Backoff(jitter=2)
    with pytest.raises(ConfigurationError, match="limit"):
        Backoff(first=timedelta(days=1))


async def test_a_failure_not_to_be_retried_ends_the_job(jobs):
    await jobs.enqueue("a")
    job = await jobs.fail(await jobs.claim("w"), "no way", retry=False)
    assert (job.status, job.attempts) == (JobStatus.FAILED, 1)


async def test_any_error_text_can_be_kept(jobs):
    await jobs.enqueue("a")
    job = await jobs.fail(await jobs.claim("w"), "\0 \ud800 " + "x" * 100_000, retry=False)
    assert job.error.startswith(r"\0 \ud800 xxx")
    assert len(job.error) == 4_000


@pytest.mark.parametrize("fraction", [-0.1, 1.1, float("nan"), float("inf"), "1", None])
async def test_progress_outside_0_to_1_is_refused(jobs, fraction):
    await jobs.enqueue("a")
    claim = await jobs.claim("w")
    with pytest.raises(InvalidValueError, match="0 to 1"):
        await jobs.progress(claim, fraction)
    assert (await jobs.get(claim.job.id)).progress == 0.0


async def test_a_claim_for_no_queue_or_no_time_is_refused(jobs):
    with pytest.raises(ConfigurationError, match="queues"):
        await jobs.claim("w", queues="default")
    with pytest.raises(ConfigurationError, match="queues"):
        await jobs.claim("w", queues=())
    with pytest.raises(ConfigurationError, match="lease"):
        await jobs.claim("w", lease=timedelta(0))


async def test_a_queued_job_is_cancelled_at_once(jobs, clock):
    made = (await jobs.enqueue("a")).job
    job = await jobs.cancel(made.id)
    assert (job.status, job.finished_at) == (JobStatus.CANCELLED, clock.time)
    assert await jobs.claim("w") is None


async def test_a_running_job_is_asked_to_stop_and_ends_when_its_worker_does(jobs):
    made = (await jobs.enqueue("a")).job
    claim = await jobs.claim("w")
    asked = await jobs.cancel(made.id)
    assert (asked.status, asked.cancel_requested) == (JobStatus.RUNNING, True)
    assert (await jobs.heartbeat(claim)).cancel_requested
    assert (await jobs.progress(claim, 0.1)).cancel_requested
    assert (await jobs.stopped(claim)).status is JobStatus.CANCELLED


async def test_a_job_to_be_cancelled_is_not_tried_again(jobs, clock):
    for end in ("fails", "vanishes"):
        made = (await jobs.enqueue("a")).job
        claim = await jobs.claim("w", lease=MINUTE)
        await jobs.cancel(made.id)
        if end == "fails":
            await jobs.fail(claim, "boom")
        else:
            clock.forward(minutes=1)
        assert await jobs.claim("w") is None
        assert (await jobs.get(made.id)).status is JobStatus.CANCELLED, end


async def test_a_finished_job_stays_what_it_is_when_cancelled(jobs):
    await jobs.enqueue("a")
    done = await jobs.complete(await jobs.claim("w"), 1)
    assert await jobs.cancel(done.id) == done


async def test_a_job_whose_worker_is_gone_is_cancelled_at_once(jobs, clock):
    made = (await jobs.enqueue("a")).job
    await jobs.claim("gone", lease=MINUTE)
    clock.forward(minutes=1)
    assert (await jobs.cancel(made.id)).status is JobStatus.CANCELLED


async def test_jobs_that_wait_for_a_later_time_are_stepped_over(jobs):
    for priority in (9, 8, 7):
        later = EnqueueOptions(priority=priority, delay=MINUTE)
        await jobs.enqueue("later", options=later)
    now = (await jobs.enqueue("now", options=EnqueueOptions(priority=-1))).job
    assert (await jobs.claim("w")).job.id == now.id
    assert await jobs.claim("w") is None


async def test_a_queue_that_schedules_at_many_priorities_is_searched_in_few_statements(jobs, store):
    for priority in range(200):
        await jobs.enqueue("later", options=EnqueueOptions(priority=priority, delay=MINUTE))
    with CountingDriver.around(store) as idle:
        assert await Jobs(store).claim("w") is None
    with CountingDriver.around(store) as empty:
        assert await Jobs(store).claim_ready("w", 9, queues=[f"q{at}" for at in range(20)]) == []
    low = (await jobs.enqueue("low", options=EnqueueOptions(priority=-2))).job
    now = (await jobs.enqueue("now", options=EnqueueOptions(priority=-1))).job
    with CountingDriver.around(store) as busy:
        assert (await Jobs(store).claim("w")).job.id == now.id
    assert (await jobs.claim("w")).job.id == low.id
    assert empty.reads + empty.writes == 1
    assert idle.reads + idle.writes == 4
    assert busy.reads + busy.writes == 4
