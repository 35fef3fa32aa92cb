"""The figures of tasks as they are stored: counts and durations by time, and failures by reason."""

from __future__ import annotations

import re
from bisect import bisect_left
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID, uuid5

from holdfast.records import Entity, Field, field, key, updated_at, version

OTHER = "(other)"
"""Stands for the queues and tasks, or the reasons, that are too many to be told apart."""
REASON_LENGTH = 200
EXAMPLE_LENGTH = 1_000
EDGES = tuple(timedelta(milliseconds=10 * 2**step) for step in range(20))
"""The upper bounds of all buckets of a histogram but the last: 10 ms, 20 ms, ... 1 h 27 min."""

_NAMESPACE = UUID("5b1b9a1e-8f0d-4f0c-9a55-6f1d3c1f7a20")
_VARYING = re.compile(
    r"""'[^']*'|"[^"]*"                     # what is quoted
    |\b[0-9a-f]{8}-[0-9a-f-]{27}\b          # UUIDs
    |\b0x[0-9a-f]+\b|\b[0-9a-f]{16,}\b      # addresses, digests
    |/\S*/\S*                               # paths
    |\d+(?:\.\d+)?                          # numbers
    """,
    re.VERBOSE | re.IGNORECASE,
)


class FigureSpan(StrEnum):
    """How long a time a row of figures sums up."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    TOTAL = "total"

    @property
    def length(self) -> timedelta | None:
        """How long that is; None for all time."""
        match self:
            case FigureSpan.MINUTE:
                return timedelta(minutes=1)
            case FigureSpan.HOUR:
                return timedelta(hours=1)
            case FigureSpan.DAY:
                return timedelta(days=1)
            case FigureSpan.TOTAL:
                return None

    def start_of(self, time: datetime) -> datetime:
        """Return when the span began that *time* falls into."""
        match self:
            case FigureSpan.MINUTE:
                return time.replace(second=0, microsecond=0)
            case FigureSpan.HOUR:
                return time.replace(minute=0, second=0, microsecond=0)
            case FigureSpan.DAY:
                return time.replace(hour=0, minute=0, second=0, microsecond=0)
            case FigureSpan.TOTAL:
                return datetime(2000, 1, 1, tzinfo=time.tzinfo)


class TaskFigures(Entity, table="task_figures", indexes=[("span", "start")]):
    """What the jobs of one task in one queue came to in one span of time.

    *succeeded*, *failed* and *cancelled* are jobs that ended so; *retried* are attempts that
    ended and were not the last; *lost* are leases that ran out. *duration* is the sum over the
    attempts that a handler ended; `b0` to `b20` are how many of them lasted how long, by EDGES.
    """

    id: Field[UUID] = key()
    span: Field[FigureSpan]
    start: Field[datetime]
    queue: Field[str] = field(max_length=100)
    task: Field[str] = field(max_length=200)
    succeeded: Field[int] = field(default=0)
    failed: Field[int] = field(default=0)
    cancelled: Field[int] = field(default=0)
    retried: Field[int] = field(default=0)
    lost: Field[int] = field(default=0)
    duration: Field[timedelta] = field(default=timedelta(0))
    b0: Field[int] = field(default=0)
    b1: Field[int] = field(default=0)
    b2: Field[int] = field(default=0)
    b3: Field[int] = field(default=0)
    b4: Field[int] = field(default=0)
    b5: Field[int] = field(default=0)
    b6: Field[int] = field(default=0)
    b7: Field[int] = field(default=0)
    b8: Field[int] = field(default=0)
    b9: Field[int] = field(default=0)
    b10: Field[int] = field(default=0)
    b11: Field[int] = field(default=0)
    b12: Field[int] = field(default=0)
    b13: Field[int] = field(default=0)
    b14: Field[int] = field(default=0)
    b15: Field[int] = field(default=0)
    b16: Field[int] = field(default=0)
    b17: Field[int] = field(default=0)
    b18: Field[int] = field(default=0)
    b19: Field[int] = field(default=0)
    b20: Field[int] = field(default=0)
    updated_at: Field[datetime] = updated_at()
    version: Field[int] = version()


COUNTERS = ("succeeded", "failed", "cancelled", "retried", "lost")
BUCKETS = tuple(f"b{place}" for place in range(len(EDGES) + 1))


class TaskFailure(Entity, table="task_failures", indexes=[("span", "start")]):
    """How often the attempts of one task in one queue failed for one reason in one hour.

    *reason* is the error without what varies in it. *example* is the latest whole one, of the job
    *job_id*.
    """

    id: Field[UUID] = key()
    span: Field[FigureSpan]
    start: Field[datetime]
    queue: Field[str] = field(max_length=100)
    task: Field[str] = field(max_length=200)
    reason: Field[str] = field(max_length=REASON_LENGTH)
    count: Field[int] = field(default=0)
    example: Field[str] = field(max_length=EXAMPLE_LENGTH)
    job_id: Field[UUID]
    updated_at: Field[datetime] = updated_at()


def row_id(span: FigureSpan, start: datetime, *names: str) -> UUID:
    """Return the key of the row of *span* from *start* on: the same in every process."""
    return uuid5(_NAMESPACE, "\0".join((span, start.isoformat(), *names)))


def bucket_of(duration: timedelta) -> int:
    """Return the place of the bucket that *duration* falls into."""
    return bisect_left(EDGES, duration)


def reason_of(error: str) -> str:
    """Return the first line of *error* without numbers, ids, paths and what is quoted."""
    first = error.strip().split("\n", 1)[0]
    text = _VARYING.sub("…", first[: 4 * REASON_LENGTH])
    return text[:REASON_LENGTH] or OTHER
