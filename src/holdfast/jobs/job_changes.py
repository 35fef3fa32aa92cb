"""Verbs that change stored jobs by hand: tried again, put off, edited, removed; one or many."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from holdfast.errors import (
    ConfigurationError,
    DuplicateError,
    IllegalTransitionError,
    NotFoundError,
    StaleVersionError,
)
from holdfast.jobs.atomic import atomically
from holdfast.jobs.claim import IN_LANE
from holdfast.jobs.held_key import HeldKey, held_key, take
from holdfast.jobs.job import ENDS, Job, JobStatus, checked_payload
from holdfast.jobs.job_completion import JobCompletion
from holdfast.jobs.job_edit import JobEdit
from holdfast.jobs.side_tables import has_table
from holdfast.jobs.uniqueness import LIVE_STATES
from holdfast.jobs.workflows.dependency_release import await_again
from holdfast.jobs.workflows.job_dependency import JobDependency
from holdfast.jobs.workflows.job_parts import has_parts, remove_parts
from holdfast.records import StoreCapability, everything

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime
    from uuid import UUID

    from holdfast.records import Change, Condition, Order, Predicate

_RETRIABLE = (JobStatus.FAILED, JobStatus.CANCELLED)
EDITABLE = (JobStatus.QUEUED, *_RETRIABLE)
MOST_AT_ONCE = 1_000
"""How many jobs a verb for many looks at in one call, unless it is told."""
_PIECE = 50  # jobs that are read, or removed, at once: DynamoDB takes 100 items, theirs among them


@dataclass(frozen=True, slots=True)
class BulkChange:
    """What a verb for many jobs did.

    *changed* and *refused* are how many jobs: one is refused that moved on meanwhile, or whose
    unique key another job has. *next* is where a further call goes on, None at the end.
    """

    changed: int
    refused: int
    next: UUID | None


class JobChanges(JobCompletion):
    """What those who look after the jobs of *store* do to them; see `Jobs` for the parameters."""

    async def retry(self, job_id: UUID) -> Job:
        """Put a failed or cancelled job back into its queue, due now, and return it.

        It has all its attempts again, no deadline, and keeps its last error until it ends. Jobs
        that have waited on since it failed are told of its new end. It takes its unique key again:
        raises DuplicateError when another job has that. Raises NotFoundError, and
        IllegalTransitionError for a job in another status.
        """
        job = await self._jobs.get_one(job_id)
        changes = [
            Job.status.to(JobStatus.QUEUED),
            Job.attempts.to(0),
            Job.lost_leases.to(0),
            Job.run_at.to(self.now()),
            IN_LANE,
            Job.deadline.to(None),
            Job.live_key.to(job.unique_key),
            Job.worker.to(None),
            Job.event.to(None),
            Job.cancel_requested.to(False),
            Job.progress.to(0.0),
            Job.message.to(None),
            Job.finished_at.to(None),
            Job.expires_at.to(None),
        ]
        waits_on = job.workflow_id is not None and has_table(self.store, JobDependency)

        async def work() -> Job:
            # A unique key never changes, so what was read of it holds.
            await self._hold_again(job)
            try:
                retried = await self._told(
                    "job.retried", job_id, *changes, when=Job.status.in_(_RETRIABLE), to="retried"
                )
            except DuplicateError:  # of the field that is unique, which is not what callers set
                raise DuplicateError("Job", ("unique_key",)) from None
            await self.announce([retried])
            return await await_again(self.store, retried) if waits_on else retried

        together = waits_on or job.held_key is not None
        return await atomically(self.store, work) if together else await work()

    async def reschedule(self, job_id: UUID, run_at: datetime) -> Job:
        """Let a queued job start not before *run_at* (aware), and return it.

        Raises NotFoundError, and IllegalTransitionError for a job that is not queued.
        """
        queued = (JobStatus.QUEUED,)
        return await self._edited(job_id, JobEdit(run_at=run_at), queued, to="rescheduled")

    async def edit(self, job_id: UUID, edit: JobEdit) -> Job:
        """Change what the job says, all of *edit* or nothing, and return it.

        The job is queued, or was failed or cancelled: so a dead letter is put right before it is
        tried again. Raises NotFoundError, IllegalTransitionError for a job in another status, and
        InvalidValueError.
        """
        return await self._edited(job_id, edit, EDITABLE, to="edited")

    async def redrive(
        self, *where: Condition[Job], limit: int = MOST_AT_ONCE, after: UUID | None = None
    ) -> BulkChange:
        """Retry the dead letters that fit: jobs that failed for good; see `retry`.

        They are looked at by id, at most *limit* of them, from the one behind *after* on; each
        is changed by itself.
        """
        return await self._many((JobStatus.FAILED,), where, self.retry, limit=limit, after=after)

    async def edit_where(
        self,
        *where: Condition[Job],
        edit: JobEdit,
        limit: int = MOST_AT_ONCE,
        after: UUID | None = None,
    ) -> BulkChange:
        """Edit the jobs that fit and may be edited; see `edit`, and `redrive` for the rest."""

        async def edited(job_id: UUID) -> Job:
            return await self.edit(job_id, edit)

        return await self._many(EDITABLE, where, edited, limit=limit, after=after)

    async def purge(self, older_than: timedelta) -> int:
        """Delete the jobs that finished longer ago than *older_than*; return how many.

        In pieces, each deleted by itself. One that others wait for stays until they are told of
        its end.
        """
        if older_than < timedelta(0):
            raise ConfigurationError(f"older_than={older_than}: expected none or a positive time")
        over = Job.finished_at < self.now() - older_than
        return await self._remove(over, Job.finished_at.asc())

    async def purge_expired(self) -> int:
        """Delete the jobs that were to be kept for some time and have been; return how many."""
        return await self._remove(Job.expires_at <= self.now(), Job.expires_at.asc())

    # --- parts ------------------------------------------------------------------------------

    async def _hold_again(self, job: Job) -> None:
        """Take the held key of *job* again, unless another job has taken it over."""
        if job.held_key is None or not has_table(self.store, HeldKey):
            return
        keys = self.store.repository(HeldKey)
        row = await keys.get(job.held_key)
        other = None if row is None else await self._jobs.get(row.job_id)
        if row is not None and row.job_id != job.id and row.held_by(other, self.now()):
            raise DuplicateError("Job", ("held_key",))
        try:
            if row is None:
                await keys.add(held_key(job, LIVE_STATES, None))
            elif row.job_id == job.id:
                # Written, so that whoever takes the key over at this moment finds that it is held.
                await keys.patch(row.key, HeldKey.job_id.to(job.id), version=row.version)
            else:  # whose row said by which rule it held the key is gone: while it lives, then
                await take(keys, {row.key: row}, [held_key(job, LIVE_STATES, None)])
        except (DuplicateError, StaleVersionError, NotFoundError):
            raise DuplicateError("Job", ("held_key",)) from None

    async def _edited(
        self, job_id: UUID, edit: JobEdit, statuses: tuple[JobStatus, ...], *, to: str
    ) -> Job:
        if edit.payload is not None and self._sealing is not None:
            plain = checked_payload(edit.payload)
            edit = replace(edit, payload=self._sealing.seal(job_id, "payload", plain))
        when = Job.status.in_(statuses)
        return await self._told("job.edited", job_id, *edit.changes(), when=when, to=to)

    async def _told(
        self, event: str, job_id: UUID, *changes: Change, when: Predicate, to: str
    ) -> Job:
        """Change the job and tell *event*; see `_changed`. Raises IllegalTransitionError."""
        job = await self._changed(event, job_id, *changes, when=when)
        if job is None:
            found = await self._jobs.get_one(job_id)
            raise IllegalTransitionError("Job", job_id, current=found.status.value, wanted=to)
        return job

    async def _changed(
        self, event: str, job_id: UUID, *changes: Change, when: Predicate
    ) -> Job | None:
        """Change the job if it fits *when*, and tell hooks *event* in the same transaction."""
        async with self.store.transaction() if self.store.hooked.hooks else nullcontext():
            job = await self._try(job_id, *changes, when=when)
            if job is not None:
                details = {"task": job.task, "status": job.status.value}
                await self.store.record_event(event, entity="Job", key=str(job_id), details=details)
        return job

    async def _many(
        self,
        statuses: tuple[JobStatus, ...],
        where: tuple[Condition[Job], ...],
        change: Callable[[UUID], Awaitable[Job]],
        *,
        limit: int,
        after: UUID | None,
    ) -> BulkChange:
        if limit < 1:
            raise ConfigurationError(f"limit={limit}: expected 1 or more")
        changed = refused = 0
        while True:
            size = min(_PIECE, limit - changed - refused)
            behind = everything() if after is None else Job.id > after
            found = await self._jobs.find(
                Job.status.in_(statuses), behind, *where, order_by=Job.id.asc(), limit=size
            )
            for job in found:
                try:
                    await change(job.id)
                    changed += 1
                except (DuplicateError, IllegalTransitionError, NotFoundError):
                    refused += 1
                after = job.id
            if len(found) < size:
                return BulkChange(changed, refused, None)
            if changed + refused == limit:
                return BulkChange(changed, refused, after)

    async def _remove(self, over: Predicate, order: Order) -> int:
        removed = 0
        over &= Job.awaited == False  # noqa: E712
        for status in ENDS:  # one after another, as an index on status is walked in its order
            while found := await self._jobs.find(
                Job.status == status, over, order_by=order, limit=_PIECE
            ):
                removed += await self._removed(found, over)
        return removed

    async def _removed(self, jobs: list[Job], over: Predicate) -> int:
        """Delete *jobs* if they are still so, the keys that they hold, and what belongs to them."""
        await self._forget(jobs)
        ids = [job.id for job in jobs]
        holding = [job.id for job in jobs if job.held_key is not None]
        parts = [job for job in jobs if has_parts(job)]
        large = StoreCapability.LARGE_WRITES in self.store.capabilities
        async with self.store.transaction() if holding or (parts and large) else nullcontext():
            if holding and has_table(self.store, HeldKey):
                await self.store.repository(HeldKey).delete_where(HeldKey.job_id.in_(holding))
            removed = await self._jobs.delete_where(Job.id.in_(ids), over)
            if parts and large:
                await remove_parts(self.store, parts)
        if parts and not large:
            await remove_parts(self.store, parts)
        return removed
