"""The spans of jobs, which go on from one process to another: enqueued here, done there."""

from __future__ import annotations

from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING

from holdfast.tracing import context_from, note_error, span_of, traceparent, tracer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from opentelemetry.trace import Tracer

    from holdfast.jobs.job import Job


@contextmanager
def enqueueing(jobs: Sequence[Job]) -> Iterator[None]:
    """Put the block, which stores *jobs*, into a span, and keep with them where they came from."""
    found = tracer()
    if found is None:
        yield
        return
    attributes = _attributes(jobs[0], "enqueue", "send")
    if len(jobs) > 1:
        attributes["messaging.batch.message_count"] = len(jobs)
    with span_of(found, f"enqueue {jobs[0].queue}", "PRODUCER", attributes):
        for job in jobs:
            job.traceparent = traceparent()
        yield


def doing(job: Job) -> AbstractContextManager[Callable[[BaseException], None]]:
    """Put the block, which does *job*, into a span below the one that enqueued it.

    It is given a function that tells the span of an error which the block does not raise.
    """
    found = tracer()
    return _UNTRACED if found is None else _traced(found, job)


_UNTRACED: AbstractContextManager[Callable[[BaseException], None]] = nullcontext(
    lambda _error: None
)


@contextmanager
def _traced(found: Tracer, job: Job) -> Iterator[Callable[[BaseException], None]]:
    attributes = {**_attributes(job, "do", "process"), "holdfast.job.attempt": job.attempts}
    parent = context_from(job.traceparent)
    with span_of(found, f"do {job.task}", "CONSUMER", attributes, parent=parent) as span:
        yield lambda error: note_error(span, error)


def _attributes(job: Job, operation: str, kind: str) -> dict[str, str | int]:
    return {
        "messaging.system": "holdfast",
        "messaging.operation.name": operation,
        "messaging.operation.type": kind,
        "messaging.destination.name": job.queue,
        "messaging.message.id": str(job.id),
        "holdfast.job.task": job.task,
    }
