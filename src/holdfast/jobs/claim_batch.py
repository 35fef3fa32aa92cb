"""A batch of claims: what one worker takes of the jobs that can be claimed, step by step."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from holdfast.jobs.claim import Claimed, claimed
from holdfast.jobs.job import Job

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime, timedelta

    from holdfast.records import Predicate, Repository


CLAIM_ORDER = (Job.precedence.asc(), Job.run_at.asc())
"""The order of claims."""


@dataclass(slots=True)
class ClaimBatch:
    """The claims that *worker* makes for *lease*, by the time that *now* tells."""

    jobs: Repository[Job]
    worker: str
    lease: timedelta
    now: Callable[[], datetime]
    claims: list[Claimed] = field(default_factory=list)
    token: UUID = field(default_factory=uuid4)

    async def take(
        self, where: Predicate, limit: int | Sequence[tuple[Predicate, int]]
    ) -> list[Job]:
        """Claim up to *limit* jobs that fit, in the order of claims, and return them.

        Or of what fits each of some conditions too up to a number, as `Repository.take` does.
        """
        taken = await self.jobs.take(
            where,
            changes=claimed(self.worker, self.token, self.now(), self.lease),
            order_by=CLAIM_ORDER,
            limit=limit,
        )
        self.claims += [Claimed(job, self.token, self.lease) for job in taken]
        return taken

    def in_order(self) -> list[Claimed]:
        """Return the claims in the order in which the jobs are to be done."""
        return sorted(self.claims, key=_turn)


def _turn(claim: Claimed) -> tuple[int, datetime, UUID]:
    return claim.job.precedence, claim.job.run_at, claim.job.id
