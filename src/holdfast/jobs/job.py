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
from holdfast.uuid7 import uuid7

if TYPE_CHECKING:
    from datetime import timedelta

MESSAGE_LENGTH = 1_000
ERROR_LENGTH = 4_000
PAYLOAD_BYTES = 1 << 20
"""The largest payload, as JSON."""


class JobStatus(StrEnum):
    """Where a job stands. The last three are ends: nothing leaves them."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def finished(self) -> bool:
        """Whether the job is at its end."""
        return self not in (JobStatus.QUEUED, JobStatus.RUNNING)


class Job(
    Entity,
    table="jobs",
    indexes=[
        ("queue", "status", "priority", "run_at"),  # claims
        ("queue", "status", "run_at"),  # whether anything is due
        ("status", "leased_until"),  # leases that ran out
        ("finished_at",),  # retention; null for all jobs that live
        ("queue",),
        ("status",),
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
    attempts: Field[int] = field(default=0)
    max_attempts: Field[int]
    run_at: Field[datetime]
    unique_key: Field[str | None] = field(default=None, max_length=255)
    # The unique key while the job lives, null from its end on: so the store itself keeps two live
    # jobs from having one key, on every backend.
    live_key: Field[str | None] = field(default=None, max_length=255, unique=True)
    lease: Field[UUID | None] = field(default=None)
    leased_until: Field[datetime | None] = field(default=None)
    worker: Field[str | None] = field(default=None, max_length=200)
    progress: Field[float] = field(default=0.0)
    message: Field[str | None] = field(default=None, max_length=MESSAGE_LENGTH)
    result: Field[object | None] = field(default=None)
    error: Field[str | None] = field(default=None, max_length=ERROR_LENGTH)
    cancel_requested: Field[bool] = field(default=False)
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
