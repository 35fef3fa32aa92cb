import threading

import pytest

from holdfast import sync
from holdfast.errors import LeaseLostError
from holdfast.jobs import EnqueueOptions, Job, Jobs, JobStatus


@pytest.fixture
def blocking(url):
    with sync.open_store(url, [Job]) as store:
        store.create_schema()
        yield store


def test_every_verb_works_on_a_blocking_store(blocking):
    jobs, run = Jobs(blocking.asynchronous), blocking.run
    made = run(jobs.enqueue("a", {"n": 1}, options=EnqueueOptions(unique_key="k")))
    assert not run(jobs.enqueue("a", options=EnqueueOptions(unique_key="k"))).created
    assert run(jobs.position(made.job.id)) == 1
    claim = run(jobs.claim("w"))
    assert run(jobs.progress(claim, 0.5, "half")).message == "half"
    run(jobs.heartbeat(claim))
    assert run(jobs.cancel(claim.job.id)).cancel_requested
    assert run(jobs.fail(claim, "boom")).status is JobStatus.CANCELLED
    with pytest.raises(LeaseLostError):
        run(jobs.complete(claim))
    assert len(run(jobs.list())) == 1
    assert run(jobs.statistics())["default"].counts[JobStatus.CANCELLED] == 1
    assert run(jobs.claim("w")) is None


def test_a_blocking_transaction_takes_the_job_with_it(blocking):
    jobs = Jobs(blocking.asynchronous)
    with pytest.raises(ZeroDivisionError):
        with blocking.transaction():
            job = blocking.run(jobs.enqueue("a")).job
            raise ZeroDivisionError
    assert blocking.run(jobs.get(job.id)) is None


def test_threads_that_claim_at_once_get_each_job_once(blocking):
    jobs = Jobs(blocking.asynchronous)
    ids = {blocking.run(jobs.enqueue("a")).job.id for _ in range(24)}
    claimed, barrier = [], threading.Barrier(6)

    def claimer():
        barrier.wait(120)
        while claim := blocking.run(jobs.claim("w")):
            claimed.append(claim.job.id)

    threads = [threading.Thread(target=claimer) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len(claimed) == 24
    assert set(claimed) == ids
