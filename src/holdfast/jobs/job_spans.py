"""The spans of jobs, which go on from one process to another: enqueued here, done there."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from holdfast.tracing import context_from, note_error, span_of, traceparent, tracer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from holdfast.jobs.job import Job


@contextmanager
def enqueueing(job: Job) -> Iterator[None]:
    """Put the block, which stores *job*, into a span, and keep with the job where it came from."""
    found = tracer()
    if found is None:
        yield
        return
    with span_of(found, f"enqueue {job.queue}", "PRODUCER", _attributes(job, "enqueue", "send")):
        job.traceparent = traceparent()
        yield


@contextmanager
def doing(job: Job) -> Iterator[Callable[[BaseException], None]]:
    """Put the block, which does *job*, into a span below the one that enqueued it.

    It is given a function that tells the span of an error which the block does not raise.
    """
    found = tracer()
    if found is None:
        yield lambda _error: None
        return
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
