import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest

from holdfast import open_store
from holdfast.errors import ConfigurationError
from holdfast.jobs import (
    JOB_ENTITIES,
    Backoff,
    EnqueueOptions,
    HandlerOptions,
    Job,
    Jobs,
    JobStatus,
    Worker,
    WorkerOptions,
    runs,
)
from jobs import process_handlers as handlers
from preloaded import start

pytestmark = pytest.mark.anyio
QUICK = timedelta(milliseconds=10)
ONCE = EnqueueOptions(max_attempts=1)


@pytest.fixture
def url():
    return "memory://"


@pytest.fixture
def live(live_store):
    return Jobs(live_store, backoff=Backoff(first=timedelta(0)))


def worker_for(jobs, by_task, *, middleware=(), **options):
    chosen = WorkerOptions(**({"poll": QUICK} | options))
    return Worker(jobs, by_task, options=chosen, middleware=middleware)


WORKER = """
import asyncio, sys
sys.path[:0] = __import__("os").environ["PYTHONPATH"].split(":")
from holdfast import open_store
from holdfast.jobs import Job, Jobs, Worker
from jobs.process_handlers import until_told

async def main():
    async with open_store(sys.argv[1], [Job]) as store:
        await Worker(Jobs(store), {"a": until_told}).run()

asyncio.run(main())
"""


async def outcome(jobs, handler, payload=None, **options):
    job = (await jobs.enqueue("a", payload, options=ONCE)).job
    await worker_for(jobs, {"a": handler}, **options).run(until="idle")
    return await jobs.get(job.id)


async def when(jobs, job_id, wanted):
    async with asyncio.timeout(120):
        while not wanted(job := await jobs.get(job_id)):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.005)
    return job


async def gone(*pids):
    """Wait until no process has any of *pids*; one that nobody has waited for counts as gone."""
    async with asyncio.timeout(120):
        while any(map(_lives, pids)):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.005)


def _lives(pid):
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_a_child_process_does_one_job_after_the_other_and_ends_with_the_worker(live):
    first = (await live.enqueue("pid", {"n": 1})).job
    second = (await live.enqueue("loop")).job
    by_task = {"pid": handlers.own_pid, "loop": handlers.on_a_loop}
    assert await worker_for(live, by_task).run(until="idle") == 2
    first, second = await live.get(first.id), await live.get(second.id)
    assert (first.message, first.result["payload"]) == ("half", {"n": 1})
    assert first.result["pid"] == second.result != os.getpid()
    await gone(second.result)


async def test_a_line_that_a_child_logs_is_in_its_jobs_log():
    async with open_store("memory://", JOB_ENTITIES) as store:
        await store.create_schema()
        jobs = Jobs(store)
        job = (await jobs.enqueue("a")).job
        await worker_for(jobs, {"a": handlers.own_pid}).run(until="idle")
        (line,) = await jobs.log(job.id)
    assert (line.text, line.level) == ("from the child", "warning")
    assert line.at >= job.created_at


async def test_what_a_handler_raises_in_a_process_fails_its_job_alike(live, caplog):
    caplog.set_level("INFO")
    known = await outcome(live, handlers.fails, {"error": "value"})
    assert (known.status, known.error) == (JobStatus.FAILED, "ValueError: no")
    assert "process_handlers.py" in caplog.text, "the log has where in the child it was"
    odd = await outcome(live, handlers.fails, {"error": "odd"})
    assert odd.error == "RuntimeError: OddError: this and that"
    apart = await outcome(live, handlers.asks_for_the_store)
    assert {name: text.partition(" is apart")[0] for name, text in apart.result.items()} == {
        "complete": "complete: a handler with executor='process'",
        "step": "step: a handler with executor='process'",
        "sleep": "sleep: a handler with executor='process'",
        "wait_for": "wait_for: a handler with executor='process'",
        "blocking": "step: a handler with executor='process'",
        "results": "store: a handler with executor='process'",
    }


async def test_a_child_that_dies_fails_its_job_alone_and_the_signal_is_named(live):
    dying = [
        (await live.enqueue("ends", {"how": how}, options=ONCE)).job
        for how in ("SIGSEGV", "exit", "SIGKILL")
    ]
    good = (await live.enqueue("pid")).job
    by_task = {"ends": handlers.ends, "pid": handlers.own_pid}
    assert await worker_for(live, by_task).run(until="idle") == 4
    errors = [(await live.get(job.id)).error for job in dying]
    text = "ProcessEndedError: the process that did the work was ended"
    assert errors == [
        f"{text} by SIGSEGV",
        f"{text} by itself, with status 3",
        f"{text} by SIGKILL",
    ]
    assert (await live.get(good.id)).status is JobStatus.SUCCEEDED


async def test_a_process_is_killed_at_its_timeout_with_all_that_it_started(live):
    for seconds in (1, 8, 64):  # until the machine was quick enough for the handler to begin
        timeout = timedelta(seconds=seconds)
        job = await outcome(live, handlers.until_told, timeout=timeout)
        assert job.error == f"JobTimeoutError: no end within {seconds} s"
        if job.message is not None:
            break
    await gone(*map(int, job.message.split()))


async def test_a_handler_in_a_process_is_told_of_a_cancellation(live):
    job = (await live.enqueue("a")).job
    worker = worker_for(live, {"a": handlers.until_told}, lease=timedelta(seconds=1))
    running = asyncio.create_task(worker.run(until="idle"))
    await when(live, job.id, lambda job: job.message)
    await live.cancel(job.id)
    await asyncio.wait_for(running, 120)
    assert (await live.get(job.id)).status is JobStatus.CANCELLED


async def test_memory_beyond_its_limit_fails_a_job_and_not_the_next(live):
    over = await outcome(live, handlers.takes_memory, {"bytes": 2 * handlers.MEMORY})
    assert (over.status, over.error.partition(":")[0]) == (JobStatus.FAILED, "MemoryError")
    assert (await outcome(live, handlers.takes_memory, {"bytes": 1000})).result == 1000


async def test_handlers_in_the_worker_fail_at_their_timeout_and_a_thread_is_given_up(live, caplog):
    release, told = threading.Event(), threading.Event()

    @runs(timeout=timedelta(milliseconds=50))
    def on_thread(context):
        while not context.cancelled:
            threading.Event().wait(0.005)
        told.set()
        release.wait(120)

    @runs(timeout=timedelta(milliseconds=50))
    async def on_loop(_):
        await asyncio.Event().wait()

    async def without_one_of_its_own(_):
        await asyncio.Event().wait()

    for handler in (on_loop, on_thread):
        job = await outcome(live, handler)
        assert (job.status, job.error) == (
            JobStatus.FAILED,
            "JobTimeoutError: no end within 0.05 s",
        )
    assert told.wait(120)
    release.set()
    assert "its handler does not stop; 1 such go on here" in caplog.text
    job = await outcome(live, without_one_of_its_own, timeout=timedelta(milliseconds=20))
    assert job.error == "JobTimeoutError: no end within 0.02 s"


async def test_middleware_stands_around_handlers_of_every_kind_in_its_order(live):
    told = []

    async def outer(context, call_next):
        told.append(f"outer {context.job.task}")
        try:
            return {"outer": await call_next()}
        except KeyError as error:
            raise ValueError("seen by the outer") from error

    async def inner(_context, call_next):
        told.append("inner")
        return [await call_next()]

    async def on_loop(_):
        return 1

    def missing(_):
        raise KeyError("x")

    by_task = {"loop": on_loop, "thread": lambda _: 2, "process": handlers.on_a_loop}
    done = [(await live.enqueue(task)).job for task in by_task]
    failing = (await live.enqueue("missing", options=ONCE)).job
    worker = worker_for(live, by_task | {"missing": missing}, middleware=(outer, inner))
    await worker.run(until="idle")
    results = [(await live.get(job.id)).result for job in done]
    assert results[:2] == [{"outer": [1]}, {"outer": [2]}]
    assert results[2]["outer"][0] != os.getpid()
    assert (await live.get(failing.id)).error == "ValueError: seen by the outer"
    assert told[:4] == ["outer loop", "inner", "outer thread", "inner"]


async def test_at_the_deadline_of_a_stop_jobs_are_put_back_and_their_attempts_not_counted(live):
    ended = []

    async def on_loop(context):
        context.progress(0.5, "runs")
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("loop")

    def on_thread(context):
        context.progress(0.5, "runs")
        while not context.lease_lost:
            threading.Event().wait(0.005)
        ended.append("thread")

    by_task = {"loop": on_loop, "thread": on_thread, "process": handlers.until_told}
    jobs = [(await live.enqueue(task)).job for task in by_task]
    worker = worker_for(live, by_task, concurrency=3, lease=timedelta(hours=1))
    running = asyncio.create_task(worker.run())
    shown = [await when(live, job.id, lambda job: job.message) for job in jobs]
    pids = map(int, shown[2].message.split())
    worker.stop(deadline=timedelta(milliseconds=20))
    assert await asyncio.wait_for(running, 120) == 3
    for each in jobs:
        job = await live.get(each.id)
        assert (job.status, job.attempts, job.lease) == (JobStatus.QUEUED, 0, None)
    await gone(*pids)
    again = await live.claim("other")
    assert again.job.attempts == 1
    async with asyncio.timeout(120):
        while len(ended) < 2:  # noqa: ASYNC110 - a thread tells nobody
            await asyncio.sleep(0.005)


async def test_a_job_whose_leases_run_out_is_failed_as_poison(jobs, clock):
    job = (await jobs.enqueue("a", options=EnqueueOptions(max_attempts=20))).job
    for _ in range(3):
        assert (await jobs.claim("doomed", lease=timedelta(seconds=10))).job.id == job.id
        clock.forward(seconds=10)
    assert await jobs.claim("next") is None
    job = await jobs.get(job.id)
    assert (job.status, job.attempts, job.lost_leases) == (JobStatus.FAILED, 3, 3)
    assert job.error.startswith("poison: 3 workers vanished over it")


async def test_a_blocked_event_loop_is_logged_with_the_place_that_blocks_it(live, caplog):
    async def blocks(_):
        deadline = time.monotonic() + 120
        while "the event loop is blocked" not in caplog.text and time.monotonic() < deadline:
            time.sleep(0.01)  # noqa: ASYNC251 - what no handler should do

    job = (await live.enqueue("a")).job
    await worker_for(live, {"a": blocks}, lease=timedelta(seconds=0.3)).run(until="one")
    assert "in blocks" in caplog.text
    assert f"running: {job.id} (a)" in caplog.text


async def test_a_worker_that_has_outgrown_its_memory_finishes_its_job_and_returns(live):
    jobs = [(await live.enqueue("a")).job for _ in range(2)]
    worker = worker_for(live, {"a": lambda _: 1}, memory=1)
    assert await asyncio.wait_for(worker.run(), 120) == 1
    assert worker.outgrown
    assert (await live.get(jobs[1].id)).status is JobStatus.QUEUED


async def test_a_handler_that_no_process_finds_is_refused_when_the_worker_is_made(live):
    @runs(executor="process")
    def local(_):
        return 1

    with pytest.raises(ConfigurationError, match=r"'a'.*can't be sent"):
        worker_for(live, {"a": local})


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"executor": "fork"}, "executor"),
        ({"timeout": 5}, "timeout"),
        ({"timeout": timedelta(0)}, "timeout"),
        ({"memory": 1 << 30}, "executor='process'"),
        ({"memory": 1, "executor": "process"}, "memory=1"),
    ],
)
def test_handler_options_that_can_not_be_are_refused(wrong, match):
    with pytest.raises(ConfigurationError, match=match):
        HandlerOptions(**wrong)
    with pytest.raises(ConfigurationError, match=match):
        runs(**wrong)


async def test_a_child_ends_with_a_worker_that_is_killed(tmp_path):
    database = f"sqlite:///{tmp_path}/jobs.db"
    async with open_store(database, [Job]) as store:
        await store.create_schema()
        jobs = Jobs(store)
        job = (await jobs.enqueue("a")).job
        worker = start(WORKER, database, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)})
        job = await when(jobs, job.id, lambda job: job.message)
        os.kill(worker.pid, signal.SIGKILL)
        worker.communicate()
    await gone(*map(int, job.message.split()))


MAIN = """
import asyncio, os
from holdfast import open_store
from holdfast.jobs import EnqueueOptions, Job, Jobs, Worker, runs

@runs(executor="process")
def own(_):
    return os.getpid()

async def main():
    async with open_store("memory://", [Job]) as store:
        await store.create_schema()
        jobs = Jobs(store)
        job = (await jobs.enqueue("own", options=EnqueueOptions(max_attempts=1))).job
        await Worker(jobs, {"own": own}).run(until="idle")
        job = await jobs.get(job.id)
        print(job.error or job.result != os.getpid())

"""


@pytest.mark.parametrize(
    ("guard", "said"),
    [
        ('if __name__ == "__main__":\n    asyncio.run(main())', "True\n"),
        ("asyncio.run(main())", "ConfigurationError: the main module makes a worker"),
    ],
    ids=["guarded", "unguarded"],
)
def test_a_handler_of_the_main_module_is_found_where_that_may_be_imported(tmp_path, guard, said):
    (tmp_path / "program.py").write_text(MAIN + guard)
    ran = subprocess.run(
        [sys.executable, tmp_path / "program.py"],
        check=False,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert ran.stdout.startswith(said), ran.stderr
