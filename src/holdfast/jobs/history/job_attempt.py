"""The history of a job: each attempt at it, by whom, from when to when, and how it ended."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING
from uuid import UUID

from holdfast.jobs.job import ERROR_LENGTH, Job, JobStatus, storable
from holdfast.jobs.side_tables import has_table, side_table
from holdfast.records import Entity, Field, field, key
from holdfast.uuid7 import uuid7

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.records import Store

MOST_ATTEMPTS = 200
"""How many attempts of one job are told, the latest."""


class AttemptOutcome(StrEnum):
    """How an attempt ended. *failed*: by an error; *lost*: its lease ran out."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    LOST = "lost"
    CANCELLED = "cancelled"


class JobAttempt(Entity, table="job_attempts", indexes=[("job_id", "began_at")]):
    """An attempt at a job. *outcome* and *ended_at* are None while it runs.

    One that failed, was lost or cancelled is written with that end, in the same transaction. The
    one that succeeded, and the one that runs, have no row: the job itself tells of them.
    """

    id: Field[UUID] = key(default_factory=uuid7)
    job_id: Field[UUID]
    number: Field[int]
    worker: Field[str | None] = field(default=None, max_length=200)
    began_at: Field[datetime]
    ended_at: Field[datetime | None] = field(default=None)
    outcome: Field[AttemptOutcome | None] = field(default=None)
    error: Field[str | None] = field(default=None, max_length=ERROR_LENGTH)


async def add_attempt(
    store: Store, job: Job, outcome: AttemptOutcome, *, ended_at: datetime, error: str | None
) -> None:
    """Write down how the attempt that *job*, as it was claimed, stands for has ended.

    In a store without JobAttempt nothing is.
    """
    if job.started_at is None or not has_table(store, JobAttempt):
        return
    attempt = _told_by(job, outcome, ended_at)
    attempt.error = None if error is None else storable(error, ERROR_LENGTH)
    await store.repository(JobAttempt).add(attempt)


async def attempts_of(store: Store, job: Job) -> Sequence[JobAttempt]:
    """Return the attempts at *job*, the first one first; see `JobReads.attempts`."""
    attempts = side_table(store, JobAttempt, of="history")
    latest = await attempts.find(
        JobAttempt.job_id == job.id, order_by=JobAttempt.began_at.desc(), limit=MOST_ATTEMPTS
    )
    found = latest[::-1]
    own = _own_attempt(job)
    written = bool(found) and own is not None and found[-1].began_at == own.began_at
    return found if own is None or written else [*found, own]


def _own_attempt(job: Job) -> JobAttempt | None:
    """Return the attempt that *job* tells of: the one that runs, or that ended it."""
    match job.status:
        case JobStatus.RUNNING if job.started_at is not None:
            return _told_by(job, None, None)
        case JobStatus.SUCCEEDED if job.started_at is not None:
            return _told_by(job, AttemptOutcome.SUCCEEDED, job.finished_at)
        case _:
            return None


def _told_by(job: Job, outcome: AttemptOutcome | None, ended_at: datetime | None) -> JobAttempt:
    assert job.started_at is not None
    return JobAttempt(
        job_id=job.id,
        number=job.attempts,
        worker=job.worker,
        began_at=job.started_at,
        ended_at=ended_at,
        outcome=outcome,
    )
