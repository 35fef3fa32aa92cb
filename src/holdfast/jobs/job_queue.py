"""Queues that are paused: their jobs stay where they are, and nobody claims them."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from holdfast.errors import InvalidValueError
from holdfast.jobs.side_tables import has_table, side_table
from holdfast.records import Entity, Field, field, key, updated_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.records import Repository, Store

_SEEN_FOR = timedelta(seconds=1)


class QueueStatus(StrEnum):
    """Whether jobs of a queue are claimed."""

    OPEN = "open"
    PAUSED = "paused"


class JobQueue(Entity, table="job_queues", indexes=[("status",)]):
    """A queue that is paused, or was; of one that never was there is none."""

    name: Field[str] = key(max_length=100)
    status: Field[QueueStatus] = field(default=QueueStatus.OPEN)
    updated_at: Field[datetime] = updated_at()


class Queues:
    """Pauses and resumes the queues of *store*, which was opened with `JOB_ENTITIES`."""

    def __init__(self, store: Store) -> None:
        self.store = store

    async def pause(self, queue: str) -> JobQueue:
        """Have no job of *queue* claimed, until `resume`; what runs goes on.

        Workers heed it within a second. Jobs may still be enqueued. Raises InvalidValueError.
        """
        return await self._write(queue, QueueStatus.PAUSED)

    async def resume(self, queue: str) -> JobQueue:
        """Have jobs of *queue* claimed again; one that is open stays so."""
        return await self._write(queue, QueueStatus.OPEN)

    async def paused(self) -> list[JobQueue]:
        """Return the queues that are paused, by name."""
        found = await self._queues().find(JobQueue.status == QueueStatus.PAUSED)
        return sorted(found, key=lambda queue: queue.name)

    async def _write(self, name: str, status: QueueStatus) -> JobQueue:
        if not name:
            raise InvalidValueError("JobQueue", "name", "is empty; a queue has a name")
        queues = self._queues()
        async with self.store.transaction():
            written = await queues.upsert(JobQueue(name=name, status=status))
            what = "paused" if status is QueueStatus.PAUSED else "resumed"
            await self.store.record_event(f"queue.{what}", entity="JobQueue", key=name)
        return written.entity

    def _queues(self) -> Repository[JobQueue]:
        return side_table(self.store, JobQueue, of="pauses of queues")


class OpenQueues:
    """Tells which of some queues are not paused: read once a second, not for each claim."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known = has_table(store, JobQueue)
        self._seen: dict[str, QueueStatus] = {}
        self._until: datetime | None = None

    async def among(self, queues: Sequence[str]) -> list[str]:
        """Return those of *queues* that are open, or were a second ago, in their order.

        A store without the table of queues has none that is paused.
        """
        if not self._known:
            return list(queues)
        now = self._store.now()
        stale = self._until is None or not now < self._until <= now + _SEEN_FOR
        if stale or any(name not in self._seen for name in queues):
            wanted = list(dict.fromkeys((*self._seen, *queues)))
            found = await self._store.repository(JobQueue).get_many(wanted)
            self._seen = {
                name: QueueStatus.OPEN if queue is None else queue.status
                for name, queue in zip(wanted, found, strict=True)
            }
            self._until = now + _SEEN_FOR
        return [name for name in queues if self._seen[name] is QueueStatus.OPEN]
