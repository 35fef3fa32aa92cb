"""A worker's verbs on the job table: claim a job, hold it, report on it, end it.

A worker's hold on a job is a lease: a random token and a time at which it runs out. Every write
of a worker is one conditional write that names the token, so a worker that was paused and wakes
up after its lease can change nothing, on any backend.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from holdfast.errors import (
    ConfigurationError,
    DuplicateError,
    LeaseLostError,
    NotFoundError,
    PreconditionFailedError,
)
from holdfast.jobs.claim import (
    IN_LANE,
    Claimed,
    ended,
    held,
    lasted,
    missed,
    requeued,
)
from holdfast.jobs.claim_batch import ClaimBatch
from holdfast.jobs.history.job_attempt import AttemptOutcome, add_attempt
from holdfast.jobs.history.job_log import LogLine, add_lines, unwritten
from holdfast.jobs.job import (
    ERROR_LENGTH,
    MESSAGE_LENGTH,
    Job,
    JobStatus,
    checked_fraction,
    storable,
)
from holdfast.jobs.job_queue import OpenQueues
from holdfast.jobs.limits.job_limits import JobLimits
from holdfast.jobs.limits.limited_claims import LimitedClaims
from holdfast.jobs.options import Backoff, check_queues
from holdfast.jobs.ready_jobs import QUARANTINE_AFTER, ReadyJobs
from holdfast.jobs.sealing_keys import opened
from holdfast.records import everything

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from datetime import datetime

    from holdfast.jobs.claim_floors import ClaimFloors
    from holdfast.jobs.sealing_keys import JobKeys
    from holdfast.records import Change, Predicate, Store

LEASE = timedelta(seconds=60)
_BACKOFF = Backoff()
_EVERYTHING = everything()
_QUEUES = ("default",)
LOOK_EVERY = timedelta(seconds=1)
"""How often claims look for jobs whose time has come, while there are others to claim."""


class JobClaims(ReadyJobs):
    """What workers ask of the jobs of *store*; see `Jobs` for the parameters."""

    def __init__(
        self,
        store: Store,
        *,
        backoff: Backoff = _BACKOFF,
        chance: Callable[[], float] = random.random,
        quarantine_after: int = QUARANTINE_AFTER,
        keys: JobKeys | None = None,
    ) -> None:
        super().__init__(store, quarantine_after=quarantine_after)
        self._open_queues = OpenQueues(store)
        self.chance = chance
        self._backoff = backoff
        self.limits = JobLimits(store, self.now)
        self._limited_claims = LimitedClaims(self.limits)
        self._sealing = keys

    async def claim(
        self, worker: str, *, queues: Sequence[str] = _QUEUES, lease: timedelta = LEASE
    ) -> Claimed | None:
        """Return the next job, held by *worker* for *lease*; None when none can be claimed.

        See `claim_many`.
        """
        found = await self.claim_many(worker, 1, queues=queues, lease=lease)
        return found[0] if found else None

    async def claim_many(
        self,
        worker: str,
        limit: int,
        *,
        queues: Sequence[str] = _QUEUES,
        lease: timedelta = LEASE,
        tasks: Collection[str] | None = None,
    ) -> list[Claimed]:
        """Return the next *limit* jobs, or as many as can be claimed, held by *worker* for *lease*.

        *queues* are served in the order given, paused ones left out; within one, higher priority
        first, then the earlier `run_at`, then the older job; of *tasks* alone, where they are
        named. However many claim at once, one gets a job. Jobs whose time has come, and those
        whose lease ran out, are looked for when too few are found, and once a second: see
        `make_ready`.
        """
        looks = self._looked is None or self._looked + LOOK_EVERY <= self.now()
        if looks:
            await self.make_ready()
        asked = partial(self.claim_ready, worker, queues=queues, lease=lease, tasks=tasks)
        found = await asked(limit)
        if len(found) < limit and not looks and await self.make_ready():
            found += await asked(limit - len(found))
        return found

    async def claim_ready(
        self,
        worker: str,
        limit: int,
        *,
        queues: Sequence[str] | Mapping[str, int] = _QUEUES,
        lease: timedelta = LEASE,
        tasks: Collection[str] | None = None,
        floors: ClaimFloors | None = None,
    ) -> list[Claimed]:
        """Do as `claim_many`, of the jobs alone that were found to be due before.

        That is a write for each of *queues* that has some; when none has, it is one search. Where
        numbers are given with *queues*, at most so many of each. With *floors*, which a worker
        keeps, searches may begin where the last one ended: see `ClaimFloors`.
        """
        check_queues(queues)
        if lease <= timedelta(0):
            raise ConfigurationError(f"lease={lease}: expected a positive time")
        if limit < 0:
            raise ConfigurationError(f"limit={limit}: expected 0 or more")
        await self.clock.compare()
        names = await self._open_queues.among(tuple(queues))
        if len(names) > 1 and not await self._any_ready(names, floors):
            return []
        limits = await self.limits.known()
        found: list[Claimed] = []
        for queue in names:
            most = limit if not isinstance(queues, Mapping) else len(found) + queues[queue]
            while (left := min(limit, most) - len(found)) > 0:
                batch = ClaimBatch(self._jobs, worker, lease, self.now)
                await self._limited_claims.take(
                    batch, queue, tasks, most=left, limits=limits, floors=floors
                )
                claims = batch.in_order()
                in_time = [claim for claim in claims if not await self._missed(claim)]
                found += in_time
                if len(in_time) == len(claims):
                    break
        return found

    async def heartbeat(self, claim: Claimed) -> Job:
        """Renew the lease and return the job; look at its `cancel_requested`.

        Raises LeaseLostError, and then nothing was changed.
        """
        await self.clock.compare()
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

    async def write_log(self, claim: Claimed, lines: Sequence[LogLine], *, dropped: int = 0) -> Job:
        """Add *lines* to the job's log; renew the lease and return the job.

        At most LINES_AT_ONCE, all of them or none; what was written before, by a call whose answer
        was lost, is not written again. *dropped* lines before them leave a gap. Raises
        LeaseLostError, and ConfigurationError in a store that was opened without JobLogLine.
        """
        if not lines:
            return await self.heartbeat(claim)
        counted = Job.log_lines.increment(len(lines) + dropped)
        try:
            async with self.store.transaction():
                job = await self._write(claim, *self._renewed(claim), counted)
                await add_lines(self.store, job, lines)
        except DuplicateError:
            left = await unwritten(self.store, lines)
            return await self.write_log(claim, left)
        return job

    async def fail(
        self, claim: Claimed, error: str, *, retry: bool = True, after: timedelta | None = None
    ) -> Job:
        """Record *error* (cut when long): queued again after a backoff, or failed for good.

        The delay is *after*, where that is said, in place of the backoff's. It is failed when
        *retry* is False or its attempts are used up, and cancelled instead of queued when that was
        asked for. Raises LeaseLostError.
        """
        now = self.now()
        async with self._with_history():
            job = await self._fail(claim, error, now, retry=retry, after=after)
            await add_attempt(
                self.store, claim.job, AttemptOutcome.FAILED, ended_at=now, error=error
            )
        await self._count(job, now, duration=lasted(claim.job, now), error=error)
        return job

    async def _fail(
        self, claim: Claimed, error: str, now: datetime, *, retry: bool, after: timedelta | None
    ) -> Job:
        kept = claim.job.retention
        failure = Job.error.to(storable(error, ERROR_LENGTH))
        if not retry or claim.job.attempts >= claim.job.max_attempts:
            return await self._write(claim, *ended(JobStatus.FAILED, now, kept), failure)
        delay = self._backoff.delay(claim.job.attempts, self.chance()) if after is None else after
        again = (*requeued(now + delay), failure)
        try:
            return await self._write(claim, *again, only=Job.cancel_requested == False)  # noqa: E712
        except LeaseLostError:
            # Or the job is to be cancelled: then there is no further attempt.
            return await self._write(claim, *ended(JobStatus.CANCELLED, now, kept), failure)

    async def stopped(self, claim: Claimed) -> Job:
        """End the job as cancelled: its worker stopped, as it was asked. Raises LeaseLostError."""
        now = self.now()
        async with self._with_history():
            job = await self._write(claim, *ended(JobStatus.CANCELLED, now, claim.job.retention))
            await add_attempt(
                self.store, claim.job, AttemptOutcome.CANCELLED, ended_at=now, error=None
            )
        await self._count(job, now)
        return job

    @property
    def seals(self) -> bool:
        """Whether payloads and results are sealed."""
        return self._sealing is not None

    def sealed(self, job: Job) -> Job:
        """Return *job*, which is not stored yet, with its payload sealed, if there are keys."""
        if self._sealing is not None:
            job.payload = self._sealing.seal(job.id, "payload", job.payload)
        return job

    def opened(self, job: Job) -> Job:
        """Return *job* with its payload and result as they were before they were sealed.

        Raises JobKeyMissingError without the key, and IntegrityError for what was changed.
        """
        return opened(self._sealing, job)

    async def put_back(
        self, claim: Claimed, *, after: timedelta | None = None, error: str | None = None
    ) -> Job:
        """Return the job to its queue, the attempt not counted; cancelled if asked for.

        At once, for a worker that stops before the work is done; or *after* some time, with the
        *error* for which this worker can't do it. Raises LeaseLostError.
        """
        back = (
            requeued(claim.job.run_at, lane=IN_LANE)
            if after is None
            else requeued(self.now() + after)
        )
        again = [*back, Job.attempts.increment(-1)]
        if error is not None:
            again.append(Job.error.to(storable(error, ERROR_LENGTH)))
        try:
            job = await self._write(claim, *again, only=Job.cancel_requested == False)  # noqa: E712
        except LeaseLostError:
            return await self.stopped(claim)
        await self.announce([job])
        return job

    # --- parts ------------------------------------------------------------------------------

    async def _any_ready(self, queues: Sequence[str], floors: ClaimFloors | None) -> bool:
        if floors is not None:
            return await floors.any_ready(self._jobs, queues)
        return await self._jobs.exists(Job.lane.in_(queues))

    def _renewed(self, claim: Claimed) -> tuple[Change, ...]:
        return (Job.leased_until.to(self.now() + claim.lease),)

    async def _write(self, claim: Claimed, *changes: Change, only: Predicate = _EVERYTHING) -> Job:
        when = held(claim, self.now()) & only
        try:
            return await self._jobs.patch(claim.job.id, *changes, when=when)
        except (PreconditionFailedError, NotFoundError):
            raise LeaseLostError("Job", claim.job.id) from None

    async def _missed(self, claim: Claimed) -> bool:
        """Fail the job just claimed if its deadline is over, and tell whether it was."""
        reason = missed(claim.job, self.now())
        if reason is None:
            return False
        await self.fail(claim, reason, retry=False)
        return True
