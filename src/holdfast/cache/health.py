"""What a cache says of itself."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime


class State(StrEnum):
    """UP: the store answers. DOWN: it does not, and this process goes on alone."""

    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Health:
    """How a cache's store is.

    *since* is when that began, *pending* how many invalidations wait for the store; when they
    *overflowed*, one of them stands for all keys. *reason* says why it is down. *hit_rate* is the
    part of this process's reads that were hits, None before the first.
    """

    state: State
    since: datetime
    pending: int = 0
    reason: str | None = None
    overflowed: bool = False
    hit_rate: float | None = None


class Measured(Protocol):
    """A cache, async or blocking, as those see it who watch it."""

    @property
    def statistics(self) -> Statistics: ...

    def health(self) -> Health: ...


@dataclass(slots=True)
class Statistics:
    """What a cache did since it was opened.

    A read is a hit or a miss. *loads* ran, *failed_loads* raised, *void_fills* were overtaken by an
    invalidation and not stored, *unreadable* values were of another type and taken for misses.
    *near_hits* counts what copies in this process saved asking the store for, tags included.
    *outages* is how often the store went away, *pending_answers* how many writes and invalidations
    returned before it had heard of them.
    """

    hits: int = 0
    misses: int = 0
    loads: int = 0
    failed_loads: int = 0
    void_fills: int = 0
    unreadable: int = 0
    near_hits: int = 0
    load_seconds: float = 0.0
    outages: int = 0
    pending_answers: int = 0

    @property
    def hit_rate(self) -> float | None:
        """The part of reads that were hits, None when there was no read."""
        reads = self.hits + self.misses
        return self.hits / reads if reads else None
