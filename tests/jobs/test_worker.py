import asyncio
import sqlite3
import threading
import time
from collections import Counter
from contextlib import nullcontext
from datetime import timedelta

import pytest

from holdfast import open_store
from holdfast.acting import acting
from holdfast.correlation import current_job_id
from holdfast.errors import ConfigurationError, InvalidValueError, LeaseLostError
from holdfast.jobs import (
    Backoff,
    EnqueueOptions,
    Job,
    JobCancelledError,
    Jobs,
    JobStatus,
    NewJob,
    PermanentError,
    Worker,
    WorkerOptions,
)
from holdfast.jobs.workers.claimed_ahead import ClaimedAhead
from holdfast.records import Savepoint
from holdfast.records.conformance.statement_counter import CountingDriver

pytestmark = pytest.mark.anyio
QUICK = timedelta(milliseconds=10)


@pytest.fixture
def live(live_store):
    return Jobs(live_store, backoff=Backoff(first=timedelta(0)))


def worker_for(jobs, handlers, **options):
    return Worker(jobs, handlers, options=WorkerOptions(**({"poll": QUICK} | options)))


async def until(condition):
    """Wait for the awaitable *condition* to be true; fail after a generous time."""
    async with asyncio.timeout(120):
        while not await condition():  # noqa: ASYNC110 - the store tells nobody of a change
            await asyncio.sleep(0.005)


def states(jobs, job_id, wanted):
    async def reached():
        return wanted(await jobs.get(job_id))

    return until(reached)


async def test_what_was_claimed_starts_before_a_look_for_lost_jobs_which_may_take_long(
    jobs, monkeypatch
):
    started = asyncio.Event()

    async def handle(context):
        started.set()

    async def long_look(**_):
        async with asyncio.timeout(60):
            await started.wait()
        return 0

    monkeypatch.setattr(jobs, "make_ready", long_look)
    await jobs.enqueue("t")
    assert await worker_for(jobs, {"t": handle}).run(until="idle") == 1


async def test_a_claim_whose_lease_ran_out_before_its_turn_is_not_run(jobs):
    lease = timedelta(microseconds=1)
    claims = ClaimedAhead(jobs, "w", WorkerOptions(lease=lease), None)
    await jobs.enqueue("t")
    assert await claims.find(1, ends=False, start=lambda: None) == 1
    assert list(claims.to_start()) == []
    assert not claims.busy


async def test_a_lease_counts_from_when_the_claim_was_asked_for(jobs, monkeypatch):
    lease, claim_ready = timedelta(milliseconds=10), jobs.claim_ready

    async def held_up(*args, **kwargs):
        found = await claim_ready(*args, **kwargs)
        await asyncio.sleep(2 * lease.total_seconds())
        return found

    monkeypatch.setattr(jobs, "claim_ready", held_up)
    claims = ClaimedAhead(jobs, "w", WorkerOptions(lease=lease), None)
    await jobs.enqueue("t")
    assert await claims.find(1, ends=False, start=lambda: None) == 1
    assert list(claims.to_start()) == []


async def test_nothing_is_claimed_ahead_from_a_store_that_answers_late(jobs, monkeypatch):
    claims = ClaimedAhead(jobs, "w", WorkerOptions(concurrency=2), None)
    await jobs.enqueue_many([NewJob("t") for _ in range(40)])
    while claims.room() <= 2:  # until it knows that jobs are short
        assert await claims.find(2, ends=False, start=lambda: None)
        for claim in claims.to_start():
            with claims.running(claim):
                pass
    claim_ready = jobs.claim_ready

    async def held_up(*args, **kwargs):
        await asyncio.sleep(1.1)
        return await claim_ready(*args, **kwargs)

    monkeypatch.setattr(jobs, "claim_ready", held_up)
    await claims.find(0, ends=False, start=lambda: None)
    assert claims.room() == 2


async def test_async_and_plain_handlers_run_and_their_results_are_kept(live):
    threads = {}

    async def on_loop(context):
        threads["async"] = threading.current_thread()
        return {"got": context.payload["n"]}

    def on_thread(context):
        threads["plain"] = threading.current_thread()
        return [context.payload["n"]]

    one = (await live.enqueue("async", {"n": 1})).job
    two = (await live.enqueue("plain", {"n": 2})).job
    worker = worker_for(live, {"async": on_loop, "plain": on_thread})
    assert await worker.run(until="idle") == 2
    first, second = await live.get(one.id), await live.get(two.id)
    assert (first.status, first.result) == (JobStatus.SUCCEEDED, {"got": 1})
    assert (second.status, second.result) == (JobStatus.SUCCEEDED, [2])
    assert first.worker == worker.name
    assert threads["async"] is threading.main_thread()
    assert threads["plain"] is not threading.main_thread()


async def test_a_way_to_run_that_there_is_none_of_is_refused_at_once(jobs):
    with pytest.raises(ConfigurationError, match=r"until='empty': .*'idle'"):
        await worker_for(jobs, {}).run(until="empty")


@pytest.mark.parametrize(
    ("handlers", "reason"),
    [
        (None, "handlers=None: expected functions by the tasks"),
        ([print], "expected functions by the tasks"),
        ({5: print}, "handlers: 5: expected the name of a task"),
        ({"a": 5}, "the handler of 'a' is 5: expected a function"),
        ({"a": lambda: 1}, "the handler of 'a': .* does not take one argument"),
        ({"a": lambda _context, _more: 1}, "does not take one argument"),
    ],
)
async def test_handlers_are_functions_of_the_context_by_task(jobs, handlers, reason):
    with pytest.raises(ConfigurationError, match=reason):
        Worker(jobs, handlers)
    Worker(jobs, {"a": lambda *_: 1, "b": lambda _context, _more=2: 1, "c": dict})


async def test_until_one_runs_one_job_at_the_most(live):
    worker = worker_for(live, {"a": lambda _: None})
    assert await worker.run(until="one") == 0
    await live.enqueue("a")
    await live.enqueue("a")
    assert await worker.run(until="one") == 1
    assert (await live.statistics())["default"].counts[JobStatus.QUEUED] == 1


async def test_a_failing_handler_is_tried_again_and_its_error_is_kept(live):
    attempts = []

    def handler(context):
        attempts.append(context.job.attempts)
        if len(attempts) < 3:
            raise ValueError("not yet")
        return "at last"

    job = (await live.enqueue("a")).job
    seen = worker_for(live, {"a": handler})
    await seen.run(until="one")
    again = await live.get(job.id)
    assert (again.status, again.error) == (JobStatus.QUEUED, "ValueError: not yet")
    await seen.run(until="idle")
    job = await live.get(job.id)
    assert (job.status, job.result, attempts) == (JobStatus.SUCCEEDED, "at last", [1, 2, 3])
    assert job.error is None


async def test_a_permanent_error_is_not_tried_again(live):
    def handler(_):
        raise PermanentError("no such video")

    job = (await live.enqueue("a")).job
    assert await worker_for(live, {"a": handler}).run(until="idle") == 1
    job = await live.get(job.id)
    assert (job.status, job.error) == (JobStatus.FAILED, "PermanentError: no such video")


async def test_an_unknown_task_is_left_to_who_knows_it(live):
    unknown = (await live.enqueue("new", options=EnqueueOptions(priority=9))).job
    await live.enqueue("old")
    assert await worker_for(live, {"old": lambda _: None}).run(until="idle") == 1
    assert (await live.get(unknown.id)).status is JobStatus.QUEUED
    assert await worker_for(live, {"new": lambda _: None}).run(until="idle") == 1


async def test_an_unknown_task_fails_where_that_is_wanted_and_says_what_is_known(live):
    job = (await live.enqueue("typo")).job
    worker = worker_for(live, {"resize": len, "encode": len}, unknown="fail")
    await worker.run(until="idle")
    job = await live.get(job.id)
    assert job.status is JobStatus.FAILED
    assert "no handler for the task 'typo'" in job.error
    assert "encode, resize" in job.error


class PanicException(BaseException):
    pass


class UnspeakablePanic(BaseException):
    def __str__(self):
        raise PanicException


class UnspeakableError(Exception):
    def __str__(self):
        raise RuntimeError("never")


@pytest.mark.parametrize("kind", ["plain", "async"])
@pytest.mark.parametrize(
    ("error", "text"),
    [
        (SystemExit(3), "SystemExit: 3"),
        (asyncio.CancelledError("mine"), "CancelledError: mine"),
        (PanicException("thread panicked"), "PanicException: thread panicked"),
        (UnspeakablePanic(), "UnspeakablePanic: (its message raises PanicException)"),
        (UnspeakableError(), "UnspeakableError: (its message raises RuntimeError)"),
        (LeaseLostError("Job", "another's"), 'LeaseLostError: Job "another\'s"'),
        (RuntimeError("\0\ud800" + "x" * 10_000), r"RuntimeError: \0\ud800xxx"),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_whatever_a_handler_raises_fails_its_job_and_not_the_worker(live, kind, error, text):
    def plain(_):
        raise error

    async def on_loop(_):
        raise error

    bad = (await live.enqueue("bad", options=EnqueueOptions(max_attempts=1))).job
    good = (await live.enqueue("good")).job
    handlers = {"bad": plain if kind == "plain" else on_loop, "good": lambda _: 1}
    assert await worker_for(live, handlers).run(until="idle") == 2
    bad = await live.get(bad.id)
    assert bad.status is JobStatus.FAILED
    assert bad.error.startswith(text)
    assert (await live.get(good.id)).status is JobStatus.SUCCEEDED


async def test_a_plain_handler_may_raise_stop_iteration(live):
    job = (await live.enqueue("a", options=EnqueueOptions(max_attempts=1))).job
    await worker_for(live, {"a": lambda _: next(iter(()))}).run(until="idle")
    assert (await live.get(job.id)).error == "StopIteration: "


async def test_a_result_that_is_no_json_fails_the_job_for_good(live):
    job = (await live.enqueue("a")).job
    assert await worker_for(live, {"a": lambda _: object()}).run(until="idle") == 1
    job = await live.get(job.id)
    assert job.status is JobStatus.FAILED
    assert "the handler's result" in job.error


@pytest.mark.parametrize("kind", ["plain", "async"])
async def test_progress_is_seen_while_the_handler_runs(live, kind):
    go_on = threading.Event()

    def plain(context):
        context.progress(0.25, "decoding")
        context.progress(0.5)
        assert go_on.wait(120)
        context.progress(0.75, "last words")

    async def on_loop(context):
        context.progress(0.25, "decoding")
        context.progress(0.5)
        assert await asyncio.to_thread(go_on.wait, 20)
        context.progress(0.75, "last words")

    job = (await live.enqueue("a")).job
    worker = worker_for(live, {"a": plain if kind == "plain" else on_loop})
    running = asyncio.create_task(worker.run(until="idle"))
    await states(live, job.id, lambda job: (job.progress, job.message) == (0.5, "decoding"))
    go_on.set()
    await running
    job = await live.get(job.id)
    assert (job.status, job.message) == (JobStatus.SUCCEEDED, "last words")


async def test_wrong_progress_is_refused_where_it_is_said(live):
    refused = []

    def handler(context):
        with pytest.raises(InvalidValueError, match="0 to 1") as caught:
            context.progress(50)
        refused.append(caught.value)

    await live.enqueue("a")
    await worker_for(live, {"a": handler}).run(until="idle")
    assert len(refused) == 1


async def test_a_busy_plain_handler_keeps_its_lease(live):
    lease = timedelta(milliseconds=300)
    release = threading.Event()

    def handler(_):
        assert release.wait(120)
        return "mine"

    job = (await live.enqueue("a")).job
    running = asyncio.create_task(worker_for(live, {"a": handler}, lease=lease).run(until="idle"))
    await states(live, job.id, lambda job: job.status is JobStatus.RUNNING)
    claimed_until = (await live.get(job.id)).leased_until
    await states(live, job.id, lambda job: job.leased_until > claimed_until + 2 * lease)
    assert await live.claim("thief") is None
    release.set()
    await running
    job = await live.get(job.id)
    assert (job.status, job.attempts, job.result) == (JobStatus.SUCCEEDED, 1, "mine")


@pytest.mark.parametrize("kind", ["plain", "async"])
async def test_a_running_handler_is_told_that_its_job_is_cancelled(live, kind):
    def plain(context):
        while True:
            context.raise_if_cancelled()
            threading.Event().wait(0.005)

    async def on_loop(context):
        while not context.cancelled:  # noqa: ASYNC110 - as handlers do
            await asyncio.sleep(0.005)
        with pytest.raises(JobCancelledError):
            context.raise_if_cancelled()
        context.raise_if_cancelled()

    job = (await live.enqueue("a")).job
    handlers = {"a": plain if kind == "plain" else on_loop}
    worker = worker_for(live, handlers, lease=timedelta(seconds=1))
    running = asyncio.create_task(worker.run(until="idle"))
    await states(live, job.id, lambda job: job.status is JobStatus.RUNNING)
    await live.cancel(job.id)
    await asyncio.wait_for(running, 120)
    job = await live.get(job.id)
    assert (job.status, job.attempts, job.error) == (JobStatus.CANCELLED, 1, None)


async def test_a_handler_whose_lease_is_lost_is_told_and_its_outcome_is_discarded(
    jobs, clock, caplog
):
    started, told = threading.Event(), []

    def handler(context):
        started.set()
        while not context.cancelled:
            threading.Event().wait(0.005)
        with pytest.raises(LeaseLostError) as caught:
            context.raise_if_cancelled()
        told.append(caught.value)
        return "too late"

    job = (await jobs.enqueue("a")).job
    worker = worker_for(jobs, {"a": handler}, lease=timedelta(hours=1))
    running = asyncio.create_task(worker.run(until="one"))
    assert await asyncio.to_thread(started.wait, 20)
    clock.forward(hours=1)
    other = await jobs.claim("other", lease=timedelta(hours=1))
    assert other.job.id == job.id
    await asyncio.wait_for(running, 120)
    assert len(told) == 1
    assert "outcome is discarded" in caplog.text
    assert (await jobs.complete(other, "other's")).result == "other's"


async def test_a_handler_whose_job_was_removed_is_told_by_its_next_report(live_store, live):
    told = threading.Event()

    def handler(context):
        deadline = time.monotonic() + 120
        while not context.lease_lost and time.monotonic() < deadline:
            context.progress(0.5)
            threading.Event().wait(0.005)
        if context.lease_lost:
            told.set()

    job = (await live.enqueue("a")).job
    worker = worker_for(live, {"a": handler}, lease=timedelta(hours=1))
    running = asyncio.create_task(worker.run(until="one"))
    await states(live, job.id, lambda job: job.progress == 0.5)
    await live_store.repository(Job).delete(job.id)
    await running
    assert told.is_set()
    assert await live.get(job.id) is None


async def test_stop_lets_running_jobs_finish_and_claims_no_more(live):
    started, release = threading.Event(), threading.Event()

    def handler(_):
        started.set()
        assert release.wait(120)
        return "done"

    first = (await live.enqueue("a")).job
    worker = worker_for(live, {"a": handler})
    running = asyncio.create_task(worker.run())
    assert await asyncio.to_thread(started.wait, 20)
    second = (await live.enqueue("a")).job
    threading.Thread(target=worker.stop).start()
    assert (await asyncio.wait({running}, timeout=0.1))[0] == set()
    release.set()
    assert await asyncio.wait_for(running, 120) == 1
    assert (await live.get(first.id)).result == "done"
    assert (await live.get(second.id)).status is JobStatus.QUEUED
    assert await worker.run() == 0  # a stop is final


async def test_an_idle_worker_stops_at_once_and_finds_work_by_polling(live):
    worker = worker_for(live, {"a": lambda _: 1})
    running = asyncio.create_task(worker.run())
    for _ in range(2):
        job = (await live.enqueue("a")).job
        await states(live, job.id, lambda job: job.status is JobStatus.SUCCEEDED)
    worker.stop()
    assert await asyncio.wait_for(running, 120) == 2
    patient = worker_for(live, {}, poll=timedelta(hours=1))
    running = asyncio.create_task(patient.run())
    await asyncio.sleep(0)
    patient.stop()
    await asyncio.wait_for(running, 120)


async def test_no_more_jobs_run_at_once_than_the_concurrency_says_and_as_many_do(live):
    now, most = 0, 0
    together = asyncio.Barrier(3)

    async def handler(_):
        nonlocal now, most
        now += 1
        most = max(most, now)
        await together.wait()  # passes only when three run at once
        now -= 1

    for _ in range(9):
        await live.enqueue("a")
    worker = worker_for(live, {"a": handler}, concurrency=3)
    assert await asyncio.wait_for(worker.run(until="idle"), 120) == 9
    assert most == 3


async def test_a_cancelled_run_leaves_its_jobs_to_others(jobs, clock):
    started, ended = asyncio.Event(), asyncio.Event()

    async def handler(_):
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    job = (await jobs.enqueue("a")).job
    worker = worker_for(jobs, {"a": handler}, lease=timedelta(minutes=1))
    running = asyncio.create_task(worker.run())
    await started.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert ended.is_set()
    assert (await jobs.get(job.id)).status is JobStatus.RUNNING
    clock.forward(minutes=1)
    assert (await jobs.claim("other")).job.id == job.id


async def test_a_handler_commits_its_results_and_its_end_together(live_store, live, caplog):
    async def handler(context):
        async with live_store.transaction():
            await live.enqueue("follow-up", options=EnqueueOptions(queue="next"))
            await context.complete("committed")
        return "ignored"

    job = (await live.enqueue("a")).job
    assert await worker_for(live, {"a": handler}).run(until="idle") == 1
    job = await live.get(job.id)
    assert (job.status, job.result) == (JobStatus.SUCCEEDED, "committed")
    assert len(await live.list(queue="next")) == 1
    assert "discarded" not in caplog.text


async def test_a_completion_that_is_rolled_back_leaves_the_job_to_be_tried_again(live_store, live):
    async def handler(context):
        async with live_store.transaction():
            await live.enqueue("follow-up", options=EnqueueOptions(queue="next"))
            await context.complete("committed")
            if context.job.attempts == 1:
                raise RuntimeError("after all not")

    job = (await live.enqueue("a")).job
    worker = worker_for(live, {"a": handler})
    await worker.run(until="one")
    again = await live.get(job.id)
    assert (again.status, again.error) == (JobStatus.QUEUED, "RuntimeError: after all not")
    assert len(await live.list(queue="next")) == 0
    await worker.run(until="idle")
    assert (await live.get(job.id)).result == "committed"
    assert len(await live.list(queue="next")) == 1


async def test_a_swallowed_rollback_does_not_leave_the_job_without_an_end(live_store, live):
    async def handler(context):
        try:
            async with live_store.transaction():
                await context.complete("never committed")
                raise RuntimeError("undone")  # noqa: TRY301 - and swallowed: that is the point
        except RuntimeError:
            return "done otherwise"

    job = (await live.enqueue("a")).job
    await worker_for(live, {"a": handler}).run(until="idle")
    job = await live.get(job.id)
    assert (job.status, job.result) == (JobStatus.SUCCEEDED, "done otherwise")


async def test_a_worker_runs_once_at_a_time(live):
    worker = worker_for(live, {})
    running = asyncio.create_task(worker.run())
    await asyncio.sleep(0)
    with pytest.raises(ConfigurationError, match="runs already"):
        await worker.run()
    worker.stop()
    await running


@pytest.mark.parametrize(
    "wrong",
    [
        {"queues": "default"},
        {"queues": ()},
        {"concurrency": 0},
        {"lease": timedelta(0)},
        {"poll": timedelta(0)},
    ],
)
def test_worker_options_that_can_not_be_are_refused(wrong):
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        WorkerOptions(**wrong)


async def test_a_worker_waits_for_a_store_out_of_reach_and_loses_no_outcome(tmp_path, caplog):
    def lock():
        holder = sqlite3.connect(tmp_path / "jobs.db", isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        return holder

    async def unlock(holder, *, when):
        async with asyncio.timeout(120):
            while when not in caplog.text:  # noqa: ASYNC110 - a log tells nobody
                await asyncio.sleep(0.005)
        holder.execute("ROLLBACK")
        holder.close()

    locked = asyncio.Queue()

    async def handler(_):
        locked.put_nowait(lock())
        return "kept"

    url = f"sqlite:///{tmp_path}/jobs.db?lock_timeout=0.05"
    async with open_store(url, [Job]) as store:
        await store.create_schema()
        jobs = Jobs(store)
        job = (await jobs.enqueue("a")).job
        first = lock()
        running = asyncio.create_task(worker_for(jobs, {"a": handler}).run(until="idle"))
        await unlock(first, when="no job can be claimed now")
        await unlock(await locked.get(), when="can't be ended now")
        assert await asyncio.wait_for(running, 120) == 1
        job = await jobs.get(job.id)
        assert (job.status, job.result, job.attempts) == (JobStatus.SUCCEEDED, "kept", 1)


async def test_a_queue_has_as_many_jobs_at_once_as_its_own_concurrency(live):
    for queue in ("few", "many"):
        options = EnqueueOptions(queue=queue)
        await live.enqueue_many([NewJob("t", options=options) for _ in range(6)])
    at_once, most, gate = Counter(), Counter(), asyncio.Event()

    async def handler(context):
        queue = context.job.queue
        at_once[queue] += 1
        most[queue] = max(most[queue], at_once[queue])
        if at_once == {"few": 2, "many": 4}:
            gate.set()
        await gate.wait()
        at_once[queue] -= 1

    worker = worker_for(
        live,
        {"t": handler},
        queues=("few", "many"),
        concurrency=6,
        queue_concurrency={"few": 2},
    )
    assert await asyncio.wait_for(worker.run(until="idle"), 120) == 12
    assert most["few"] == 2


async def test_short_jobs_are_claimed_ahead_and_go_back_when_their_turn_does_not_come(live):
    await live.enqueue_many([NewJob("short") for _ in range(60)])
    await live.enqueue_many([NewJob("long") for _ in range(3)])
    gate = asyncio.Event()

    async def short(_context):
        return None

    async def long(_context):
        await gate.wait()

    worker = worker_for(live, {"short": short, "long": long}, lease=timedelta(seconds=3))
    running = asyncio.create_task(worker.run(until="idle"))

    async def one_holds_up_the_others():
        page = await live.list(task="long")
        states = [job.status for job in page.items]
        return states.count(JobStatus.RUNNING) == 1 and states.count(JobStatus.QUEUED) == 2

    await until(one_holds_up_the_others)
    queued = await live.list(task="long", status=JobStatus.QUEUED)
    assert [job.attempts for job in queued.items] == [0, 0]
    gate.set()
    await asyncio.wait_for(running, 120)
    assert {job.status for job in (await live.list(size=100)).items} == {JobStatus.SUCCEEDED}


async def test_ends_that_come_together_are_written_together(live, live_store):
    await live.enqueue_many([NewJob("t") for _ in range(40)])
    gate, arrived = asyncio.Event(), 0

    async def handler(_context):
        nonlocal arrived
        arrived += 1
        if arrived == 40:
            gate.set()
        await gate.wait()

    with CountingDriver.around(live_store) as counting:
        jobs = Jobs(live_store)
        worker = worker_for(jobs, {"t": handler}, concurrency=40)
        assert await asyncio.wait_for(worker.run(until="idle"), 120) == 40
    assert counting.writes < 40
    assert {job.status for job in (await live.list(size=100)).items} == {JobStatus.SUCCEEDED}


async def test_a_worker_may_have_one_job_twice_when_its_own_lease_ran_out(jobs, clock):
    gate, runs = asyncio.Event(), []

    async def handler(context):
        runs.append(context)
        if len(runs) == 1:
            await gate.wait()  # the machine slept, say

    job = (await jobs.enqueue("t")).job
    worker = worker_for(jobs, {"t": handler}, concurrency=2)
    running = asyncio.create_task(worker.run())

    async def begun():
        return runs

    await until(begun)
    clock.forward(minutes=2)
    await states(jobs, job.id, lambda stored: stored.status is JobStatus.SUCCEEDED)
    assert (len(runs), runs[0].lease_lost) == (2, True)
    gate.set()
    worker.stop()
    assert await asyncio.wait_for(running, 120) == 2
    assert (await jobs.get(job.id)).attempts == 2


async def test_jobs_side_by_side_have_each_their_own_transaction_actor_and_job_id(live, live_store):
    both, told = asyncio.Barrier(2), {}

    async def handler(context):
        async with live_store.transaction() if context.payload["inside"] else nullcontext():
            await both.wait()
            inside = isinstance(live_store.transaction(), Savepoint)
            told[str(context.job.id)] = inside, acting().actor, current_job_id.get()
            await both.wait()

    inside = str((await live.enqueue("a", {"inside": True})).job.id)
    outside = str((await live.enqueue("a", {"inside": False})).job.id)
    await worker_for(live, {"a": handler}, concurrency=2).run(until="idle")
    assert told == {
        inside: (True, f"job {inside}", inside),
        outside: (False, f"job {outside}", outside),
    }


async def test_the_last_failure_of_a_job_is_a_warning(live, caplog):
    caplog.set_level("INFO", "holdfast.jobs")

    async def fail(_context):
        raise ValueError("no")

    async def fail_for_good(_context):
        raise PermanentError("never")

    twice = (await live.enqueue("twice", options=EnqueueOptions(max_attempts=2))).job
    once = (await live.enqueue("once")).job
    await worker_for(live, {"twice": fail, "once": fail_for_good}).run(until="idle")
    told = [(each.levelname, each.getMessage()) for each in caplog.records]
    assert sorted(each for each in told if " failed" in each[1]) == sorted(
        [
            ("INFO", f"job {twice.id} (twice) failed"),
            ("INFO", f"job {twice.id} (twice) failed"),
            ("WARNING", f"job {twice.id} (twice) failed for good: ValueError: no"),
            ("INFO", f"job {once.id} (once) failed"),
            ("WARNING", f"job {once.id} (once) failed for good: PermanentError: never"),
        ]
    )
