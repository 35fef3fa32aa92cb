"""What may be said about a job when it is enqueued, and about trying again when it fails."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from holdfast.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

_NOTHING = timedelta(0)
LONGEST_DELAY = timedelta(days=36_525)
"""A hundred years: what is later than that is a mistake, and soon beyond what a datetime holds."""
_MOST_DOUBLINGS = 60  # any delay has met its limit by then, and no float overflows


@dataclass(frozen=True, slots=True, kw_only=True)
class EnqueueOptions:
    """How a job is enqueued. Higher *priority* goes first.

    It starts not before *run_at* (aware), or not until *delay* has passed. While a job with the
    same *unique_key* is queued or running, in whatever queue, no second one is made.
    Raises ConfigurationError for what can't be.
    """

    queue: str = "default"
    priority: int = 0
    run_at: datetime | None = None
    delay: timedelta | None = None
    max_attempts: int = 3
    unique_key: str | None = None

    def __post_init__(self) -> None:
        if self.run_at is not None and self.delay is not None:
            raise ConfigurationError("a job takes run_at or delay, not both")
        if self.delay is not None and not _NOTHING <= self.delay <= LONGEST_DELAY:
            raise ConfigurationError(f"delay={self.delay}: expected 0 to {LONGEST_DELAY}")
        if self.max_attempts < 1:
            raise ConfigurationError(f"max_attempts={self.max_attempts}: expected 1 or more")
        if not self.queue:
            raise ConfigurationError("queue='': a queue has a name")
        if self.unique_key == "":
            raise ConfigurationError("unique_key='': expected None or some text")


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
        if not _NOTHING <= self.first <= self.limit:
            raise ConfigurationError(
                f"first={self.first}, limit={self.limit}: expected 0 <= first <= limit"
            )
        if not 0 <= self.jitter <= 1:
            raise ConfigurationError(f"jitter={self.jitter}: expected 0 to 1")

    def delay(self, attempts: int, chance: float) -> timedelta:
        """Return the delay after *attempts* failures; *chance* is drawn from [0, 1)."""
        doubled = self.first.total_seconds() * 2.0 ** min(max(attempts - 1, 0), _MOST_DOUBLINGS)
        whole = min(doubled, self.limit.total_seconds())
        return timedelta(seconds=whole * (1 - self.jitter * chance))


def check_queues(queues: Sequence[str]) -> None:
    """Raise ConfigurationError for no names of queues, and for one name that stands alone."""
    if isinstance(queues, str) or not queues:
        raise ConfigurationError(f"queues={queues!r}: expected the names of some queues")
