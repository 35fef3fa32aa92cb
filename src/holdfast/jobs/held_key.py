"""Held keys: which job holds a unique key for a period, or in other states than while it lives.

A key has one row, under the key itself. Whoever enqueues adds that row, or takes it over from a
job that holds the key no longer, on the condition that nobody did so in between; in the same
transaction as the job. So of any number one makes the job, on every backend.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from holdfast.records import Entity, Field, field, key, version

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from holdfast.jobs.job import Job, JobStatus
    from holdfast.records import Repository


class HeldKey(Entity, table="job_unique_keys", indexes=[("job_id",)]):
    """The job that holds *key* while its status is one of *states*, not longer than *until*."""

    key: Field[str] = key(max_length=255)
    job_id: Field[UUID]
    states: Field[list[str]]
    until: Field[datetime | None] = field(default=None)
    version: Field[int] = version()

    def held_by(self, job: Job | None, now: datetime) -> bool:
        """Return whether *job*, the one named here, holds the key at *now*; None: it is gone."""
        in_time = self.until is None or self.until > now
        return in_time and job is not None and job.status.value in self.states


def held_key(job: Job, states: Iterable[JobStatus], until: datetime | None) -> HeldKey:
    """Return the row by which *job* holds its `held_key`."""
    assert job.held_key is not None
    return HeldKey(key=job.held_key, job_id=job.id, states=sorted(map(str, states)), until=until)


async def holders(
    keys: Repository[HeldKey], jobs: Repository[Job], wanted: Iterable[str], now: datetime
) -> tuple[Mapping[str, HeldKey], Mapping[str, Job]]:
    """Return the rows of the keys *wanted*, and the jobs that hold one at *now*, by key."""
    rows = {row.key: row for row in await keys.get_many(sorted(wanted)) if row is not None}
    named = await jobs.get_many([row.job_id for row in rows.values()])
    return rows, {
        row.key: job
        for row, job in zip(rows.values(), named, strict=True)
        if job is not None and row.held_by(job, now)
    }


async def take(
    keys: Repository[HeldKey], rows: Mapping[str, HeldKey], new: Iterable[HeldKey]
) -> None:
    """Let the jobs of *new* hold their keys, of which *rows* are what was seen.

    Raises DuplicateError, StaleVersionError or NotFoundError where somebody was faster.
    """
    added = [each for each in new if each.key not in rows]
    if added:
        await keys.add_many(added)
    for each in sorted(new, key=lambda row: row.key):
        seen = rows.get(each.key)
        if seen is not None:
            await keys.patch(
                each.key,
                HeldKey.job_id.to(each.job_id),
                HeldKey.states.to(each.states),
                HeldKey.until.to(each.until),
                version=seen.version,
            )
