"""What may be said about a job when it is enqueued, and about trying again when it fails."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from holdfast.errors import ConfigurationError
from holdfast.option_checks import check_number, check_whole

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from holdfast.jobs.uniqueness import Uniqueness

_NOTHING = timedelta(0)
LONGEST_DELAY = timedelta(days=36_525)
"""A hundred years: what is later than that is a mistake, and soon beyond what a datetime holds."""
_MOST_DOUBLINGS = 60  # any delay has met its limit by then, and no float overflows


@dataclass(frozen=True, slots=True, kw_only=True)
class EnqueueOptions:
    """How a job is enqueued. What is None is as the task declares it, else as said here.

    It waits in *queue* ("default"); higher *priority* (0) goes first. It starts not before *run_at*
    (aware), or not until *delay* has passed, and not after *deadline*: it is failed then. It is
    tried *max_attempts* times (3). While a job with the same *unique_key* is queued or running, in
    whatever queue, no second one is made; *unique* says this by other rules. *tags* are found by
    lists. *limit_key* is what limits count it under. It is removed when *retention* has passed
    since its end.
    Raises ConfigurationError for what can't be.
    """

    queue: str | None = None
    priority: int | None = None
    run_at: datetime | None = None
    delay: timedelta | None = None
    deadline: datetime | None = None
    max_attempts: int | None = None
    unique_key: str | None = None
    unique: Uniqueness | None = None
    tags: tuple[str, ...] | None = None
    limit_key: str | None = None
    retention: timedelta | None = None

    def __post_init__(self) -> None:
        if self.run_at is not None and self.delay is not None:
            raise ConfigurationError("a job takes run_at or delay, not both")
        if self.unique_key is not None and self.unique is not None:
            raise ConfigurationError("a job takes unique_key or unique, not both")
        for name, span in (("delay", self.delay), ("retention", self.retention)):
            if span is not None:
                _check_span(name, span)
        if self.max_attempts is not None:
            check_whole(self, "max_attempts")
        if self.queue == "":
            raise ConfigurationError("queue='': a queue has a name")
        if self.unique_key == "":
            raise ConfigurationError("unique_key='': expected None or some text")
        if isinstance(self.tags, str):
            raise ConfigurationError(f"tags={self.tags!r}: expected some texts")

    def over(self, others: EnqueueOptions) -> EnqueueOptions:
        """Return these options, and those of *others* for what is None here.

        What excludes one another, such as `run_at` and `delay`, is one thing: *others* say nothing
        of it where these do.
        """
        own = {each.name: getattr(self, each.name) for each in fields(self)}
        said = {name: value for name, value in own.items() if value is not None}
        hidden = {name for pair in _EITHER if said.keys() & pair for name in pair}
        return replace(others, **said, **dict.fromkeys(hidden - said.keys()))


_EITHER = ({"run_at", "delay"}, {"unique_key", "unique"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """How long a failed job waits: *first*, then twice as long each time, up to *limit*.

    *jitter*, from 0 to 1, is the part of the delay that is left to chance, so that jobs which
    failed together don't come back together.
    """

    first: timedelta = timedelta(seconds=5)
    limit: timedelta = timedelta(hours=1)
    jitter: float = 0.5

    def __post_init__(self) -> None:
        _check_span("first", self.first)
        _check_span("limit", self.limit)
        if self.first > self.limit:
            raise ConfigurationError(
                f"first={self.first}, limit={self.limit}: expected first <= limit"
            )
        check_number(self, "jitter", most=1)

    def delay(self, attempts: int, chance: float) -> timedelta:
        """Return the delay after *attempts* failures; *chance* is drawn from [0, 1)."""
        doubled = self.first.total_seconds() * 2.0 ** min(max(attempts - 1, 0), _MOST_DOUBLINGS)
        whole = min(doubled, self.limit.total_seconds())
        return timedelta(seconds=whole * (1 - self.jitter * chance))


def _check_span(name: str, span: timedelta) -> None:
    if not (isinstance(span, timedelta) and _NOTHING <= span <= LONGEST_DELAY):
        raise ConfigurationError(
            f"{name}={span!r}: expected a timedelta of 0 to {LONGEST_DELAY.days} days"
        )


def check_queues(queues: Collection[str]) -> None:
    """Raise ConfigurationError for no names of queues, and for one name that stands alone."""
    if isinstance(queues, str) or not queues:
        raise ConfigurationError(f"queues={queues!r}: expected the names of some queues")
