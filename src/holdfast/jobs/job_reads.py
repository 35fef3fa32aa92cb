"""Reads of the job table: one job, lists, a job's place in its queue, figures by queue."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, cast

from holdfast.jobs.claim import due
from holdfast.jobs.history.job_attempt import JobAttempt, attempts_of
from holdfast.jobs.history.job_log import JobLogLine, LogLevel, lines_of
from holdfast.jobs.history.queue_position import QueuePosition, estimated
from holdfast.jobs.history.task_statistics import (
    FailureGroup,
    FigureQuery,
    TaskStatistics,
    failures_of,
    statistics_of,
    totals_of,
)
from holdfast.jobs.job import Job, JobStatus, QueueStatistics
from holdfast.jobs.store_clock import StoreClock
from holdfast.records import StoreCapability, count, everything

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractAsyncContextManager
    from datetime import datetime
    from uuid import UUID

    from holdfast.records import Condition, Page, Predicate, Store


class JobReads:
    """What those who look on ask of the jobs of *store*."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.clock = StoreClock(store)
        self.now = self.clock.now
        self._jobs = store.repository(Job)

    async def get(self, job_id: UUID) -> Job | None:
        """Return the job, None when there is none."""
        return await self._jobs.get(job_id)

    async def get_one(self, job_id: UUID) -> Job:
        """Return the job. Raises NotFoundError."""
        return await self._jobs.get_one(job_id)

    async def list(
        self,
        *,
        status: JobStatus | None = None,
        queue: str | None = None,
        task: str | None = None,
        size: int = 50,
        cursor: str | None = None,
    ) -> Page[Job]:
        """Return a page of the jobs that fit, the newest first."""
        where = everything()
        if status is not None:
            where &= Job.status == status
        if queue is not None:
            where &= Job.queue == queue
        if task is not None:
            where &= Job.task == task
        return await self._jobs.page(where, order_by=Job.id.desc(), size=size, cursor=cursor)

    async def count(self, *where: Condition[Job]) -> int:
        """Return how many jobs fit, such as `JobFilter(task="resize").where()`."""
        return await self._jobs.count(*where)

    async def position(self, job_id: UUID) -> int | None:
        """Return the job's place in its queue, 1 for the next; None when it is not queued.

        Counted are the jobs that will be due when it is and go before it. Raises NotFoundError.
        """
        async with self._one_moment():
            job = await self._jobs.get_one(job_id)
            return await self._place(job)

    async def queue_position(self, job_id: UUID) -> QueuePosition | None:
        """Return the job's place and between which times it may start; None when it is not queued.

        See `QueuePosition` for what the times rest on. Raises NotFoundError.
        """
        async with self._one_moment():
            job = await self._jobs.get_one(job_id)
            place = await self._place(job)
            return None if place is None else await estimated(self.store, job, place)

    async def statistics(self, *, finished: bool = True) -> Mapping[str, QueueStatistics]:
        """Return by queue how many jobs stand where, and how long the oldest has been due.

        Two statements, at one moment where the backend has such. They read an index over all jobs,
        or without *finished* over those that live: then the finished are not counted, and cost
        nothing. A queue without any of them is not there.
        """
        statuses = tuple(status for status in JobStatus if finished or not status.finished)
        counts: dict[str, dict[JobStatus, int]] = {}
        async with self._one_moment():
            now = self.now()
            for where in self._by_status(statuses):
                grouped = await self._jobs.aggregate(
                    count(),
                    where=where,
                    by=(Job.status, Job.queue),  # an index's own order
                )
                for status, queue, number in cast("list[tuple[JobStatus, str, int]]", grouped):
                    counts.setdefault(queue, dict.fromkeys(statuses, 0))[status] = number
            found = await self._jobs.aggregate(Job.run_at.min(), where=due(now), by=Job.queue)
        oldest = {queue: now - run_at for queue, run_at in found if run_at is not None}
        return {
            queue: QueueStatistics(counts[queue], oldest.get(queue)) for queue in sorted(counts)
        }

    def _by_status(self, statuses: Sequence[JobStatus]) -> Sequence[Predicate[Job]]:
        """Return what to count by: all at once, or each status alone where an index needs that."""
        if StoreCapability.SNAPSHOTS not in self.store.capabilities:
            return [Job.status == status for status in statuses]
        return [Job.status.in_(statuses) if len(statuses) < len(JobStatus) else everything()]

    async def _place(self, job: Job) -> int | None:
        if job.status is not JobStatus.QUEUED:
            return None
        before = (Job.priority > job.priority) | (Job.priority == job.priority) & (
            (Job.run_at < job.run_at) | (Job.run_at == job.run_at) & (Job.id < job.id)
        )
        there = (Job.queue == job.queue) & due(max(self.now(), job.run_at))
        return 1 + await self._jobs.count(there, before)

    def _one_moment(self) -> AbstractAsyncContextManager[object]:
        """Return what lets reads be of one moment, where the backend can."""
        can = StoreCapability.SNAPSHOTS in self.store.capabilities
        return self.store.transaction(read_only=True) if can else nullcontext()

    async def attempts(self, job_id: UUID) -> Sequence[JobAttempt]:
        """Return the attempts at the job, the first one first; of very many the latest 200.

        The one that runs has no end yet. Raises NotFoundError, and ConfigurationError in a store
        that was opened without JobAttempt.
        """
        return await attempts_of(self.store, await self._jobs.get_one(job_id))

    async def log(
        self,
        job_id: UUID,
        *,
        after: int = 0,
        at_least: LogLevel = LogLevel.DEBUG,
        size: int = 100,
    ) -> Sequence[JobLogLine]:
        """Return up to *size* lines of the job's log behind the position *after*, in their order.

        To follow it, ask again with the last line's position. A job that is not there has no
        lines. Raises ConfigurationError in a store that was opened without JobLogLine.
        """
        return await lines_of(self.store, job_id, after=after, at_least=at_least, size=size)

    async def task_statistics(self, asked: FigureQuery) -> Sequence[TaskStatistics]:
        """Return rates, durations and failures of tasks over time, by start and name.

        Minutes are told apart for three hours, hours for eight days, days for 400 days; what is
        older stands in the longer span that it was added to. Workers write down what they have
        counted every 10 seconds, and one that is killed takes as much with it. Raises
        InvalidQueryError, and ConfigurationError in a store that was opened without TaskFigures.
        """
        return await statistics_of(self.store, asked)

    async def task_totals(self, *, most: int = 200) -> Sequence[tuple[str, TaskStatistics]]:
        """Return queues and the figures of all time of their tasks, which only grow.

        Of *most* pairs of queue and task, those that were busy last; one that has seen no job for
        90 days is dropped. Raises ConfigurationError in a store that was opened without
        TaskFigures.
        """
        return await totals_of(self.store, most=most)

    async def failures(
        self, since: datetime, *, queue: str | None = None, task: str | None = None
    ) -> Sequence[FailureGroup]:
        """Return why attempts failed since then, the most frequent reason first.

        Errors that differ in numbers, ids, paths and quoted parts alone are one reason. They are
        kept for eight days, by the hour. Raises ConfigurationError in a store that was opened
        without TaskFailure.
        """
        return await failures_of(self.store, since=since, queue=queue, task=task)
