"""The log of a job: lines that its handler writes, kept beside it, the latest of them."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING
from uuid import UUID

from holdfast.errors import InvalidQueryError, InvalidValueError
from holdfast.jobs.job import storable
from holdfast.jobs.side_tables import side_table
from holdfast.records import Entity, Field, field, key
from holdfast.uuid7 import uuid7

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from holdfast.jobs.job import Job
    from holdfast.records import Store

LOG_LINES = 500
"""How many lines a job keeps, in all its attempts together: the latest."""
LINE_LENGTH = 1_000
"""How many characters a line has at most."""
LINES_AT_ONCE = 40
"""Lines in one write: with those that they push out they fit one transaction of DynamoDB."""
LARGEST_PAGE = 500


class LogLevel(StrEnum):
    """How much a line of a job's log matters."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class JobLogLine(Entity, table="job_log_lines", indexes=[("job_id", "position")]):
    """A line of a job's log.

    *position* counts the lines of the job from 1, through all its attempts; one that is missing
    was pushed out, or came faster than lines are written.
    """

    id: Field[UUID] = key(default_factory=uuid7)
    job_id: Field[UUID]
    position: Field[int]
    attempt: Field[int]
    at: Field[datetime]
    level: Field[LogLevel]
    text: Field[str] = field(max_length=LINE_LENGTH)


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line that is not written yet. Its *id* keeps it from being written twice."""

    id: UUID
    at: datetime
    level: LogLevel
    text: str


def log_line(text: object, level: LogLevel | str, at: datetime) -> LogLine:
    """Return a line, its text cut to LINE_LENGTH. Raises InvalidValueError for an unknown level."""
    try:
        known = LogLevel(level)
    except ValueError:
        names = ", ".join(LogLevel)
        raise InvalidValueError(
            "JobLogLine", "level", f"expected one of {names}, got {level!r}"
        ) from None
    return LogLine(uuid7(), at, known, storable(str(text), LINE_LENGTH))


class LogBuffer:
    """Lines that wait to be written, at most LOG_LINES: older ones make room. Safe in threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lines: deque[LogLine] = deque()
        self._dropped = 0

    def add(self, line: LogLine) -> None:
        """Put *line* behind the others."""
        with self._lock:
            self._lines.append(line)
            self._bound()

    def take(self) -> tuple[Sequence[LogLine], int]:
        """Take out the next few lines, and the number of those before them that made room."""
        with self._lock:
            count = min(len(self._lines), LINES_AT_ONCE)
            lines = [self._lines.popleft() for _ in range(count)]
            dropped, self._dropped = self._dropped, 0
        return lines, dropped

    def put_back(self, lines: Sequence[LogLine], dropped: int) -> None:
        """Let lines that could not be written wait again, before all others."""
        with self._lock:
            self._lines.extendleft(reversed(lines))
            self._dropped += dropped
            self._bound()

    def __len__(self) -> int:
        return len(self._lines)

    def _bound(self) -> None:
        while len(self._lines) > LOG_LINES:
            self._lines.popleft()
            self._dropped += 1


async def add_lines(store: Store, job: Job, lines: Sequence[LogLine]) -> None:
    """Add *lines* to the log of *job*, whose `log_lines` counts them already; let older ones go.

    In a transaction with the write that counted them.
    """
    log = side_table(store, JobLogLine, of="log")
    first = job.log_lines - len(lines) + 1
    await log.add_many(
        JobLogLine(
            id=line.id,
            job_id=job.id,
            position=first + place,
            attempt=job.attempts,
            at=line.at,
            level=line.level,
            text=line.text,
        )
        for place, line in enumerate(lines)
    )
    if job.log_lines > LOG_LINES:
        gone = JobLogLine.position <= job.log_lines - LOG_LINES
        await log.delete_where(JobLogLine.job_id == job.id, gone)


async def unwritten(store: Store, lines: Sequence[LogLine]) -> Sequence[LogLine]:
    """Return those of *lines* that no row is of."""
    log = side_table(store, JobLogLine, of="log")
    there = await log.get_many([line.id for line in lines])
    return [line for line, found in zip(lines, there, strict=True) if found is None]


async def lines_of(
    store: Store, job_id: UUID, *, after: int, at_least: LogLevel, size: int
) -> Sequence[JobLogLine]:
    """Return the lines behind the position *after*; see `JobReads.log`."""
    if not 1 <= size <= LARGEST_PAGE:
        raise InvalidQueryError(f"size={size}: expected 1 to {LARGEST_PAGE}")
    log = side_table(store, JobLogLine, of="log")
    where = (JobLogLine.job_id == job_id) & (JobLogLine.position > after)
    if at_least is not LogLevel.DEBUG:
        where &= JobLogLine.level.in_(_at_least(at_least))
    return await log.find(where, order_by=JobLogLine.position.asc(), limit=size)


def _at_least(level: LogLevel) -> Iterable[LogLevel]:
    levels = list(LogLevel)
    return levels[levels.index(level) :]
