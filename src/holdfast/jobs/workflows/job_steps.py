"""Durable steps, sleeps, waits and signals: the verbs on the job table and the two beside it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from holdfast.errors import DuplicateError, LeaseLostError, NotFoundError
from holdfast.jobs.atomic import atomically
from holdfast.jobs.claim import IN_LANE, held, requeued, woken
from holdfast.jobs.job import Job, JobStatus
from holdfast.jobs.job_claims import JobClaims
from holdfast.jobs.side_tables import has_table, side_table
from holdfast.jobs.workflows.dependency_release import DependencyRelease
from holdfast.jobs.workflows.job_dependency import JobDependency
from holdfast.jobs.workflows.job_signal import JobSignal, check_event
from holdfast.jobs.workflows.job_step import JobStep
from holdfast.records import Savepoint

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime
    from uuid import UUID

    from holdfast.jobs.claim import Claimed
    from holdfast.records import Change, Repository

T = TypeVar("T")
Numbered = TypeVar("Numbered", JobStep, JobSignal)

_ATTEMPTS = 20


class JobSteps(JobClaims):
    """What handlers record of their steps, and what others tell jobs that wait."""

    async def signal(self, job_id: UUID, event: str, data: object = None) -> Job:
        """Tell the job of *event* with *data*, which is JSON, and return it as it then stands.

        A job that waits for it is queued. One that does not yet finds it when it waits; each
        signal ends one wait, in the order in which they came. Raises NotFoundError,
        InvalidValueError, and ConfigurationError for a store without `JOB_ENTITIES`.
        """
        check_event(event)
        signals = side_table(self.store, JobSignal, of="signals")

        async def work() -> Job:
            waits = (Job.status == JobStatus.WAITING) & (Job.event == event)
            one_more = Job.signals.increment(1)
            while True:
                # One of the two fits, unless the job has moved between them.
                job = await self._try(
                    job_id, one_more, *woken(self.now(), lane=IN_LANE), when=waits
                ) or await self._try(job_id, one_more, when=~waits)
                if job is not None:
                    break
            await self.announce([job])
            await signals.add(
                JobSignal(job_id=job_id, number=job.signals - 1, event=event, data=data)
            )
            details = {"task": job.task, "event": event}
            await self.store.record_event(
                "job.signalled", entity="Job", key=str(job_id), details=details
            )
            return job

        return await self._numbering(work)

    async def signals(
        self, job_id: UUID, *, first: int = 0, limit: int | None = None
    ) -> list[JobSignal]:
        """Return the signals that the job was sent, in order, from number *first* on.

        At most *limit* of them. Raises NotFoundError.
        """
        job = await self._jobs.get_one(job_id)
        numbers = range(job.signals)[first:][:limit]
        return await self._numbered(JobSignal, "signals", job.id, numbers)

    async def steps(
        self, job_id: UUID, *, first: int = 0, limit: int | None = None
    ) -> list[JobStep]:
        """Return the steps that the job has recorded, in order, from number *first* on.

        At most *limit* of them. Raises NotFoundError.
        """
        job = await self._jobs.get_one(job_id)
        return await self._numbered(JobStep, "steps", job.id, range(job.steps)[first:][:limit])

    async def record_step(self, claim: Claimed, step: JobStep) -> JobStep:
        """Add *step* to the record of the claimed job, renew the lease, and return it numbered.

        In a transaction with what the step has written, both happen or neither. Raises
        LeaseLostError, and then nothing was recorded.
        """
        steps = side_table(self.store, JobStep, of="steps")

        async def work() -> JobStep:
            job = await self._write(claim, *self._renewed(claim), Job.steps.increment(1))
            step.number = job.steps - 1
            return await steps.add(step)

        return await self._numbering(work)

    async def finish_step(self, claim: Claimed, step: JobStep) -> JobStep:
        """Write down the end of a wait that was recorded when it began. Raises LeaseLostError."""
        steps = side_table(self.store, JobStep, of="steps")

        async def work() -> JobStep:
            await self._write(claim, *self._renewed(claim))
            return await steps.patch(
                (step.job_id, step.number),
                JobStep.result.to(step.result),
                JobStep.signal.to(step.signal),
                JobStep.timed_out.to(step.timed_out),
                JobStep.finished_at.to(step.finished_at),
            )

        return await self._numbering(work)

    async def put_aside(
        self, claim: Claimed, step: JobStep, *, recorded: bool, event: str | None = None
    ) -> Job:
        """Release the claimed job until *step* is over, and return it; no attempt is used up.

        It is queued for the step's `until`, or waits for *event*; when that came meanwhile it is
        queued at once. *recorded* says that the step is, else that happens with it. Ends the job
        as cancelled when that was asked for. Raises LeaseLostError.
        """
        steps = side_table(self.store, JobStep, of="steps")
        due, seen = step.until if event is None else None, 0
        while True:

            async def work(due: datetime | None = due, seen: int = seen) -> Job | None:
                now = self.now()
                when = held(claim, now) & (Job.cancel_requested == False)  # noqa: E712
                # It has come on, so what was lost on the way here says nothing against it.
                changes: list[Change] = [Job.attempts.increment(-1), Job.lost_leases.to(0)]
                if not recorded:
                    changes.append(Job.steps.increment(1))
                if due is None:
                    when &= Job.signals == seen
                    changes += _waiting(event, step.until)
                else:
                    changes += requeued(due)
                job = await self._try(claim.job.id, *changes, when=when)
                if job is not None and not recorded:
                    step.number = job.steps - 1
                    await steps.add(step)
                return job

            try:
                job = await self._numbering(work)
                if job is not None:
                    return job
                job = await self._jobs.get_one(claim.job.id)
            except NotFoundError:
                raise LeaseLostError("Job", claim.job.id) from None
            if job.status is not JobStatus.RUNNING or job.lease != claim.token:
                raise LeaseLostError("Job", job.id)
            if job.cancel_requested:
                return await self.stopped(claim)
            if event is not None and seen != job.signals:
                fresh = range(seen, job.signals)
                came = await self._numbered(JobSignal, "signals", job.id, fresh)
                used = await self._used_signals(job)
                if any(each.event == event and each.number not in used for each in came):
                    due = self.now()
                seen = job.signals
            else:
                await self.heartbeat(claim)  # raises when the lease ran out meanwhile

    async def release_waiting(self) -> int:
        """Queue the jobs for which the last that they wait for has ended; return how many.

        Those that are not to run without it are cancelled, and counted too. Claims see to it, each
        second at the latest, so nobody else has to.
        """
        if not has_table(self.store, JobDependency):
            return 0
        return await DependencyRelease(self.store, self._count).release()

    async def unused_signal(self, job_id: UUID, event: str) -> JobSignal | None:
        """Return the first signal of *event* that no wait of the job has used up."""
        job = await self._jobs.get_one(job_id)
        if not job.signals:
            return None
        used = await self._used_signals(job)
        found = await self._numbered(JobSignal, "signals", job.id, range(job.signals))
        return next((s for s in found if s.event == event and s.number not in used), None)

    # --- parts ------------------------------------------------------------------------------

    async def _used_signals(self, job: Job) -> set[int | None]:
        steps = await self._numbered(JobStep, "steps", job.id, range(job.steps))
        return {step.signal for step in steps}

    async def _numbered(
        self, entity: type[Numbered], what: str, job_id: UUID, numbers: Sequence[int]
    ) -> list[Numbered]:
        """Return rows of a job by their numbers: by key, so that no index can lag behind."""
        if not numbers:
            return []
        rows: Repository[Numbered] = side_table(self.store, entity, of=what)
        found = await rows.get_many((job_id, number) for number in numbers)
        return [row for row in found if row is not None]

    async def _numbering(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do *work*, which adds a row by a number that the job gives out; see `atomically`.

        DynamoDB tells of a row with the same number, which another transaction has added, where
        others tell of the clash on the job.
        """
        for _ in range(0 if isinstance(self.store.transaction(), Savepoint) else _ATTEMPTS):
            with suppress(DuplicateError):
                return await atomically(self.store, work)
        return await atomically(self.store, work)


def _waiting(event: str | None, until: datetime | None) -> tuple[Change, ...]:
    return (
        Job.lease.to(None),
        Job.leased_until.to(until),
        Job.status.to(JobStatus.WAITING),
        Job.worker.to(None),
        Job.event.to(event),
    )
