"""The limits of jobs: set, read, removed, and how they stand. Claims keep to them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from holdfast.jobs.atomic import atomically
from holdfast.jobs.claim import leased
from holdfast.jobs.job import Job, JobStatus
from holdfast.jobs.limits.job_limit import (
    JobLimit,
    JobLimitKey,
    Limit,
    LimitScope,
    limit_name,
    still_used,
    stored_limit,
)
from holdfast.jobs.side_tables import has_table, side_table
from holdfast.records import StoreCapability, count

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from datetime import datetime

    from holdfast.records import Predicate, Repository, Store

KNOWN_FOR = timedelta(seconds=1)
"""How long a process goes by the limits that it has read; so long a new one may be overlooked."""
_PIECE = 50  # rows that are removed at once


@dataclass(frozen=True, slots=True)
class LimitUse:
    """How a limit stands: jobs that run and wait by key, None for those without.

    *waiting* are those that could be claimed but for limits and pauses. *used* is how many starts
    the *rate* has not given back yet.
    """

    limit: Limit
    running: Mapping[str | None, int]
    waiting: Mapping[str | None, int]
    used: float

    def by_key(self) -> list[tuple[str | None, int, int]]:
        """Return each key with how many of its jobs run and wait, those with the most first."""
        running, waiting = self.running, self.waiting
        found = [
            (key, running.get(key, 0), waiting.get(key, 0))
            for key in running.keys() | waiting.keys()
        ]
        return sorted(found, key=lambda each: (-each[1] - each[2], each[0] or ""))


@dataclass(frozen=True, slots=True)
class LimitedNames:
    """Which queues and tasks have a limit."""

    queues: frozenset[str] = frozenset()
    tasks: frozenset[str] = frozenset()

    def concern(self, queue: str, tasks: Collection[str] | None) -> bool:
        """Return whether a claim from *queue*, of *tasks* where they are named, has a limit."""
        return queue in self.queues or bool(
            self.tasks if tasks is None else self.tasks.intersection(tasks)
        )


class JobLimits:
    """The limits of the jobs of *store*: `jobs.limits`."""

    def __init__(self, store: Store, now: Callable[[], datetime]) -> None:
        self.store = store
        self.now = now
        self._there = has_table(store, JobLimit)
        self._known = LimitedNames()
        self._known_at: datetime | None = None

    async def set(self, limit: Limit) -> None:
        """Limit the jobs of a queue or a task, from their next claim on; elsewhere by KNOWN_FOR.

        It takes the place of the limit that was there. What runs goes on, and is counted; so is
        what has started by the *rate* before; a *key_rate* that differs starts from nothing.
        Raises ConfigurationError for a store that was opened without JobLimit.
        """
        name = limit_name(queue=limit.queue, task=limit.task)
        locks = StoreCapability.ROW_LOCKS in self.store.capabilities

        async def work() -> bool:
            rows = self.rows()
            before = await rows.get(name, lock="update") if locks else await rows.get(name)
            await rows.upsert(stored_limit(limit, self.now(), before))
            await self._tell("limited", limit.queue, limit.task, limit.as_json())
            rates = None if before is None else (before.key_rate, before.period)
            return rates not in (None, (limit.key_rate, limit.period))

        # What keys have used is told by the rate at which it comes back, and is of no other.
        other_rate = await atomically(self.store, work)
        self._known_at = None
        if other_rate:
            await self._forget(JobLimitKey.limit == name)

    async def get(self, *, queue: str | None = None, task: str | None = None) -> Limit | None:
        """Return what *queue*, or *task*, is limited to, None where it is not."""
        row = await self.rows().get(limit_name(queue=queue, task=task))
        return None if row is None else row.limit

    async def remove(self, *, queue: str | None = None, task: str | None = None) -> bool:
        """Let *queue*, or *task*, have no limit, and tell whether it had one."""
        name = limit_name(queue=queue, task=task)

        async def work() -> bool:
            removed = await self.rows().delete(name)
            if removed:
                await self._tell("unlimited", queue, task, {})
            return removed

        removed = await atomically(self.store, work)
        self._known_at = None
        if removed:
            await self._forget(JobLimitKey.limit == name)
        return removed

    async def all(self) -> list[Limit]:
        """Return all limits, those of queues first, by name."""
        return [row.limit for row in sorted(await self._all(), key=lambda row: row.name)]

    async def use(self, *, queue: str | None = None, task: str | None = None) -> LimitUse | None:
        """Return how the limit of *queue*, or of *task*, stands; None where there is none.

        It counts the jobs that wait, which takes as long as they are many.
        """
        row = await self.rows().get(limit_name(queue=queue, task=task))
        if row is None:
            return None
        now, jobs = self.now(), self.store.repository(Job)
        if row.queue is not None:
            running, waiting = leased(now, queue=row.queue), Job.lane == row.queue
        else:
            running = leased(now) & (Job.task == task)
            waiting = (Job.task == task) & (Job.status == JobStatus.QUEUED) & (Job.run_at <= now)

        async def by_key(where: Predicate) -> Mapping[str | None, int]:
            return dict(await jobs.aggregate(count(), where=where, by=Job.limit_key))

        used = still_used(row, row.rate, row.period, now)
        return LimitUse(row.limit, await by_key(running), await by_key(waiting), used)

    async def known(self) -> LimitedNames:
        """Return which queues and tasks have a limit, as known here."""
        if not self._there:
            return self._known
        now = self.now()
        if self._known_at is None or not self._known_at <= now < self._known_at + KNOWN_FOR:
            rows = await self._all()
            self._known = LimitedNames(
                frozenset(row.queue for row in rows if row.queue is not None),
                frozenset(row.task for row in rows if row.task is not None),
            )
            self._known_at = now
        return self._known

    async def purge_keys(self) -> None:
        """Remove what was counted of keys whose starts have all come back."""
        if not self._there:
            return
        for row in await self._all():
            over = JobLimitKey.counted_at < self.now() - row.period
            await self._forget((JobLimitKey.limit == row.name) & over)

    def rows(self) -> Repository[JobLimit]:
        """Return the repository of the limits."""
        return side_table(self.store, JobLimit, of="limits")

    def key_rows(self) -> Repository[JobLimitKey]:
        """Return the repository of what keys have used of rates."""
        return side_table(self.store, JobLimitKey, of="limits")

    async def _all(self) -> list[JobLimit]:
        return await self.rows().find(JobLimit.scope.in_(tuple(LimitScope)))

    async def _forget(self, where: Predicate) -> None:
        repository = self.key_rows()
        fields = (JobLimitKey.limit, JobLimitKey.limit_key)
        while keys := await repository.select(*fields, where=where, limit=_PIECE):
            await repository.delete_many(keys)

    async def _tell(
        self, what: str, queue: str | None, task: str | None, details: Mapping[str, object]
    ) -> None:
        kind, name = ("queue", queue) if task is None else ("task", task)
        await self.store.record_event(
            f"{kind}.{what}", entity="JobLimit", key=str(name), details=details
        )
