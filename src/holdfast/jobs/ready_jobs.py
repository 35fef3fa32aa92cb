"""Which jobs can be claimed: those whose time has come, and those whose lease ran out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.errors import (
    ConfigurationError,
    NotFoundError,
    PreconditionFailedError,
    SerializationError,
)
from holdfast.jobs.claim import IN_LANE, come, ended, lapsed, requeued, woken
from holdfast.jobs.claim_floors import LATE
from holdfast.jobs.history.job_attempt import AttemptOutcome, add_attempt
from holdfast.jobs.job import ERROR_LENGTH, NO_LANE, Job, JobStatus, storable
from holdfast.jobs.job_ends import JobEnds

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from uuid import UUID

    from holdfast.jobs.claim_floors import ClaimFloors, SearchPace
    from holdfast.records import Change, Predicate, Store

CHANNEL = "holdfast_jobs"
"""On which the queues are told that have new jobs to be claimed."""
QUARANTINE_AFTER = 3
"""How many leases a job may lose, where nothing else is said, until it is failed as poison."""
_TOGETHER = 500  # jobs whose time has come that one statement changes
_TAKEN_BACK = 50  # lost jobs, at most, that a worker takes back before it goes on with others


class ReadyJobs(JobEnds):
    """Keeps it up to date which jobs of *store* can be claimed.

    A job that has lost *quarantine_after* leases ends its workers: it is not tried again.
    """

    def __init__(self, store: Store, *, quarantine_after: int) -> None:
        if quarantine_after < 1:
            raise ConfigurationError(f"quarantine_after={quarantine_after}: expected 1 or more")
        super().__init__(store)
        self._quarantine_after = quarantine_after
        self._looked: datetime | None = None

    async def make_ready(
        self, *, pace: SearchPace | None = None, floors: ClaimFloors | None = None
    ) -> int:
        """Let the jobs of all queues be claimed whose time has come; return how many there were.

        A job whose lease ran out goes back to its queue; when its attempts are used up, or it has
        lost as many leases as put it into quarantine, it fails; when it was to be cancelled it is.
        One that has waited long enough, or for the last of the jobs it waits for, is queued.
        Three searches where there is nothing to do, one more where jobs may wait for jobs. With
        a *pace*, which a worker keeps, these are of what has come due since the last look, but for
        those that it wants whole; of jobs whose lease ran out it takes back a few at a time. The
        next searches with *floors* see all of them.
        """
        await self.clock.compare()
        now = self.now()
        whole = pace is None or self._looked is None or pace.whole()
        since = None if whole or self._looked is None else self._looked - LATE
        self._looked = now
        began = 0.0 if pace is None else pace.tell()
        most = None if pace is None else _TAKEN_BACK
        total = await self._take_back(now, since, most, floors) + await self.release_waiting()
        count = _TOGETHER
        while count == _TOGETHER:
            found = await self._jobs.take(
                come(now, since),
                changes=IN_LANE,
                order_by=Job.run_at.asc(),
                limit=_TOGETHER,
            )
            await self._told_of(found, floors)
            count = len(found)
            total += count
        if pace is not None:
            pace.took(began, whole=whole)
        return total

    async def announce(self, jobs: Iterable[Job]) -> None:
        """Wake workers for those of *jobs* that can be claimed, once they are committed.

        Workers on this store at once, on PostgreSQL others too; see `Store.notify`.
        """
        queues = {job.queue for job in jobs if job.lane != NO_LANE}
        await self.store.notify(CHANNEL, *queues)

    async def release_waiting(self) -> int:
        """See `Jobs`; here nothing waits."""
        return 0

    async def _try(self, job_id: UUID, *changes: Change, when: Predicate) -> Job | None:
        try:
            return await self._jobs.patch(job_id, *changes, when=when)
        except PreconditionFailedError:
            return None

    async def _told_of(self, jobs: Iterable[Job], floors: ClaimFloors | None) -> None:
        """Have *jobs*, as they are after a look, found: by others, and with *floors*."""
        await self.announce(jobs)
        if floors is not None:
            floors.lower(jobs)

    async def _take_back(
        self, now: datetime, since: datetime | None, most: int | None, floors: ClaimFloors | None
    ) -> int:
        """Return to their queues, or end, the jobs whose lease or wait ran out, *since* then.

        Return how many went back. After *most* of one kind the rest is left to the next look, which
        is a whole one then.
        """
        back = 0
        for status in (JobStatus.RUNNING, JobStatus.WAITING):
            # One status after the other, and along the whole of their index: in no other way does
            # PostgreSQL take this index and no other that begins with the status.
            over = (Job.status == status) & lapsed(now, since)
            order = (Job.leased_until.asc(), Job.awaited.asc())
            if most is None:
                async for job in self._jobs.stream(over, order_by=order):
                    back += await self._took_back(job, now, floors)
                continue
            lost = await self._jobs.find(over, order_by=order, limit=most)
            for job in lost:
                back += await self._took_back(job, now, floors)
            if len(lost) == most:
                self._looked = None
        return back

    async def _took_back(self, job: Job, now: datetime, floors: ClaimFloors | None) -> bool:
        # The token pins the very lease that was seen; a heartbeat in between renews it.
        seen = (Job.status == job.status) & (Job.lease == job.lease) & lapsed(now)
        try:
            if job.status is JobStatus.WAITING:
                await self._try(job.id, *woken(now), when=seen)
                return False  # it is queued, for now: `make_ready` finds it there
            async with self._with_history():
                found = await self._try(job.id, *self._after_expiry(job, now), when=seen)
                if found is not None:
                    await add_attempt(
                        self.store, job, AttemptOutcome.LOST, ended_at=now, error=found.error
                    )
        except (NotFoundError, SerializationError):
            return False  # removed in between, or somebody else takes it back at this moment
        if found is None:
            return False
        await self._count(found, now, error=found.error, lost=True)
        await self._told_of([found], floors)
        return found.status is JobStatus.QUEUED

    def _after_expiry(self, job: Job, now: datetime) -> tuple[Change, ...]:
        """Return what becomes of a job whose worker is gone: also a job that ends its workers."""
        lost = job.lost_leases + 1
        reason = (
            f"the lease of worker {job.worker} ran out in attempt {job.attempts} of "
            f"{job.max_attempts}"
        )
        poison = lost >= self._quarantine_after
        if poison and job.attempts < job.max_attempts:
            reason = f"poison: {lost} workers vanished over it, and it is not tried again; {reason}"
        seen = (Job.lost_leases.to(lost), Job.error.to(storable(reason, ERROR_LENGTH)))
        if job.cancel_requested:
            return (*ended(JobStatus.CANCELLED, now, job.retention), *seen)
        if poison or job.attempts >= job.max_attempts:
            return (*ended(JobStatus.FAILED, now, job.retention), *seen)
        return (*requeued(job.run_at, lane=IN_LANE), *seen)
