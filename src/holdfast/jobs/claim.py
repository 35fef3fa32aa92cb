"""Claims: the hold that a worker has on a job, for as long as its lease lasts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from holdfast.jobs.job import NO_LANE, Job, JobStatus

if TYPE_CHECKING:
    from collections.abc import Collection
    from uuid import UUID

    from holdfast.records import Change, Predicate

NOWHERE: Change = Job.lane.to(NO_LANE)
"""Takes a job from its place among those that can be claimed."""
IN_LANE: Change = Job.lane.to(Job.queue)
"""Gives a job, whose time has come, its place among those that can be claimed."""
_MOST = 2**63 - 1
_NOTHING = timedelta(0)


@dataclass(frozen=True, slots=True)
class Claimed:
    """A job as it was claimed, the secret token of its lease, and how long a lease lasts.

    Jobs that were claimed together have one token.
    """

    job: Job
    token: UUID
    lease: timedelta


def placed(job: Job, now: datetime) -> Job:
    """Give *job*, which is not stored yet, its place among those that can be claimed.

    Whatever else puts a job into a queue leaves its lane NO_LANE: then the next look for jobs whose
    time has come (`JobClaims.make_ready`) puts it there.
    """
    # What is no number, no time or has no zone, the store refuses by name.
    if isinstance(job.priority, int):
        job.precedence = precedence_of(job.priority)
    if isinstance(job.run_at, datetime) and job.run_at.tzinfo is not None and job.run_at <= now:
        job.lane = job.queue
    return job


def precedence_of(priority: int) -> int:
    """Return the precedence of a job with *priority*: it goes along its index as claims do."""
    return min(-priority, _MOST)


def ready(queue: str, tasks: Collection[str] | None) -> Predicate:
    """Return the condition that a job of *queue* can be claimed; None: whatever its task.

    The lane alone says it. With the status too, PostgreSQL may take the index of that, and sort all
    that waits for each claim, until its statistics know the table.
    """
    there: Predicate = Job.lane == queue
    return there if tasks is None else there & Job.task.in_(tasks)


def come(now: datetime, since: datetime | None = None) -> Predicate:
    """Return the condition that a job has no place among those to be claimed, and should have.

    With *since*, since then.
    """
    there = (Job.status == JobStatus.QUEUED) & (Job.lane == NO_LANE) & (Job.run_at <= now)
    return there if since is None else there & (Job.run_at >= since)


def due(now: datetime) -> Predicate:
    """Return the condition that a job's time has come."""
    return (Job.status == JobStatus.QUEUED) & (Job.run_at <= now)


def expired(now: datetime) -> Predicate:
    """Return the condition that a lease ran out: its worker is gone, or may do no more."""
    return (Job.status == JobStatus.RUNNING) & (Job.leased_until <= now)


def leased(now: datetime, *, queue: str | None = None) -> Predicate:
    """Return the condition that a job, of *queue* if that is said, runs, as its lease tells."""
    runs = (Job.status == JobStatus.RUNNING) & (Job.leased_until > now)
    return runs if queue is None else (Job.queue == queue) & runs


def lapsed(now: datetime, since: datetime | None = None) -> Predicate:
    """Return the condition that a lease ran out, or the time that a job waits for an event.

    With *since*, since then. Of others than those that run or wait none has such a time.
    """
    over: Predicate = Job.leased_until <= now
    return over if since is None else over & (Job.leased_until >= since)


def held(claim: Claimed, now: datetime) -> Predicate:
    """Return the condition that *claim* holds the job: each write of a worker depends on it.

    A lease that ran out is not held, even when nobody has taken the job over yet.
    """
    return held_by(claim.token, now)


def held_by(token: UUID, now: datetime) -> Predicate:
    """Return the condition that a job is held by *token*.

    A lease is there while a job runs, and no longer. With the status too, PostgreSQL may look along
    the index of what runs for a job that is asked for by its key.
    """
    return (Job.lease == token) & (Job.leased_until > now)


def claimed(worker: str, token: UUID, now: datetime, lease: timedelta) -> tuple[Change, ...]:
    """Return the changes by which *worker* claims jobs."""
    return (
        Job.status.to(JobStatus.RUNNING),
        Job.lane.to(NO_LANE),
        Job.attempts.increment(1),
        Job.lease.to(token),
        Job.leased_until.to(now + lease),
        Job.worker.to(worker),
        Job.started_at.to(now),
        Job.progress.to(0.0),
        Job.message.to(None),
    )


def released(*, lane: Change = NOWHERE) -> tuple[Change, ...]:
    """Return the changes that take the lease away; *lane* is the place among jobs to be claimed."""
    return (Job.lease.to(None), Job.leased_until.to(None), lane)


def succeeded(now: datetime, retention: int | None) -> tuple[Change, ...]:
    """Return the changes that end a job well, but for its result; see `ended`."""
    return (
        *ended(JobStatus.SUCCEEDED, now, retention),
        Job.progress.to(1.0),
        Job.error.to(None),
    )


def ended(status: JobStatus, now: datetime, retention: int | None = None) -> tuple[Change, ...]:
    """Return the changes that end a job, which is then kept for its *retention* in seconds."""
    kept = () if retention is None else (Job.expires_at.to(now + timedelta(seconds=retention)),)
    return (
        *released(),
        Job.status.to(status),
        Job.live_key.to(None),
        Job.finished_at.to(now),
        *kept,
    )


def missed(job: Job, now: datetime) -> str | None:
    """Return why *job*, which is claimed at *now*, is not started any more; None if it is.

    One that has recorded a step has begun in time, and is gone on with.
    """
    if job.deadline is None or job.deadline > now or job.steps:
        return None
    return f"its deadline {job.deadline.isoformat()} was over before it could start"


def requeued(run_at: datetime, *, lane: Change = NOWHERE) -> tuple[Change, ...]:
    """Return the changes that put a job back into its queue; IN_LANE: to be claimed now."""
    return (
        *released(lane=lane),
        Job.status.to(JobStatus.QUEUED),
        Job.worker.to(None),
        Job.run_at.to(run_at),
    )


def woken(now: datetime, *, lane: Change = NOWHERE) -> tuple[Change, ...]:
    """Return the changes that queue a job which has waited for an event; *lane* as `requeued`."""
    return (*requeued(now, lane=lane), Job.event.to(None))


def lasted(job: Job, now: datetime) -> timedelta | None:
    """Return how long the attempt has lasted that *job* was claimed for; no clock goes back."""
    return None if job.started_at is None else max(now - job.started_at, _NOTHING)
