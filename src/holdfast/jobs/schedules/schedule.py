"""Schedules: which job is enqueued again and again, and when."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass, fields
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Self, TypeAlias

from holdfast.errors import ConfigurationError
from holdfast.jobs.new_job import NewJob, job_of
from holdfast.jobs.options import LONGEST_DELAY, EnqueueOptions
from holdfast.jobs.schedules.cron import Cron
from holdfast.records import Entity, Field, created_at, field, key, updated_at, version

NAME_LENGTH = 200
MOST_CAUGHT_UP = 1_000
ON_TIME = timedelta(minutes=2)
"""A tick that is later than this has been missed: servers look each minute."""
_EPOCH = datetime.fromtimestamp(0, UTC)
_STORED_OPTIONS = (
    "queue",
    "priority",
    "max_attempts",
    "unique_key",
    "tags",
    "limit_key",
    "retention",
)
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Interval:
    """Ticks every so many *seconds*, counted from the beginning of 1970 in UTC."""

    seconds: int

    def next(self, after: datetime) -> datetime:
        """Return the first tick later than *after*."""
        return self._at((after - _EPOCH) // timedelta(seconds=self.seconds) + 1)

    def previous(self, before: datetime) -> datetime:
        """Return the last tick earlier than *before*."""
        return self._at(-((_EPOCH - before) // timedelta(seconds=self.seconds)) - 1)

    def _at(self, number: int) -> datetime:
        return _EPOCH + timedelta(seconds=number * self.seconds)


Timing: TypeAlias = Cron | Interval


@dataclass(frozen=True, slots=True)
class Schedule:
    """The *job* is enqueued at each tick of *cron* or *every*.

    *cron* goes by the wall clock of *zone*; see `Cron`. *every* is a whole number of seconds, and
    its ticks are counted from the beginning of 1970: every hour is at each full one. Each tick is
    one job, whose `schedule` is the *name* and whose `tick` and `run_at` are its time; with a
    unique key in the job's options, a tick whose forerunner still lives makes none.

    Ticks are missed while no scheduler runs. The latest *catch_up* of those are made up for when
    one runs again: 0 skips all. The job's options are queue, priority, max_attempts, unique_key,
    tags, limit_key and retention.

    Raises ConfigurationError for what can't be, and InvalidValueError for a payload that no job
    may have.
    """

    name: str
    job: NewJob
    _: KW_ONLY
    cron: str | None = None
    every: timedelta | None = None
    zone: str = "UTC"
    catch_up: int = 1

    def __post_init__(self) -> None:
        if not self.name or len(self.name) > NAME_LENGTH:
            raise ConfigurationError(f"name={self.name!r}: expected 1 to {NAME_LENGTH} characters")
        if (self.cron is None) == (self.every is None):
            raise ConfigurationError(f"the schedule {self.name!r} takes cron or every")
        if self.every is not None and (self.every < _SECOND or self.every % _SECOND):
            raise ConfigurationError(f"every={self.every}: expected a whole number of seconds")
        if self.every is not None and self.every > LONGEST_DELAY:
            raise ConfigurationError(f"every={self.every}: expected at most {LONGEST_DELAY}")
        if self.every is not None and self.zone != "UTC":
            raise ConfigurationError("an interval has no zone: it goes by the time that passes")
        if not 0 <= self.catch_up <= MOST_CAUGHT_UP:
            raise ConfigurationError(f"catch_up={self.catch_up}: expected 0 to {MOST_CAUGHT_UP}")
        for each in fields(self.job.options):
            said = getattr(self.job.options, each.name) is not None
            if said and each.name not in _STORED_OPTIONS:
                known = ", ".join(_STORED_OPTIONS)
                raise ConfigurationError(f"{each.name}: a schedule's job may say {known}")
        timing_of(self.cron, self.every, self.zone)
        job_of(self.job, _EPOCH)


def timing_of(cron: str | None, every: timedelta | None, zone: str) -> Timing:
    """Return when the ticks are of what stands in a schedule. Raises ConfigurationError."""
    if cron is not None:
        return Cron.of(cron, zone)
    if every is None:
        raise ConfigurationError("a schedule takes cron or every")
    return Interval(math.floor(every.total_seconds()))


class ScheduleStatus(StrEnum):
    """Whether a schedule makes jobs."""

    ACTIVE = "active"
    PAUSED = "paused"


class JobSchedule(
    Entity,
    table="job_schedules",
    indexes=[("status", "next_tick")],  # what is due; all schedules
):
    """A schedule as it is stored, with its next tick and its last one. Only `Schedules` writes it.

    *every* and *retention* are in seconds. One that is *declared* stands in code, and is ticked by
    the schedulers that declare it.
    """

    name: Field[str] = key(max_length=NAME_LENGTH)
    task: Field[str] = field(max_length=200)
    payload: Field[dict[str, object]] = field(default_factory=dict)
    queue: Field[str | None] = field(default=None, max_length=100)
    priority: Field[int | None] = field(default=None)
    max_attempts: Field[int | None] = field(default=None)
    unique_key: Field[str | None] = field(default=None, max_length=255)
    tags: Field[list[str]] = field(default_factory=list)
    limit_key: Field[str | None] = field(default=None, max_length=255)
    retention: Field[int | None] = field(default=None)
    cron: Field[str | None] = field(default=None, max_length=500)
    every: Field[int | None] = field(default=None)
    zone: Field[str] = field(default="UTC", max_length=100)
    catch_up: Field[int] = field(default=1)
    declared: Field[bool] = field(default=False)
    status: Field[ScheduleStatus] = field(default=ScheduleStatus.ACTIVE)
    next_tick: Field[datetime]
    last_tick: Field[datetime | None] = field(default=None)
    created_at: Field[datetime] = created_at()
    updated_at: Field[datetime] = updated_at()
    version: Field[int] = version()

    @classmethod
    def of(cls, schedule: Schedule, now: datetime, *, declared: bool) -> Self:
        """Return *schedule*, not stored yet, with the first tick after *now*."""
        timing = timing_of(schedule.cron, schedule.every, schedule.zone)
        job = job_of(schedule.job, now)
        options = schedule.job.options
        return cls(
            name=schedule.name,
            task=job.task,
            payload=job.payload,
            queue=options.queue,
            priority=options.priority,
            max_attempts=options.max_attempts,
            unique_key=options.unique_key,
            tags=job.tags,
            limit_key=options.limit_key,
            retention=job.retention,
            cron=schedule.cron,
            every=None if schedule.every is None else math.floor(schedule.every.total_seconds()),
            zone=schedule.zone,
            catch_up=schedule.catch_up,
            declared=declared,
            next_tick=timing.next(now),
        )


def new_job(stored: JobSchedule, tick: datetime) -> NewJob:
    """Return the job that *stored* makes of *tick*."""
    options = EnqueueOptions(
        queue=stored.queue,
        priority=stored.priority,
        max_attempts=stored.max_attempts,
        unique_key=stored.unique_key,
        tags=tuple(stored.tags),
        limit_key=stored.limit_key,
        retention=None if stored.retention is None else timedelta(seconds=stored.retention),
        run_at=tick,
    )
    return NewJob(stored.task, stored.payload, options, schedule=stored.name, tick=tick)


def stored_timing(stored: JobSchedule) -> Timing:
    """Return when *stored* ticks. Raises ConfigurationError where its zone is unknown."""
    every = None if stored.every is None else timedelta(seconds=stored.every)
    return timing_of(stored.cron, every, stored.zone)


def upcoming(stored: JobSchedule, count: int) -> list[datetime]:
    """Return the next *count* ticks of *stored*, none while it is paused.

    There are fewer where the calendar ends.
    """
    if stored.status is ScheduleStatus.PAUSED:
        return []
    timing, ticks = stored_timing(stored), [stored.next_tick]
    with suppress(OverflowError):
        while len(ticks) < count:
            ticks.append(timing.next(ticks[-1]))
    return ticks[:count]


@dataclass(frozen=True, slots=True)
class Due:
    """What is due of a schedule: the *tick* to make a job of (None: none), and the one *then*."""

    tick: datetime | None
    then: datetime


def due_tick(timing: Timing, expected: datetime, now: datetime, *, catch_up: int) -> Due:
    """Return what is due at *now*, when *expected* is the first tick that nobody has looked at.

    Of the ticks that have been missed, see `ON_TIME`, the latest *catch_up* count, the oldest of
    them first; the others are passed over.
    """
    bound = now - ON_TIME
    if expected >= bound:
        return Due(expected, timing.next(expected))
    tick: datetime | None = None
    earlier = bound
    for _ in range(catch_up):
        earlier = timing.previous(earlier)
        if earlier < expected:
            break
        tick = earlier
    if tick is None:
        first = timing.next(bound - timedelta(microseconds=1))
        if first > now:
            return Due(None, first)
        tick = first
    return Due(tick, timing.next(tick))
