"""Limits of a queue or a task: how many of its jobs run at once and start, in all and by key."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from holdfast.errors import ConfigurationError
from holdfast.records import Entity, Field, key, version
from holdfast.records import field as stored

if TYPE_CHECKING:
    from collections.abc import Mapping

QUEUE_LENGTH = 100
TASK_LENGTH = 200
_NAME_LENGTH = 210  # what it is of, and its name
_NOTHING = timedelta(0)
_NUMBERS = ("concurrency", "key_concurrency", "rate", "key_rate")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What the jobs of *queue*, or of *task* in whatever queue, are limited to; None is no limit.

    *concurrency* is how many of them run at once, *key_concurrency* how many with one `limit_key`.
    *rate* is how many start in a *period*, *key_rate* how many with one `limit_key`: as many at
    once, and then as they come back, evenly. With a limit by key the keys of a queue take turns;
    one of *weights*, 1 where it is not named, gets as many times the jobs. Jobs without a key have
    a turn too, and no limit of their own.
    Raises ConfigurationError for what can't be, and when it says nothing.
    """

    queue: str | None = None
    task: str | None = None
    concurrency: int | None = None
    key_concurrency: int | None = None
    rate: int | None = None
    key_rate: int | None = None
    period: timedelta = timedelta(seconds=1)
    weights: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        limit_name(queue=self.queue, task=self.task)
        said = {name: getattr(self, name) for name in _NUMBERS}
        for name, value in said.items():
            if value is not None and not _is_count(value):
                raise ConfigurationError(f"{name}={value!r}: expected None, or 1 or more")
        if all(value is None for value in said.values()):
            raise ConfigurationError(f"a limit says one of {', '.join(_NUMBERS)}")
        if not isinstance(self.period, timedelta) or self.period <= _NOTHING:
            raise ConfigurationError(
                f"period={self.period!r}: expected a positive time such as timedelta(seconds=1)"
            )
        for name, weight in self.weights.items():
            if not _is_count(weight):
                raise ConfigurationError(f"weights={{{name!r}: {weight!r}}}: expected 1 or more")
        if self.weights and (self.queue is None or not self.by_key):
            raise ConfigurationError(
                "weights are of a queue's keys: say queue, and key_concurrency or key_rate"
            )

    @property
    def by_key(self) -> bool:
        """Whether it limits the jobs of each key."""
        return self.key_concurrency is not None or self.key_rate is not None

    def as_json(self) -> dict[str, object]:
        """Return what it says, but for what it is of; the *period* is in seconds."""
        said = {name: getattr(self, name) for name in _NUMBERS}
        return {**said, "period": self.period.total_seconds(), "weights": dict(self.weights)}


def limit_name(*, queue: str | None, task: str | None) -> str:
    """Return what the limit of *queue*, or of *task*, is stored under.

    Raises ConfigurationError unless one of them is given, and can be a name.
    """
    for kind, name, longest in (("queue", queue, QUEUE_LENGTH), ("task", task, TASK_LENGTH)):
        if name is not None and not 0 < len(name) <= longest:
            raise ConfigurationError(f"{kind}={name!r}: expected 1 to {longest} characters")
    if (queue is None) == (task is None):
        raise ConfigurationError("a limit is of a queue or of a task: say one of them")
    return f"queue:{queue}" if task is None else f"task:{task}"


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


class LimitScope(StrEnum):
    """What a limit is of."""

    QUEUE = "queue"
    TASK = "task"


class JobLimit(Entity, table="job_limits", indexes=[("scope",)]):
    """A limit as it is stored, and what of it is used beside the leases of jobs that run."""

    name: Field[str] = key(max_length=_NAME_LENGTH)
    scope: Field[LimitScope]
    queue: Field[str | None] = stored(max_length=QUEUE_LENGTH)
    task: Field[str | None] = stored(max_length=TASK_LENGTH)
    concurrency: Field[int | None]
    key_concurrency: Field[int | None]
    rate: Field[int | None]
    key_rate: Field[int | None]
    period: Field[timedelta]
    weights: Field[dict[str, int]]
    # How many starts the rate had not given back yet, as of a time.
    used: Field[float] = stored(default=0.0)
    counted_at: Field[datetime]
    # The key that had the last turn; null before the first, and after the turn of those without.
    last_key: Field[str | None] = stored(default=None, max_length=255)
    # How many jobs that key may still take before the next one has its turn.
    turn_left: Field[int] = stored(default=0)
    version: Field[int] = version()

    @property
    def limit(self) -> Limit:
        """What it limits, to what."""
        return Limit(
            queue=self.queue,
            task=self.task,
            concurrency=self.concurrency,
            key_concurrency=self.key_concurrency,
            rate=self.rate,
            key_rate=self.key_rate,
            period=self.period,
            weights=self.weights,
        )


class JobLimitKey(Entity, table="job_limit_keys", indexes=[("limit", "counted_at")]):
    """How many starts a limit's rate by key had not given back yet to one key, as of a time.

    Of a key whose starts have all come back there need be none.
    """

    limit: Field[str] = key(max_length=_NAME_LENGTH)
    limit_key: Field[str] = key(max_length=255)
    used: Field[float]
    counted_at: Field[datetime]


def stored_limit(limit: Limit, now: datetime, before: JobLimit | None) -> JobLimit:
    """Return the row of *limit*, with what was used of the one *before*."""
    row = JobLimit(
        name=limit_name(queue=limit.queue, task=limit.task),
        scope=LimitScope.QUEUE if limit.task is None else LimitScope.TASK,
        queue=limit.queue,
        task=limit.task,
        concurrency=limit.concurrency,
        key_concurrency=limit.key_concurrency,
        rate=limit.rate,
        key_rate=limit.key_rate,
        period=limit.period,
        weights=dict(limit.weights),
        counted_at=now,
    )
    if before is not None:
        row.used = still_used(before, before.rate, before.period, now)
        row.counted_at = max(now, before.counted_at)
        row.last_key = before.last_key
    return row


def still_used(
    row: JobLimit | JobLimitKey, rate: int | None, period: timedelta, now: datetime
) -> float:
    """Return how many of the starts that *row* counts have not come back at *now*."""
    if rate is None:
        return 0.0
    passed = max(now - row.counted_at, _NOTHING)
    return max(0.0, row.used - rate * (passed / period))
