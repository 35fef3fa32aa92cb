"""How jobs end as succeeded: one, or many by one statement, each with its own result."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import orjson

from holdfast.errors import HoldfastError, InvalidValueError, LeaseLostError
from holdfast.jobs.claim import held_by, lasted, succeeded
from holdfast.jobs.job import Job, JobStatus
from holdfast.jobs.job_claims import JobClaims
from holdfast.records import StoreCapability

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager
    from datetime import datetime
    from uuid import UUID

    from holdfast.jobs.claim import Claimed

_FEW = 2  # ends that are worth a statement for all of them
_SMALL = 16 * 1024
"""Bytes of a result that may go with others: what a server takes at once is bounded."""


class JobCompletion(JobClaims):
    """Ends jobs that went well; see `Jobs` for the parameters."""

    async def complete(self, claim: Claimed, result: object = None) -> Job:
        """End the job as succeeded with *result*, which is JSON.

        In a transaction with what the work has written, both happen or neither. A request to
        cancel came too late. Raises LeaseLostError, and InvalidValueError for a result that is no
        JSON.
        """
        now = self.now()
        changes = succeeded(now, claim.job.retention)
        kept = self._sealed_result(claim.job, result)
        job = await self._write(claim, *changes, Job.result.to(kept))
        await self._count(job, now, duration=lasted(claim.job, now))
        return job

    async def complete_many(
        self, ends: Sequence[tuple[Claimed, object]]
    ) -> list[HoldfastError | None]:
        """End each job as succeeded with its result; None at its position says that it was.

        As `complete`, each for itself: a lease that was lost, or a result that is no JSON, keeps no
        other from its end, and its error stands in its place. Those that were claimed together are
        ended by one statement, which reads none of them back, but for results above 16 KiB; the
        others in one transaction, where the backend has large ones. On DynamoDB each is a write.
        """
        outcomes: dict[int, HoldfastError | None] = {}
        for (token, retention), places in self._alike(ends).items():
            if len(places) < _FEW:
                continue
            now = self.now()
            claims = {job_id: ends[at][0] for job_id, at in places.items()}
            results = {job_id: ends[at][1] for job_id, at in places.items()}
            try:
                for job_id in await self._end_alike(claims, results, token, now, retention):
                    outcomes[places[job_id]] = None
                    job, took = claims[job_id].job, lasted(claims[job_id].job, now)
                    await self._count(job, now, status=JobStatus.SUCCEEDED, duration=took)
            except InvalidValueError:
                continue  # nothing was written: one by one it is told which results can't be kept
            except HoldfastError as error:
                outcomes |= dict.fromkeys(places.values(), error)
        left = [at for at in range(len(ends)) if at not in outcomes]
        try:
            async with self._together(len(left)):
                outcomes |= {at: await self._completed(*ends[at]) for at in left}
        except HoldfastError as error:
            outcomes |= dict.fromkeys(left, error)
        return [outcomes[at] for at in range(len(ends))]

    # --- parts ------------------------------------------------------------------------------

    def _alike(
        self, ends: Sequence[tuple[Claimed, object]]
    ) -> Mapping[tuple[UUID, int | None], dict[UUID, int]]:
        """Return the positions of *ends* that one statement may write, by token and retention."""
        alike: dict[tuple[UUID, int | None], dict[UUID, int]] = {}
        for at, (claim, result) in enumerate(ends):
            if result is None or (self._large_writes and _is_small(result)):
                places = alike.setdefault((claim.token, claim.job.retention), {})
                places.setdefault(claim.job.id, at)
        return alike

    async def _end_alike(
        self,
        claims: Mapping[UUID, Claimed],
        results: Mapping[UUID, object],
        token: UUID,
        now: datetime,
        retention: int | None,
    ) -> Collection[UUID]:
        """End those of *claims*, which have one token, that still hold their jobs; return which."""
        ids = tuple(claims)
        held_still = Job.id.in_(ids) & held_by(token, now)
        kept = {
            job_id: self._sealed_result(claims[job_id].job, result)
            for job_id, result in results.items()
        }
        none = all(each is None for each in kept.values())
        result = Job.result.to(None) if none else Job.result.to_by(Job.id, kept)
        changes = (*succeeded(now, retention), result)
        if not self._large_writes:
            found = await self._jobs.take(held_still, changes=changes, limit=len(ids))
            return [job.id for job in found]
        if await self._jobs.update_where(held_still, changes=changes) == len(ids):
            return ids
        # Some were lost: another worker took them over, by another attempt.
        over = (Job.status == JobStatus.SUCCEEDED) & (Job.finished_at == now)
        rows = await self._jobs.select(Job.id, Job.attempts, where=Job.id.in_(ids) & over)
        return [job_id for job_id, tried in rows if tried == claims[job_id].job.attempts]

    async def _completed(self, claim: Claimed, result: object) -> HoldfastError | None:
        try:
            await self.complete(claim, result)
        except (LeaseLostError, InvalidValueError) as error:
            return error
        return None

    def _sealed_result(self, job: Job, result: object) -> object:
        if self._sealing is None or result is None:
            return result
        return self._sealing.seal(job.id, "result", result)

    @property
    def _large_writes(self) -> bool:
        return StoreCapability.LARGE_WRITES in self.store.capabilities

    def _together(self, count: int) -> AbstractAsyncContextManager[object]:
        """Return a transaction where *count* writes cost less in one than each for itself."""
        return self.store.transaction() if count > 1 and self._large_writes else nullcontext()


def _is_small(result: object) -> bool:
    """Return whether *result* may go with others; not what is no JSON, which is told by itself."""
    try:
        return len(orjson.dumps(result)) <= _SMALL
    except TypeError:
        return False
