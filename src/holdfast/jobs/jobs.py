"""The job table's verbs: put work in, claim it, report on it, end it, look at it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, cast

from holdfast.errors import (
    ConfigurationError,
    DuplicateError,
    NotFoundError,
    SerializationError,
    StaleVersionError,
)
from holdfast.jobs.claim import ended, expired
from holdfast.jobs.held_key import HeldKey, held_key, holders, take
from holdfast.jobs.job import LIVE, Job, JobStatus
from holdfast.jobs.job_changes import MOST_AT_ONCE, BulkChange, JobChanges
from holdfast.jobs.job_spans import enqueueing
from holdfast.jobs.new_job import Enqueued, NewJob, job_of
from holdfast.jobs.options import EnqueueOptions
from holdfast.jobs.side_tables import side_table
from holdfast.jobs.workflows.job_steps import JobSteps
from holdfast.records import Savepoint, StoreCapability

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from uuid import UUID

    from holdfast.records import Condition, Repository

_DEFAULTS = EnqueueOptions()
_CANCELLED = "job.cancelled"
_WAITS = (JobStatus.QUEUED, JobStatus.WAITING)
_KEY_ATTEMPTS = 100
_KEYS_AT_ONCE = 1_000
_OVERTAKEN = (DuplicateError, StaleVersionError, NotFoundError)
_Name: TypeAlias = tuple[bool, str]  # whether it is a held key, and the key


class Jobs(JobChanges, JobSteps):
    """The jobs of a store that was opened with `Job` among its entities.

    Every method is a call on the store and nothing else: it takes part in the transaction around
    it, and runs on a blocking store as well. *chance* draws from [0, 1) for the backoff's jitter.
    Payloads and results are sealed by *keys*, where they are given; see `opened`.
    A job is failed as poison, whatever attempts it has left, when its lease ran out
    *quarantine_after* times: it may be what ends its workers.
    """

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
        (made,) = await self.enqueue_many([NewJob(task, payload, options)])
        return made

    async def enqueue_many(self, new: Iterable[NewJob]) -> list[Enqueued]:
        """Store *new* jobs, all of them or none; what `enqueue` returns stands at their positions.

        They are stored in one statement where the backend has one for many rows, and those that
        are alike in priority and time are claimed in the order given. Of several with one unique
        key the first is made and stands for all. DynamoDB writes 100 items at once, which are as
        many jobs, or half as many with unique keys: more are refused. Raises what `enqueue` does.
        """
        now = self.now()
        given = list(new)
        if self.seals and any(
            each.options.unique is not None and each.options.unique.key is None for each in given
        ):
            raise ConfigurationError(
                "unique: give it a key, as a sealed payload is not to be told by a hash of it"
            )
        jobs = [self.sealed(job_of(each, now)) for each in given]
        if not jobs:
            return []
        keys = {
            job.id: held_key(
                job, unique.holding, None if unique.period is None else now + unique.period
            )
            for job, unique in zip(jobs, (each.options.unique for each in given), strict=True)
            if unique is not None and job.held_key is not None
        }
        with enqueueing(jobs):
            if keys or any(job.live_key is not None for job in jobs):
                return await self._enqueue_unique(jobs, keys)
            return [Enqueued(job, created=True) for job in await self._add(jobs)]

    async def _enqueue_unique(
        self, jobs: Sequence[Job], keys: Mapping[UUID, HeldKey]
    ) -> list[Enqueued]:
        """Store those of *jobs* whose unique key nobody has; *keys* are to be held by job."""
        first: dict[_Name, Job] = {}
        for job in jobs:
            name = _name(job)
            if name is not None:
                first.setdefault(name, job)
        undone = _OVERTAKEN if self._in_transaction() else (*_OVERTAKEN, SerializationError)
        for attempt in range(_KEY_ATTEMPTS):
            # One job is put in at once: where its key is free, that is all it takes.
            looks = len(jobs) > 1 or keys or attempt
            holding = await self._living(name for held, name in first if not held) if looks else {}
            rows, held = await self._held(keys)
            holding |= held
            new = [
                job
                for job in jobs
                if (name := _name(job)) is None or (name not in holding and first[name] is job)
            ]
            try:
                async with self.store.transaction():
                    if keys:
                        taken = [keys[job.id] for job in new if job.id in keys]
                        await take(self._keys(), rows, taken)
                    added = await self._add(new)
            except undone:
                if attempt == _KEY_ATTEMPTS - 1:
                    raise
                # Somebody was faster: the next look finds theirs, or the key free again. Or two
                # batches waited for one another's keys, and this one was undone.
                continue
            made = {job.id: job for job in added}
            holding |= {name: job for job in added if (name := _name(job)) is not None}
            return [
                Enqueued(made[job.id], created=True)
                if job.id in made
                else Enqueued(holding[cast("_Name", _name(job))], created=False)
                for job in jobs
            ]
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _living(self, keys: Iterable[str]) -> dict[_Name, Job]:
        """Return the jobs that live and have one of *keys*."""
        wanted, found = sorted(keys), list[Job]()
        # DynamoDB finds one unique value by its guard, and several by nothing but a scan.
        at_once = _KEYS_AT_ONCE if StoreCapability.LARGE_WRITES in self.store.capabilities else 1
        for at in range(0, len(wanted), at_once):
            found += await self._jobs.find(Job.live_key.in_(wanted[at : at + at_once]))
        return {(False, job.live_key): job for job in found if job.live_key is not None}

    async def _held(
        self, keys: Mapping[UUID, HeldKey]
    ) -> tuple[Mapping[str, HeldKey], dict[_Name, Job]]:
        """Return the rows of *keys* as they are, and the jobs that hold one of them now."""
        if not keys:
            return {}, {}
        wanted = {key.key for key in keys.values()}
        rows, found = await holders(self._keys(), self._jobs, wanted, self.now())
        return rows, {(True, key): job for key, job in found.items()}

    def _keys(self) -> Repository[HeldKey]:
        return side_table(self.store, HeldKey, of="unique keys by period and states")

    async def _add(self, jobs: Sequence[Job]) -> Sequence[Job]:
        if len(jobs) == 1:
            added: Sequence[Job] = [await self._jobs.add(jobs[0])]
        else:
            added = (await self._jobs.add_many(jobs)).entities
        await self.announce(added)
        return added

    def _in_transaction(self) -> bool:
        return isinstance(self.store.transaction(), Savepoint)

    async def cancel(self, job_id: UUID) -> Job:
        """Cancel the job and return it as it then stands; a finished one is left as it is.

        One that waits is cancelled at once. One that runs is asked to stop: `cancel_requested`
        is set, and its worker ends it. Raises NotFoundError.
        """
        while True:
            job = await self._jobs.get_one(job_id)
            if job.status.finished:
                return job
            now = self.now()
            cancelled = await self._changed(
                _CANCELLED,
                job_id,
                *ended(JobStatus.CANCELLED, now, job.retention),
                Job.cancel_requested.to(True),
                when=Job.status.in_(_WAITS) | expired(now),
            ) or await self._changed(
                _CANCELLED,
                job_id,
                Job.cancel_requested.to(True),
                when=Job.status == JobStatus.RUNNING,
            )
            if cancelled is not None:
                if cancelled.status is JobStatus.CANCELLED:
                    await self._count(cancelled, now)
                return cancelled
            # It was claimed, put back or ended between the two writes.

    async def cancel_where(
        self, *where: Condition[Job], limit: int = MOST_AT_ONCE, after: UUID | None = None
    ) -> BulkChange:
        """Cancel the jobs that fit and are not at their end; see `cancel`, and `redrive`."""
        return await self._many(LIVE, where, self.cancel, limit=limit, after=after)


def _name(job: Job) -> _Name | None:
    """Return by which key *job* is the only one, None where it need not be."""
    if job.held_key is not None:
        return (True, job.held_key)
    return None if job.live_key is None else (False, job.live_key)
