import asyncio
import os
from datetime import timedelta

import pytest

from holdfast.errors import ConfigurationError, InvalidValueError, LeaseLostError
from holdfast.jobs import EnqueueOptions, Jobs, JobStatus, NewJob
from holdfast.records.conformance.statement_counter import CountingDriver

pytestmark = pytest.mark.anyio
MINUTE = timedelta(minutes=1)
CLAIMERS = int(os.environ.get("HOLDFAST_TEST_CLAIMERS", "10"))
JOBS = int(os.environ.get("HOLDFAST_TEST_JOBS", "60"))


def new(task, **options):
    return NewJob(task, options=EnqueueOptions(**options))


async def test_a_batch_comes_by_queue_priority_time_and_age_under_one_token(every_jobs, clock):
    jobs, early = every_jobs, clock.time - MINUTE
    wanted = [
        new("low", queue="b"),
        new("high", queue="b", priority=5),
        new("early", queue="b", run_at=early),
        new("first", queue="a", priority=-3),
        new("later", queue="a", delay=MINUTE),
        new("left", queue="c"),
    ]
    await jobs.enqueue_many(wanted)
    claims = await jobs.claim_many("w", 9, queues=("a", "b"), lease=9 * MINUTE)
    assert [claim.job.task for claim in claims] == ["first", "high", "early", "low"]
    assert {(claim.job.worker, claim.job.attempts) for claim in claims} == {("w", 1)}
    assert len({claim.token for claim in claims}) == 2  # one for each queue
    for claim in claims:
        assert (await jobs.get(claim.job.id)).lease == claim.token
    clock.forward(minutes=1)
    assert [each.job.task for each in await jobs.claim_many("w", 1, queues=("a",))] == ["later"]


async def test_tasks_that_are_not_named_are_left_to_who_knows_them(every_jobs):
    await every_jobs.enqueue_many([new("unknown", priority=9), new("known"), new("unknown")])
    known = await every_jobs.claim_many("w", 9, tasks={"known"})
    assert [claim.job.task for claim in known] == ["known"]
    assert await every_jobs.claim_many("w", 9, tasks=()) == []
    assert len(await every_jobs.claim_many("w", 9)) == 2


async def test_claimers_of_batches_get_each_job_once(every_live_store, every_live_jobs):
    made = []
    for _ in range(JOBS // 60):
        page = await every_live_jobs.enqueue_many([new("t", priority=at % 3) for at in range(60)])
        made += [each.job.id for each in page]

    async def claimer(name):
        found = []
        while claims := await every_live_jobs.claim_many(name, 4):
            outcomes = await every_live_jobs.complete_many([(claim, None) for claim in claims])
            assert set(outcomes) == {None}
            assert {claim.job.attempts for claim in claims} == {1}
            found += [claim.job.id for claim in claims]
        return found

    found = await asyncio.gather(*(claimer(f"w{number}") for number in range(CLAIMERS)))
    claimed = [job_id for part in found for job_id in part]
    assert len(claimed) == len(made)
    assert set(claimed) == set(made)


async def test_jobs_are_found_when_their_time_has_come_while_there_are_others(every_jobs, clock):
    await every_jobs.enqueue_many([new("busy") for _ in range(3)])
    await every_jobs.enqueue_many([new("urgent", priority=9, delay=MINUTE)])
    assert (await every_jobs.claim("w")).job.task == "busy"
    clock.forward(minutes=1)
    assert (await every_jobs.claim("w")).job.task == "urgent"


async def test_what_came_due_is_looked_for_when_too_few_are_found_and_once_a_second(jobs, clock):
    def soon(task):
        return new(task, priority=9, delay=timedelta(milliseconds=400))

    async def claimed(most):
        return [claim.job.task for claim in await jobs.claim_many("w", most)]

    assert await claimed(9) == []
    await jobs.enqueue_many([new("a"), soon("b"), soon("c"), soon("d")])
    clock.forward(milliseconds=500)
    assert await claimed(3) == ["a", "b", "c"]  # and no more than were asked for
    await jobs.enqueue_many([*[new("a")] * 3, soon("e")])
    clock.forward(milliseconds=999)
    assert await claimed(2) == ["d", "a"]  # enough of them, and the last look is not old
    clock.forward(milliseconds=1)
    assert await claimed(1) == ["e"]


async def test_of_each_queue_no_more_are_claimed_than_is_said(jobs):
    await jobs.enqueue_many([new("t", queue=queue) for queue in "aaabbbccc"])
    first = await jobs.claim_ready("w", 5, queues={"a": 2, "b": 1, "c": 3})
    assert [claim.job.queue for claim in first] == ["a", "a", "b", "c", "c"]
    assert await jobs.claim_ready("w", 0, queues={"a": 2}) == []
    (last,) = await jobs.claim_ready("w", 9, queues={"b": 0, "a": 9})
    assert last.job.queue == "a"


async def test_however_many_come_due_at_once_all_of_them_are_made_ready(jobs, clock):
    await jobs.enqueue_many([new("t", delay=MINUTE)] * 501)
    clock.forward(minutes=1)
    assert await jobs.make_ready() == 501


async def test_ends_are_written_together_and_each_is_told_what_came_of_it(every_jobs, clock):
    jobs = every_jobs
    await jobs.enqueue_many([new(f"t{at}") for at in range(6)])
    lost, *claims = await jobs.claim_many("w", 6, lease=MINUTE)
    await jobs.fail(lost, "meanwhile")
    clock.forward(seconds=9)
    ends = [*((claim, None) for claim in claims[:3]), (claims[3], {"n": 1})]
    outcomes = await jobs.complete_many([(lost, None), *ends, (claims[4], {1})])
    assert isinstance(outcomes[0], LeaseLostError)
    assert isinstance(outcomes[-1], InvalidValueError)
    assert outcomes[1:-1] == [None] * len(ends)
    for claim, result in ends:
        job = await jobs.get(claim.job.id)
        assert (job.status, job.result, job.progress) == (JobStatus.SUCCEEDED, result, 1.0)
        assert (job.lease, job.finished_at) == (None, clock.time)
    assert (await jobs.get(claims[4].job.id)).status is JobStatus.RUNNING


async def test_each_job_ends_with_its_own_result_and_a_zombies_is_kept_out(every_jobs, clock):
    jobs = every_jobs
    await jobs.enqueue_many([new(f"t{at}") for at in range(6)])
    old = await jobs.claim_many("w", 2, lease=MINUTE)
    clock.forward(minutes=1)
    claims = await jobs.claim_many("w", 6)
    given = {
        claim.job.id: result
        for claim, result in zip(
            claims,
            ({"n": 1}, [1.5, None, "\N{SNOWMAN}'\""], "", None, "x" * 20_000, 0),
            strict=True,
        )
    }
    ends = [*((claim, "a zombie's") for claim in old)]
    ends += [(claim, given[claim.job.id]) for claim in claims]
    outcomes = await jobs.complete_many([*ends, (claims[0], "too late")])
    lost = [isinstance(each, LeaseLostError) for each in outcomes]
    assert lost == [True, True, *[False] * 6, True]
    found = {claim.job.id: (await jobs.get_one(claim.job.id)).result for claim in claims}
    assert found == given


async def test_of_results_that_are_written_together_the_lost_are_told_apart(every_jobs, clock):
    jobs = every_jobs
    await jobs.enqueue_many([new(f"t{at}") for at in range(4)])
    claims = await jobs.claim_many("w", 4)
    await jobs.fail(claims[1], "at this very moment", retry=False)
    outcomes = await jobs.complete_many([(claim, {"at": at}) for at, claim in enumerate(claims)])
    assert [isinstance(each, LeaseLostError) for each in outcomes] == [False, True, False, False]
    found = [(await jobs.get_one(claim.job.id)).result for claim in claims]
    assert found == [{"at": 0}, None, {"at": 2}, {"at": 3}]


async def test_a_result_that_is_no_json_keeps_no_other_from_its_end(every_jobs):
    jobs = every_jobs
    await jobs.enqueue_many([new(f"t{at}") for at in range(3)])
    claims = await jobs.claim_many("w", 3)
    results = ({"at": 0}, {"when": MINUTE}, {1: "a key that is no text"})
    outcomes = await jobs.complete_many(list(zip(claims, results, strict=True)))
    assert [type(each) for each in outcomes] == [type(None), *[InvalidValueError] * 2]
    assert (await jobs.get_one(claims[0].job.id)).result == {"at": 0}


async def test_jobs_with_results_end_by_one_write(live_store):
    jobs = Jobs(live_store)
    await jobs.enqueue_many([new(f"t{at}") for at in range(40)])
    with CountingDriver.around(live_store) as counting:
        claims = await (several := Jobs(live_store)).claim_many("w", 40)
        before = counting.writes
        ends = [(claim, {"at": at}) for at, claim in enumerate(claims)]
        assert await several.complete_many(ends) == [None] * 40
        assert counting.writes == before + 1


async def test_a_zombies_ends_are_refused_although_its_worker_holds_the_job_anew(every_jobs, clock):
    jobs = every_jobs
    await jobs.enqueue_many([new("a"), new("b")])
    old = await jobs.claim_many("w", 2, lease=MINUTE)
    clock.forward(minutes=1)
    anew = await jobs.claim_many("w", 2, lease=MINUTE)
    assert {claim.job.id for claim in anew} == {claim.job.id for claim in old}
    outcomes = await jobs.complete_many([(claim, None) for claim in (*old, anew[0])])
    assert [isinstance(each, LeaseLostError) for each in outcomes] == [True, True, False]
    assert (await jobs.get(anew[1].job.id)).status is JobStatus.RUNNING


async def test_a_lost_lease_that_many_find_at_once_is_taken_back_once(every_jobs, clock):
    jobs = every_jobs
    await jobs.enqueue_many([new("a"), new("b")])
    lost = await jobs.claim_many("w", 2, lease=MINUTE)
    clock.forward(minutes=1)
    await asyncio.gather(*(Jobs(jobs.store).make_ready() for _ in range(8)))
    for claim in lost:
        job = await jobs.get_one(claim.job.id)
        assert (job.status, job.lost_leases) == (JobStatus.QUEUED, 1)
        assert len(await jobs.attempts(job.id)) == 1


async def test_what_can_not_be_claimed_is_refused(jobs):
    for wrong in ({"limit": -1}, {"limit": 1, "queues": "default"}):
        with pytest.raises(ConfigurationError):
            await jobs.claim_many("w", **wrong)
