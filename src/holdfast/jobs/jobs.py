"""The job table's verbs: put work in, claim it, report on it, end it, look at it.

A worker's hold on a job is a lease: a random token and a time at which it runs out. Every write
of a worker is one conditional write that names the token, so a worker that was paused and wakes
up after its lease can change nothing, on any backend.
"""

from __future__ import annotations

import random
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

from holdfast.errors import (
    ConfigurationError,
    DuplicateError,
    InvalidValueError,
    LeaseLostError,
    NotFoundError,
    PreconditionFailedError,
)
from holdfast.jobs.claim import Claimed, due, ended, expired, held, requeued
from holdfast.jobs.job import (
    ERROR_LENGTH,
    MESSAGE_LENGTH,
    Job,
    JobStatus,
    QueueStatistics,
    checked_fraction,
    checked_payload,
    storable,
)
from holdfast.jobs.job_spans import enqueueing
from holdfast.jobs.options import Backoff, EnqueueOptions, check_queues
from holdfast.records import everything

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from holdfast.records import Change, Page, Predicate, Store

LEASE = timedelta(seconds=60)
_DEFAULTS = EnqueueOptions()
_BACKOFF = Backoff()
_EVERYTHING = everything()
_CANDIDATES = 16  # jobs read at once; claimers that lose one race go on to the next of them
_PRIORITIES = 8  # looked at one by one before one search over all that is due
_KEY_ATTEMPTS = 100


@dataclass(frozen=True, slots=True)
class Enqueued:
    """The job that now stands for the work, and whether it was made by this call."""

    job: Job
    created: bool


class Jobs:
    """The jobs of a store that was opened with `Job` among its entities.

    Every method is a call on the store and nothing else: it takes part in the transaction around
    it, and runs on a blocking store as well. *chance* draws from [0, 1) for the backoff's jitter.
    """

    def __init__(
        self,
        store: Store,
        *,
        backoff: Backoff = _BACKOFF,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.store = store
        self.now = store.now
        self.chance = chance
        self._backoff = backoff
        self._jobs = store.repository(Job)

    # --- for those who want work done -------------------------------------------------------

    async def enqueue(
        self,
        task: str,
        payload: Mapping[str, object] | None = None,
        *,
        options: EnqueueOptions = _DEFAULTS,
    ) -> Enqueued:
        """Store a new job for *task*; in a transaction it exists if and when that commits.

        With a unique key that a queued or running job has, return that job instead. Any number
        may try this at once: one job is made. Raises InvalidValueError, say for a payload that is
        not a mapping of JSON, or has more than PAYLOAD_BYTES as JSON.
        """
        if not task:
            raise InvalidValueError("Job", "task", "is empty; a task has a name")
        now = self.now()
        job = Job(
            queue=options.queue,
            task=task,
            payload=checked_payload(payload),
            priority=options.priority,
            max_attempts=options.max_attempts,
            run_at=options.run_at or now + (options.delay or timedelta(0)),
            unique_key=options.unique_key,
            live_key=options.unique_key,
        )
        with enqueueing(job):
            if options.unique_key is None:
                return Enqueued(await self._jobs.add(job), created=True)
            return await self._enqueue_unique(job)

    async def _enqueue_unique(self, job: Job) -> Enqueued:
        for _ in range(_KEY_ATTEMPTS):
            try:
                async with self.store.transaction():
                    return Enqueued(await self._jobs.add(job), created=True)
            except DuplicateError:
                living = await self._jobs.first(Job.live_key == job.unique_key)
            if living is not None:
                return Enqueued(living, created=False)
            # It ended between the two statements, so the key is free again.
        return Enqueued(await self._jobs.add(job), created=True)

    async def cancel(self, job_id: UUID) -> Job:
        """Cancel the job and return it as it then stands; a finished one is left as it is.

        One that waits is cancelled at once. One that runs is asked to stop: `cancel_requested`
        is set, and its worker ends it. Raises NotFoundError.
        """
        while True:
            now = self.now()
            job = await self._cancelled(
                job_id,
                *ended(JobStatus.CANCELLED, now),
                Job.cancel_requested.to(True),
                when=(Job.status == JobStatus.QUEUED) | expired(now),
            ) or await self._cancelled(
                job_id, Job.cancel_requested.to(True), when=Job.status == JobStatus.RUNNING
            )
            if job is None:
                job = await self._jobs.get_one(job_id)
                if not job.status.finished:
                    continue  # it was claimed or put back between the two writes
            return job

    # --- for workers ------------------------------------------------------------------------

    async def claim(
        self, worker: str, *, queues: Sequence[str] = ("default",), lease: timedelta = LEASE
    ) -> Claimed | None:
        """Return the next job that is due, held by *worker* for *lease*; None when none is.

        *queues* are served in the order given; within one, higher priority first, then the
        earlier `run_at`, then the older job. However many claim at once, one gets the job. A job
        whose lease ran out goes back to its queue first; when its attempts are used up it fails,
        and when it was to be cancelled it is.
        """
        check_queues(queues)
        if lease <= timedelta(0):
            raise ConfigurationError(f"lease={lease}: expected a positive time")
        await self._take_back(queues)
        for queue in queues:
            while candidates := await self._candidates(queue):
                for job in candidates:
                    claimed = await self._claim(job.id, worker, lease)
                    if claimed is not None:
                        return claimed
        return None

    async def heartbeat(self, claim: Claimed) -> Job:
        """Renew the lease and return the job; look at its `cancel_requested`.

        Raises LeaseLostError, and then nothing was changed.
        """
        return await self._write(claim, *self._renewed(claim))

    async def progress(self, claim: Claimed, fraction: float, message: str | None = None) -> Job:
        """Tell how far the work is, from 0 to 1; renew the lease and return the job.

        A message that is None stays what it was; a long one is cut. Look at `cancel_requested`.
        Raises LeaseLostError, and InvalidValueError for a fraction outside 0 to 1.
        """
        changes = [*self._renewed(claim), Job.progress.to(checked_fraction(fraction))]
        if message is not None:
            changes.append(Job.message.to(storable(message, MESSAGE_LENGTH)))
        return await self._write(claim, *changes)

    async def complete(self, claim: Claimed, result: object = None) -> Job:
        """End the job as succeeded with *result*, which is JSON.

        In a transaction with what the work has written, both happen or neither. A request to
        cancel came too late. Raises LeaseLostError, and InvalidValueError for a result that is no
        JSON.
        """
        return await self._write(
            claim,
            *ended(JobStatus.SUCCEEDED, self.now()),
            Job.result.to(result),
            Job.progress.to(1.0),
            Job.error.to(None),
        )

    async def fail(self, claim: Claimed, error: str, *, retry: bool = True) -> Job:
        """Record *error* (cut when long): queued again after a backoff, or failed for good.

        It is failed when *retry* is False or its attempts are used up, and cancelled instead of
        queued when that was asked for. Raises LeaseLostError.
        """
        now = self.now()
        failure = Job.error.to(storable(error, ERROR_LENGTH))
        if not retry or claim.job.attempts >= claim.job.max_attempts:
            return await self._write(claim, *ended(JobStatus.FAILED, now), failure)
        delay = self._backoff.delay(claim.job.attempts, self.chance())
        again = (*requeued(now + delay), failure)
        try:
            return await self._write(claim, *again, only=Job.cancel_requested == False)  # noqa: E712
        except LeaseLostError:
            # Or the job is to be cancelled: then there is no further attempt.
            return await self._write(claim, *ended(JobStatus.CANCELLED, now), failure)

    async def stopped(self, claim: Claimed) -> Job:
        """End the job as cancelled: its worker stopped, as it was asked. Raises LeaseLostError."""
        return await self._write(claim, *ended(JobStatus.CANCELLED, self.now()))

    # --- for those who look on --------------------------------------------------------------

    async def get(self, job_id: UUID) -> Job | None:
        """Return the job, None when there is none."""
        return await self._jobs.get(job_id)

    async def list(
        self,
        *,
        status: JobStatus | None = None,
        queue: str | None = None,
        task: str | None = None,
        size: int = 50,
        cursor: str | None = None,
    ) -> Page[Job]:
        """Return a page of the jobs that fit, the newest first."""
        where = everything()
        if status is not None:
            where &= Job.status == status
        if queue is not None:
            where &= Job.queue == queue
        if task is not None:
            where &= Job.task == task
        return await self._jobs.page(where, order_by=Job.id.desc(), size=size, cursor=cursor)

    async def position(self, job_id: UUID) -> int | None:
        """Return the job's place in its queue, 1 for the next; None when it is not queued.

        Counted are the jobs that will be due when it is and go before it. Raises NotFoundError.
        """
        async with self.store.transaction(read_only=True):
            job = await self._jobs.get_one(job_id)
            if job.status is not JobStatus.QUEUED:
                return None
            before = (Job.priority > job.priority) | (Job.priority == job.priority) & (
                (Job.run_at < job.run_at) | (Job.run_at == job.run_at) & (Job.id < job.id)
            )
            there = (Job.queue == job.queue) & due(max(self.now(), job.run_at))
            return 1 + await self._jobs.count(there, before)

    async def statistics(self) -> Mapping[str, QueueStatistics]:
        """Return by queue how many jobs stand where, all at one moment."""
        found: dict[str, QueueStatistics] = {}
        async with self.store.transaction(read_only=True):
            now = self.now()
            job = await self._jobs.first(order_by=Job.queue.asc())
            while job is not None:
                name = job.queue
                counts = {
                    status: await self._jobs.count(Job.queue == name, Job.status == status)
                    for status in JobStatus
                }
                oldest = await self._jobs.first(
                    Job.queue == name, due(now), order_by=Job.run_at.asc()
                )
                age = None if oldest is None else now - oldest.run_at
                found[name] = QueueStatistics(counts, age)
                job = await self._jobs.first(Job.queue > name, order_by=Job.queue.asc())
        return found

    async def purge(self, older_than: timedelta) -> int:
        """Delete the jobs that finished longer ago than *older_than*; return how many."""
        if older_than < timedelta(0):
            raise ConfigurationError(f"older_than={older_than}: expected none or a positive time")
        return await self._jobs.delete_where(Job.finished_at < self.now() - older_than)

    # --- parts ------------------------------------------------------------------------------

    def _renewed(self, claim: Claimed) -> tuple[Change, ...]:
        return (Job.leased_until.to(self.now() + claim.lease),)

    async def _write(self, claim: Claimed, *changes: Change, only: Predicate = _EVERYTHING) -> Job:
        when = held(claim, self.now()) & only
        try:
            return await self._jobs.patch(claim.job.id, *changes, when=when)
        except (PreconditionFailedError, NotFoundError):
            raise LeaseLostError("Job", claim.job.id) from None

    async def _cancelled(self, job_id: UUID, *changes: Change, when: Predicate) -> Job | None:
        """Try what cancels a job, and where hooks listen tell them in the same transaction."""
        async with self.store.transaction() if self.store.hooked.hooks else nullcontext():
            job = await self._try(job_id, *changes, when=when)
            if job is not None:
                details = {"task": job.task, "status": job.status.value}
                await self.store.record_event(
                    "job.cancelled", entity="Job", key=str(job_id), details=details
                )
        return job

    async def _try(self, job_id: UUID, *changes: Change, when: Predicate) -> Job | None:
        try:
            return await self._jobs.patch(job_id, *changes, when=when)
        except PreconditionFailedError:
            return None

    async def _candidates(self, queue: str) -> Sequence[Job]:
        """Return the next few due jobs of *queue*, all of one priority: the highest with any.

        Asked priority by priority, each a search in the index, because an index runs one way only
        while priorities fall and times rise; and so that jobs which wait for a later time are
        stepped over, however many. That ends after a few priorities, or a queue that schedules at
        a thousand of them would cost a thousand searches: what is left is one search over all that
        is due. Nothing due at all, the usual case of an idle worker, is one search by time.
        """
        now = self.now()
        waiting = (Job.queue == queue) & (Job.status == JobStatus.QUEUED)
        if not await self._jobs.exists(waiting, Job.run_at <= now):
            return ()
        falling = (Job.priority.desc(), Job.run_at.desc(), Job.id.desc())
        top = await self._jobs.first(waiting, order_by=falling)
        for _ in range(_PRIORITIES):
            if top is None:
                return ()
            found = await self._jobs.find(
                waiting,
                (Job.priority == top.priority) & (Job.run_at <= now),
                order_by=Job.run_at.asc(),
                limit=_CANDIDATES,
            )
            if found:
                return found
            top = await self._jobs.first(waiting, Job.priority < top.priority, order_by=falling)
        best = await self._jobs.first(
            waiting, Job.run_at <= now, order_by=(Job.priority.desc(), Job.run_at.asc())
        )
        return () if best is None else (best,)

    async def _claim(self, job_id: UUID, worker: str, lease: timedelta) -> Claimed | None:
        token, now = uuid4(), self.now()
        try:
            job = await self._try(
                job_id,
                Job.status.to(JobStatus.RUNNING),
                Job.attempts.increment(1),
                Job.lease.to(token),
                Job.leased_until.to(now + lease),
                Job.worker.to(worker),
                Job.started_at.to(now),
                Job.progress.to(0.0),
                Job.message.to(None),
                when=due(now),
            )
        except NotFoundError:
            return None
        return None if job is None else Claimed(job, token, lease)

    async def _take_back(self, queues: Sequence[str]) -> None:
        """Return to their queue, or end, the jobs whose lease ran out."""
        now = self.now()
        lost = (expired(now), Job.queue.in_(queues))
        async for job in self._jobs.stream(*lost, order_by=Job.leased_until.asc()):
            # The token pins the very lease that was seen; a heartbeat in between renews it.
            seen = expired(now) & (Job.lease == job.lease)
            try:
                await self._try(job.id, *_after_expiry(job, now), when=seen)
            except NotFoundError:
                continue  # removed in between


def _after_expiry(job: Job, now: datetime) -> tuple[Change, ...]:
    reason = (
        f"the lease of worker {job.worker} ran out in attempt {job.attempts} of {job.max_attempts}"
    )
    failure = Job.error.to(storable(reason, ERROR_LENGTH))
    if job.cancel_requested:
        return (*ended(JobStatus.CANCELLED, now), failure)
    if job.attempts >= job.max_attempts:
        return (*ended(JobStatus.FAILED, now), failure)
    return (*requeued(job.run_at), failure)
