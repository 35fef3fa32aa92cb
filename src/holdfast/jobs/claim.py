"""Claims: the hold that a worker has on a job, for as long as its lease lasts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.jobs.job import Job, JobStatus

if TYPE_CHECKING:
    from datetime import datetime, timedelta
    from uuid import UUID

    from holdfast.records import Change, Predicate


@dataclass(frozen=True, slots=True)
class Claimed:
    """A job as it was claimed, the secret token of its lease, and how long a lease lasts."""

    job: Job
    token: UUID
    lease: timedelta


def due(now: datetime) -> Predicate:
    """Return the condition that a job can be claimed."""
    return (Job.status == JobStatus.QUEUED) & (Job.run_at <= now)


def expired(now: datetime) -> Predicate:
    """Return the condition that a lease ran out: its worker is gone, or may do no more."""
    return (Job.status == JobStatus.RUNNING) & (Job.leased_until <= now)


def held(claim: Claimed, now: datetime) -> Predicate:
    """Return the condition that *claim* holds the job: each write of a worker depends on it.

    A lease that ran out is not held, even when nobody has taken the job over yet.
    """
    return (Job.status == JobStatus.RUNNING) & (Job.lease == claim.token) & (Job.leased_until > now)


def released() -> tuple[Change, ...]:
    """Return the changes that take the lease away."""
    return (Job.lease.to(None), Job.leased_until.to(None))


def ended(status: JobStatus, now: datetime) -> tuple[Change, ...]:
    """Return the changes that end a job."""
    return (
        *released(),
        Job.status.to(status),
        Job.live_key.to(None),
        Job.finished_at.to(now),
    )


def requeued(run_at: datetime) -> tuple[Change, ...]:
    """Return the changes that put a job back into its queue."""
    return (
        *released(),
        Job.status.to(JobStatus.QUEUED),
        Job.worker.to(None),
        Job.run_at.to(run_at),
    )
