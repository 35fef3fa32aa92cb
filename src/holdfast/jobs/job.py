"""The job: one piece of work, where it stands, who holds it, and what it may hold itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING
from uuid import UUID

import orjson

from holdfast.errors import InvalidValueError
from holdfast.records import Entity, Field, created_at, field, key, updated_at, version
from holdfast.tracing import TRACEPARENT_LENGTH
from holdfast.uuid7 import uuid7

if TYPE_CHECKING:
    from datetime import timedelta

MESSAGE_LENGTH = 1_000
NO_LANE = ""
"""The lane of a job that can't be claimed. A null would do as well, but no index is in the order of
what follows one, for PostgreSQL."""
ERROR_LENGTH = 4_000
PAYLOAD_BYTES = 1 << 20
"""The largest payload, as JSON."""


class JobStatus(StrEnum):
    """Where a job stands. The last three are ends: nothing leaves them but a retry by hand.

    A job that is waiting for others, or for an event, can't be claimed.
    """

    WAITING = "waiting"
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def finished(self) -> bool:
        """Whether the job is at its end."""
        return self in (JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED)


ENDS = tuple(status for status in JobStatus if status.finished)
"""The statuses that are ends."""
LIVE = tuple(status for status in JobStatus if not status.finished)
"""The others."""


class Job(
    Entity,
    table="jobs",
    indexes=[
        ("lane", "precedence", "run_at"),  # claims
        ("lane", "limit_key", "precedence", "run_at"),  # claims by key
        ("status", "lane", "run_at"),  # jobs whose time has come
        ("status", "queue", "run_at"),  # what a queue holds, and how many of each status
        # Leases and waits that ran out, and ends that others have yet to be told of.
        ("status", "leased_until", "awaited"),
        ("status", "finished_at"),  # retention, by status: so DynamoDB can search it too
        ("status", "expires_at"),  # retention of its own; null where a job has none
        ("workflow_id",),
        ("queue",),
        ("task",),
    ],
):
    """A piece of work. Only `Jobs` writes it; change one by its verbs.

    Higher *priority* goes first, then the earlier *run_at*, which is also the time before which it
    does not start. *attempts* counts the claims so far; *started_at* is when the last one was
    made. *progress* runs from 0 to 1. *error* tells of the last attempt that failed.
    """

    id: Field[UUID] = key(default_factory=uuid7)
    queue: Field[str] = field(max_length=100)
    task: Field[str] = field(max_length=200)
    payload: Field[dict[str, object]] = field(default_factory=dict)
    status: Field[JobStatus] = field(default=JobStatus.QUEUED)
    priority: Field[int] = field(default=0)
    # The queue while the job can be claimed; NO_LANE before its time, and from its claim on. So a
    # search for work meets nothing that waits for its time, runs, or has ended.
    lane: Field[str] = field(default=NO_LANE, max_length=100)
    # The priority the other way round, so that one index has jobs in the order of their claims.
    precedence: Field[int] = field(default=0)
    attempts: Field[int] = field(default=0)
    max_attempts: Field[int]
    run_at: Field[datetime]
    unique_key: Field[str | None] = field(default=None, max_length=255)
    # The unique key while the job lives, null from its end on: so the store itself keeps two live
    # jobs from having one key, on every backend.
    live_key: Field[str | None] = field(default=None, max_length=255, unique=True)
    # A unique key that is held by a rule of its own: see `HeldKey`.
    held_key: Field[str | None] = field(default=None, max_length=255)
    lease: Field[UUID | None] = field(default=None)
    leased_until: Field[datetime | None] = field(default=None)
    worker: Field[str | None] = field(default=None, max_length=200)
    # How often a lease ran out: a job that takes its worker with it is stopped by this.
    lost_leases: Field[int] = field(default=0)
    # What its limits count it under: a tenant, a camera.
    limit_key: Field[str | None] = field(default=None, max_length=255)
    # The schedule that made it, and for which of its times.
    schedule: Field[str | None] = field(default=None, max_length=200)
    tick: Field[datetime | None] = field(default=None)
    tags: Field[list[str]] = field(default_factory=list)
    # The time after which it is not started any more.
    deadline: Field[datetime | None] = field(default=None)
    # How many seconds it is kept after its end, and until when that is.
    retention: Field[int | None] = field(default=None)
    expires_at: Field[datetime | None] = field(default=None)
    workflow_id: Field[UUID | None] = field(default=None)
    # What it is called in its workflow.
    name: Field[str | None] = field(default=None, max_length=200)
    # How many jobs it still waits for. Then how many wait for it, and whether any does; both count
    # until those are told of its end.
    pending: Field[int] = field(default=0)
    dependents: Field[int] = field(default=0)
    awaited: Field[bool] = field(default=False)
    # How many steps it has recorded, and how many signals it was sent.
    steps: Field[int] = field(default=0)
    signals: Field[int] = field(default=0)
    # The event that it waits for; `leased_until` is then the time after which it waits no longer.
    event: Field[str | None] = field(default=None, max_length=200)
    progress: Field[float] = field(default=0.0)
    message: Field[str | None] = field(default=None, max_length=MESSAGE_LENGTH)
    # How many lines its log has had, also those that were pushed out.
    log_lines: Field[int] = field(default=0)
    result: Field[object | None] = field(default=None)
    error: Field[str | None] = field(default=None, max_length=ERROR_LENGTH)
    cancel_requested: Field[bool] = field(default=False)
    # The span that enqueued it (W3C Trace Context), for that of its work to go on from.
    traceparent: Field[str | None] = field(default=None, max_length=TRACEPARENT_LENGTH)
    started_at: Field[datetime | None] = field(default=None)
    finished_at: Field[datetime | None] = field(default=None)
    created_at: Field[datetime] = created_at()
    updated_at: Field[datetime] = updated_at()
    version: Field[int] = version()


@dataclass(frozen=True, slots=True)
class QueueStatistics:
    """A queue's jobs by status, every status named, and how long the oldest has been due.

    *oldest* is None when no job of the queue is due.
    """

    counts: Mapping[JobStatus, int]
    oldest: timedelta | None


def checked_payload(payload: object) -> dict[str, object]:
    """Return *payload*, a mapping or None, as a dict of its own. Raises InvalidValueError.

    It must be small: a job that works on much data is given the key of an object.
    """
    if payload is None:
        return {}
    if not isinstance(payload, Mapping):
        raise InvalidValueError(
            "Job", "payload", f"expected a mapping such as a dict, got {type(payload).__name__}"
        )
    given = dict(payload)
    try:
        size = len(orjson.dumps(given, option=orjson.OPT_PASSTHROUGH_SUBCLASS))
    except TypeError:
        return given  # what is not JSON is named by its field's own check
    if size > PAYLOAD_BYTES:
        raise InvalidValueError(
            "Job",
            "payload",
            f"has {size} bytes as JSON, expected at most {PAYLOAD_BYTES}; put the data into a "
            "bucket and its key into the payload",
        )
    return given


def checked_fraction(fraction: float) -> float:
    """Return *fraction*. Raises InvalidValueError unless it lies from 0 to 1."""
    if not isinstance(fraction, (int, float)) or not 0 <= fraction <= 1:
        raise InvalidValueError("Job", "progress", f"expected 0 to 1, got {fraction!r}")
    return float(fraction)


def storable(text: str, limit: int) -> str:
    """Return *text* as every backend can keep it, cut to *limit* characters."""
    clean = text.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"
