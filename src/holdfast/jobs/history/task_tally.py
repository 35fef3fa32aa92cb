"""What came of jobs since it was last written down, summed up in memory."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from holdfast.jobs.history.task_figures import (
    BUCKETS,
    EXAMPLE_LENGTH,
    OTHER,
    FigureSpan,
    bucket_of,
    reason_of,
)
from holdfast.jobs.job import JobStatus, storable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

MOST_ROWS = 1_000
"""Rows of figures, and of failures, that are kept apart until they are written down."""
LOST = "the lease ran out"
_MINUTE = 60

_COUNTERS = {
    JobStatus.SUCCEEDED: "succeeded",
    JobStatus.FAILED: "failed",
    JobStatus.CANCELLED: "cancelled",
    JobStatus.QUEUED: "retried",
}


@dataclass(slots=True, kw_only=True)  # not frozen: one is made for each end
class AttemptEnd:
    """What an attempt came to, or a job that ended without one.

    *status* is where the job stands since then, QUEUED when it is tried again. *duration* is that
    of an attempt that its handler ended, *error* what it ended with; *lost*: its lease ran out.
    """

    job_id: UUID
    queue: str
    task: str
    at: datetime
    status: JobStatus
    duration: timedelta | None = None
    error: str | None = None
    lost: bool = False


@dataclass(slots=True)
class FigureSums:
    """Sums over the ends of one task in one queue and span: *counts* by the names of fields."""

    counts: dict[str, int] = field(default_factory=dict)
    duration: timedelta = timedelta(0)

    def add(self, counts: Mapping[str, int], duration: timedelta) -> None:
        """Add *counts* and *duration* to the sums."""
        for name, count in counts.items():
            self.counts[name] = self.counts.get(name, 0) + count
        self.duration += duration


@dataclass(slots=True)
class FailureSums:
    """How often one reason was met, and the latest error in full."""

    count: int
    example: str
    job_id: UUID


@dataclass(frozen=True, slots=True, order=True)
class FigureKey:
    """Which row sums belong to; *reason* is empty for figures."""

    span: FigureSpan
    start: datetime
    queue: str
    task: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Tallied:
    """What a tally held when it was taken."""

    figures: dict[FigureKey, FigureSums]
    failures: dict[FigureKey, FailureSums]


class TaskTally:
    """Sums up ends of attempts until they are taken. Its size is bounded. Safe in threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._minutes: dict[tuple[int, str, str], FigureSums] = {}
        self._failures: dict[FigureKey, FailureSums] = {}
        self._left: dict[FigureKey, FigureSums] = {}
        self.since: datetime | None = None
        """When the oldest of what it holds came in; None when it is empty."""

    def add(self, end: AttemptEnd) -> None:
        """Count *end*."""
        duration = end.duration
        with self._lock:
            self.since = self.since or end.at
            sums = self._sums(int(end.at.timestamp()) // _MINUTE, end.queue, end.task)
            _count(sums.counts, _COUNTERS[end.status])
            if end.lost:
                _count(sums.counts, "lost")
            if duration is not None:
                _count(sums.counts, BUCKETS[bucket_of(duration)])
                sums.duration += duration
            if end.error is not None:
                example = storable(end.error, EXAMPLE_LENGTH)
                reason = LOST if end.lost else reason_of(example)
                hour = FigureSpan.HOUR.start_of(end.at)
                key = FigureKey(FigureSpan.HOUR, hour, end.queue, end.task, reason)
                self._add_failures(key, FailureSums(1, example, end.job_id))

    def take(self) -> Tallied:
        """Take out all that was counted: for each minute, and for all time."""
        with self._lock:
            minutes, figures, failures = self._minutes, self._left, self._failures
            self._minutes, self._left, self._failures, self.since = {}, {}, {}, None
        for (minute, queue, task), sums in minutes.items():
            start = datetime.fromtimestamp(minute * _MINUTE, tz=UTC)
            for span in (FigureSpan.MINUTE, FigureSpan.TOTAL):
                key = FigureKey(span, span.start_of(start), queue, task)
                figures.setdefault(key, FigureSums()).add(sums.counts, sums.duration)
        return Tallied(figures, failures)

    def put_back(self, left: Tallied, since: datetime) -> None:
        """Add what could not be written down."""
        with self._lock:
            self.since = min(since, self.since or since)
            for key, sums in left.figures.items():
                room = key in self._left or len(self._left) < 2 * MOST_ROWS
                kept = key if room else FigureKey(key.span, key.start, OTHER, OTHER)
                self._left.setdefault(kept, FigureSums()).add(sums.counts, sums.duration)
            for key, failure in left.failures.items():
                self._add_failures(key, failure)

    def _sums(self, minute: int, queue: str, task: str) -> FigureSums:
        found = self._minutes.get((minute, queue, task))
        if found is None:
            room = len(self._minutes) < MOST_ROWS
            key = (minute, queue, task) if room else (minute, OTHER, OTHER)
            found = self._minutes.setdefault(key, FigureSums())
        return found

    def _add_failures(self, key: FigureKey, failure: FailureSums) -> None:
        if key not in self._failures and len(self._failures) >= MOST_ROWS:
            key = FigureKey(key.span, key.start, OTHER, OTHER, OTHER)
        found = self._failures.setdefault(key, FailureSums(0, "", failure.job_id))
        found.count += failure.count
        found.example, found.job_id = failure.example, failure.job_id


def _count(counts: dict[str, int], name: str) -> None:
    counts[name] = counts.get(name, 0) + 1
