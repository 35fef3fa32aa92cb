import asyncio
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from holdfast import open_store
from holdfast.jobs import EnqueueOptions, Job, Jobs, JobStatus, Worker, WorkerOptions
from jobs.worker_process import Execution

pytestmark = pytest.mark.anyio
LONG = timedelta(minutes=10)
PROGRAM = Path(__file__).with_name("worker_process.py")


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/jobs.db"


@pytest.fixture
async def shared(url):
    async with open_store(url, [Job, Execution]) as store:
        await store.create_schema()
        yield store


@contextmanager
def worker_process(url, *, lease, until):
    """A worker process that has connected and starts when a line is sent to it."""
    process = subprocess.Popen(
        [sys.executable, str(PROGRAM), url, str(lease), until],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def start(process):
    process.stdin.write("go\n")
    process.stdin.flush()


async def hanging(jobs, job_id):
    """Wait until the handler runs and its report is stored: the file's lock is free then."""
    async with asyncio.timeout(120):
        while (await jobs.get(job_id)).message != "hanging":  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.005)


async def test_two_worker_processes_on_one_file_run_each_job_once(url, shared):
    jobs = Jobs(shared)
    ids = {(await jobs.enqueue("record")).job.id for _ in range(60)}
    with (
        worker_process(url, lease=60, until="idle") as one,
        worker_process(url, lease=60, until="idle") as two,
    ):
        start(one)
        start(two)
        counts = [int(await asyncio.to_thread(each.stdout.readline)) for each in (one, two)]
    executions = await shared.repository(Execution).find()
    assert {execution.job_id for execution in executions} == ids
    assert len(executions) == 60  # a second run of a job would have failed, and shown below
    finished = await jobs.list(size=100)
    assert {(job.status, job.attempts) for job in finished} == {(JobStatus.SUCCEEDED, 1)}
    assert sum(counts) == 60
    assert all(counts), "both took part"


async def test_a_killed_workers_job_is_taken_up_when_its_lease_is_over(url, shared):
    jobs = Jobs(shared, quarantine_after=1000)
    # On a busy machine it may itself be too late for so short a lease, any number of times.
    job = (await jobs.enqueue("hang", options=EnqueueOptions(max_attempts=1000))).job
    with worker_process(url, lease=1, until="idle") as doomed:
        start(doomed)
        await hanging(jobs, job.id)
        os.kill(doomed.pid, signal.SIGKILL)
        doomed.wait()
    left = await jobs.get(job.id)
    assert left.status is JobStatus.RUNNING
    seen = []

    def handler(context):
        seen.append(context.job)
        worker.stop()
        return "taken up"

    options = WorkerOptions(poll=timedelta(milliseconds=20))
    worker = Worker(jobs, {"hang": handler}, options=options)
    await asyncio.wait_for(worker.run(), 120)
    assert seen[0].attempts == left.attempts + 1
    assert seen[0].started_at >= left.leased_until
    assert left.worker in seen[0].error
    assert (await jobs.get(job.id)).result == "taken up"


async def test_a_stopped_process_that_goes_on_after_its_lease_is_refused(url, shared):
    jobs = Jobs(shared)
    job = (await jobs.enqueue("hang")).job
    with worker_process(url, lease=1.5, until="idle") as paused:
        start(paused)
        await hanging(jobs, job.id)
        os.kill(paused.pid, signal.SIGSTOP)
        async with asyncio.timeout(120):
            while (claim := await jobs.claim("other", lease=LONG)) is None:  # noqa: ASYNC110
                await asyncio.sleep(0.01)  # as workers poll
        assert claim.job.id == job.id
        stored = await jobs.get(job.id)
        os.kill(paused.pid, signal.SIGCONT)
        assert await asyncio.to_thread(paused.stdout.readline) == "told\n"
        assert await asyncio.to_thread(paused.stdout.readline) == "1\n"
    assert await jobs.get(job.id) == stored
    assert (await jobs.complete(claim, "other's")).result == "other's"
