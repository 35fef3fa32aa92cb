"""What a cache tells about itself: counters of what it did, gauges, and the health of its store."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Protocol

from holdfast.cache.driver import NEAR
from holdfast.health import Health, probed

if TYPE_CHECKING:
    from holdfast.cache.driver import CacheDriver


@dataclass(slots=True)
class CacheCounters:
    """What a cache did since it was opened, in plain attributes: adding to one costs little.

    A read is one of *hits* or *misses*. *loads* ran, *failed_loads* raised, *void_loads* were
    overtaken by an invalidation and not stored, *unreadable* values were of another type and taken
    for misses. *load_seconds* is the time that loads took. *near_hits* counts what near copies
    saved asking the store for, tags included. *outages* is how often the store went away,
    *pending_answers* how many writes and invalidations returned before it had heard of them.
    """

    hits: int = 0
    misses: int = 0
    loads: int = 0
    failed_loads: int = 0
    void_loads: int = 0
    unreadable: int = 0
    near_hits: int = 0
    load_seconds: float = 0.0
    outages: int = 0
    pending_answers: int = 0

    def by_name(self) -> dict[str, float]:
        """Return the figures now, by name."""
        return asdict(self)


class CacheMonitor(Protocol):
    """Who knows how a cache's store is, and where its counters stand."""

    @property
    def counters(self) -> CacheCounters:
        """The cache's counters, to be added to."""
        ...

    async def health(self) -> Health:
        """Return how the store answers one probe; see `Cache.health`."""
        ...

    def gauges(self) -> dict[str, float]:
        """Return `up`, `since`, `pending` and `overflowed` as they are now; see `Cache.stats`."""
        ...


@dataclass(frozen=True, slots=True)
class LocalMonitor:
    """The monitor of a cache whose *driver* never goes away; *opened* is in Unix seconds."""

    driver: CacheDriver
    opened: float
    counters: CacheCounters = field(default_factory=CacheCounters)

    async def health(self) -> Health:
        """Return UP: there is no server between the process and its entries."""
        return await probed(lambda: self.driver.get_many((NEAR,)))

    def gauges(self) -> dict[str, float]:
        """Return the gauges of a store that is always there."""
        return {"up": 1, "since": self.opened, "pending": 0, "overflowed": 0}
