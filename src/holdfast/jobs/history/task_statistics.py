"""Statistics of tasks over time: rates, durations with percentiles, failures by their reason."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal, TypeAlias

from holdfast.errors import InvalidQueryError
from holdfast.jobs.history.figure_recording import counts_of
from holdfast.jobs.history.task_figures import (
    BUCKETS,
    EDGES,
    FigureSpan,
    TaskFailure,
    TaskFigures,
)
from holdfast.jobs.history.task_tally import FigureSums
from holdfast.jobs.side_tables import side_table
from holdfast.records import everything

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from uuid import UUID

    from holdfast.records import Predicate, Store

GroupedBy: TypeAlias = Literal["task", "queue", "all"]
Step: TypeAlias = Literal["minute", "hour", "day"]

MOST_STEPS = 1_500
"""How many steps one question has at most; a day has 1,440 minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureQuery:
    """Which figures are asked for: those from *since*, up to *until* (now), of a queue, of a task.

    *step* cuts the time into pieces, None leaves it whole. *by*: what is told apart.
    """

    since: datetime
    until: datetime | None = None
    step: Step | None = None
    queue: str | None = None
    task: str | None = None
    by: GroupedBy = "task"


@dataclass(frozen=True, slots=True)
class TaskStatistics:
    """What jobs came to from *start* on, for *length*. *name*: the task or queue, or empty for all.

    *succeeded*, *failed* and *cancelled* are jobs that ended so; *retried* are attempts after
    which the job waited for another; *lost* are leases that ran out. *timed* is how many attempts
    were ended by their handler; `mean` and `percentile` are of their durations.
    """

    name: str
    start: datetime
    length: timedelta
    succeeded: int
    failed: int
    cancelled: int
    retried: int
    lost: int
    duration: timedelta
    histogram: tuple[int, ...]
    """How many attempts lasted as long as EDGES says, each only in the first that holds it."""

    @property
    def ended(self) -> int:
        """How many jobs ended."""
        return self.succeeded + self.failed + self.cancelled

    @property
    def per_second(self) -> float:
        """How many jobs ended in a second."""
        return self.ended / self.length.total_seconds()

    @property
    def timed(self) -> int:
        """How many attempts the durations are of."""
        return sum(self.histogram)

    @property
    def mean(self) -> timedelta | None:
        """The mean duration; None where there is none."""
        return self.duration / self.timed if self.timed else None

    def percentile(self, fraction: float) -> timedelta | None:
        """Return the duration that *fraction* (0.95) of the attempts did not exceed.

        Within its bucket, whose bounds are 1:2, it is interpolated: at most twice or half of what
        it is. Beyond the last edge it is that edge. None where there was no attempt.
        """
        if not 0 <= fraction <= 1:
            raise InvalidQueryError(f"percentile {fraction}: expected 0 to 1")
        wanted, below = fraction * self.timed, 0
        if not self.timed:
            return None
        lower = timedelta(0)
        for edge, count in zip(EDGES, self.histogram, strict=False):
            if count and below + count >= wanted:
                return lower + (edge - lower) * ((wanted - below) / count)
            below += count
            lower = edge
        return lower


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """How often attempts of *task* failed for *reason*, and the latest error and job for it."""

    queue: str
    task: str
    reason: str
    count: int
    example: str
    job_id: UUID
    latest: datetime


async def statistics_of(store: Store, asked: FigureQuery) -> Sequence[TaskStatistics]:
    """Return the figures that are *asked* for, by start and name; see `JobReads.task_statistics`.

    The cost is that of the rows of that time: at most 180 minutes, 192 hours and 400 days for each
    task and queue, however many jobs there were.
    """
    until, cut = asked.until or store.now(), _steps(asked, store.now())
    sums: dict[tuple[datetime, str], FigureSums] = defaultdict(FigureSums)
    figures = side_table(store, TaskFigures, of="figures")
    for span in (FigureSpan.MINUTE, FigureSpan.HOUR, FigureSpan.DAY):
        there = (TaskFigures.span == span) & (TaskFigures.start >= span.start_of(asked.since))
        where = there & (TaskFigures.start < until)
        async for row in figures.stream(where & _of(asked), order_by=TaskFigures.start.asc()):
            name = {"task": row.task, "queue": row.queue, "all": ""}[asked.by]
            sums[cut(row.start), name].add(counts_of(row), row.duration)
    length = until - asked.since if asked.step is None else FigureSpan(asked.step).length
    assert length is not None
    return [_told(name, start, length, sums[start, name]) for start, name in sorted(sums)]


async def totals_of(store: Store, *, most: int) -> Sequence[tuple[str, TaskStatistics]]:
    """Return queues and the figures of all time of their tasks; see `JobReads.task_totals`."""
    figures = side_table(store, TaskFigures, of="figures")
    where = TaskFigures.span == FigureSpan.TOTAL
    rows = await figures.find(where, order_by=TaskFigures.updated_at.desc(), limit=most)
    return [
        (
            row.queue,
            _told(
                row.task,
                row.start,
                row.updated_at - row.start,
                FigureSums(counts_of(row), row.duration),
            ),
        )
        for row in rows
    ]


async def failures_of(
    store: Store, *, since: datetime, queue: str | None, task: str | None
) -> Sequence[FailureGroup]:
    """Return why attempts failed, the most frequent reason first; see `JobReads.failures`."""
    failures = side_table(store, TaskFailure, of="failures")
    where = (TaskFailure.span == FigureSpan.HOUR) & (
        TaskFailure.start >= FigureSpan.HOUR.start_of(since)
    )
    if queue is not None:
        where &= TaskFailure.queue == queue
    if task is not None:
        where &= TaskFailure.task == task
    groups: dict[tuple[str, str, str], FailureGroup] = {}
    async for row in failures.stream(where, order_by=TaskFailure.start.asc()):
        key = (row.queue, row.task, row.reason)
        before = groups[key].count if key in groups else 0
        groups[key] = FailureGroup(
            *key, before + row.count, row.example, row.job_id, row.updated_at
        )
    return sorted(groups.values(), key=lambda group: (-group.count, group.task, group.reason))


def _steps(asked: FigureQuery, now: datetime) -> Callable[[datetime], datetime]:
    """Return what gives the start of the step that a row's start falls into."""
    until = asked.until or now
    if asked.since >= until:
        raise InvalidQueryError(f"since={asked.since}: expected a time before {until}")
    if asked.step is None:
        return lambda _start: asked.since
    span = FigureSpan(asked.step)
    if span.length is None or (until - asked.since) / span.length > MOST_STEPS:
        raise InvalidQueryError(f"step={asked.step!r}: that is more than {MOST_STEPS} steps")
    return span.start_of


def _of(asked: FigureQuery) -> Predicate[TaskFigures]:
    where: Predicate[TaskFigures] = everything()
    if asked.queue is not None:
        where &= TaskFigures.queue == asked.queue
    if asked.task is not None:
        where &= TaskFigures.task == asked.task
    return where


def _told(name: str, start: datetime, length: timedelta, sums: FigureSums) -> TaskStatistics:
    counts: Mapping[str, int] = sums.counts
    return TaskStatistics(
        name=name,
        start=start,
        length=length,
        succeeded=counts.get("succeeded", 0),
        failed=counts.get("failed", 0),
        cancelled=counts.get("cancelled", 0),
        retried=counts.get("retried", 0),
        lost=counts.get("lost", 0),
        duration=sums.duration,
        histogram=tuple(counts.get(name, 0) for name in BUCKETS),
    )
