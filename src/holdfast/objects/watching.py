"""What goes along with every operation: figures, an audit of writes, a cache of metadata."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.objects.driver import ObjectInfo

T = TypeVar("T")

_SHORTEST = 1e-5  # seconds, the upper edge of the first class of latencies
_STEPS = 8  # classes to each doubling: an edge is 9% above the one before
_CLASSES = 26 * _STEPS  # up to eleven minutes


@dataclass(frozen=True, slots=True)
class WriteEvent:
    """One write that was tried: who did what to which keys, and how it ended.

    *actor* is whom `acting_as` named. *error* is the name of what it raised, None when it
    succeeded; after an error the write may have happened. *size* is in bytes where there are some.
    *at* is the aware time of its end.
    """

    actor: str | None
    operation: str
    keys: tuple[str, ...]
    error: str | None
    size: int
    version: str | None
    at: datetime
    seconds: float


Audit = Callable[[WriteEvent], Awaitable[None] | None]


class MetadataCache(Protocol):
    """Where `head` looks first; `holdfast.cache.CachedMetadata` is one."""

    async def get_or_set(
        self, key: str, load: Callable[[], Awaitable[ObjectInfo | None]]
    ) -> ObjectInfo | None:
        """Return the value of *key*; when there is none, what *load* returns, stored.

        An invalidation during the load makes it void: it is returned and not stored.
        """
        ...

    async def invalidate(self, *, keys: Iterable[str]) -> object:
        """Forget *keys*."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """What a bucket tells of itself while it works.

    *audit* is called once after each write, also a failed one, and awaited if it can be; what it
    raises escapes, though the write has happened: a record that can't be kept is no small thing.
    *metadata* answers `head` and forgets what is written through this bucket; what others write
    it learns only by its own rules, so give it a time to live.
    """

    audit: Audit | None = None
    metadata: MetadataCache | None = None


@dataclass(frozen=True, slots=True)
class OperationStats:
    """What one kind of operation did. Times are in seconds; percentiles exceed by 9% at most."""

    count: int
    errors: int
    bytes: int
    seconds: float
    p50: float
    p95: float
    p99: float

    @property
    def success_rate(self) -> float:
        """The share that raised nothing."""
        return 1 - self.errors / self.count if self.count else 1.0

    @property
    def bytes_per_second(self) -> float:
        """The speed of one operation at a time."""
        return self.bytes / self.seconds if self.seconds else 0.0


@dataclass(frozen=True, slots=True)
class Stats:
    """What a bucket did since it was opened, by name of the operation.

    *retries* counts requests that were sent once more. *cache_hits* and *cache_misses* are those
    of the metadata cache.
    """

    operations: Mapping[str, OperationStats]
    retries: int
    cache_hits: int
    cache_misses: int


@dataclass(frozen=True, slots=True)
class Health:
    """Whether the backend can be used now, how long it took to say so, and why not."""

    ok: bool
    seconds: float
    reason: str | None


class _Tally:
    __slots__ = ("bytes", "classes", "count", "errors", "seconds")

    def __init__(self) -> None:
        self.count = 0
        self.errors = 0
        self.bytes = 0
        self.seconds = 0.0
        self.classes = [0] * _CLASSES

    def add(self, seconds: float, size: int, *, failed: bool) -> None:
        self.count += 1
        self.errors += failed
        self.bytes += size
        self.seconds += seconds
        place = 0 if seconds <= _SHORTEST else math.ceil(math.log2(seconds / _SHORTEST) * _STEPS)
        self.classes[min(place, _CLASSES - 1)] += 1

    def stats(self) -> OperationStats:
        return OperationStats(
            self.count,
            self.errors,
            self.bytes,
            self.seconds,
            self._percentile(0.50),
            self._percentile(0.95),
            self._percentile(0.99),
        )

    def _percentile(self, share: float) -> float:
        if not self.count:
            return 0.0
        reached = accumulate(self.classes)
        place = next(place for place, seen in enumerate(reached) if seen >= share * self.count)
        return float(_SHORTEST * 2 ** (place / _STEPS))


class Watch:
    """Counts the operations of one bucket and tells its hooks. Safe among threads."""

    def __init__(self, hooks: Hooks, clock: Callable[[], float] = time.perf_counter) -> None:
        self._hooks = hooks
        self._clock = clock
        self._lock = threading.Lock()
        self._tallies: dict[str, _Tally] = {}
        self._hits = 0
        self._misses = 0

    async def reading(
        self, operation: str, call: Awaitable[T], size: Callable[[T], int] | None = None
    ) -> T:
        """Return what *call* returns, counted as *operation*; *size* tells its bytes."""
        began = self._clock()
        try:
            result = await call
        except BaseException:
            self._count(operation, began, 0, failed=True)
            raise
        self._count(operation, began, 0 if size is None else size(result), failed=False)
        return result

    async def writing(
        self,
        operation: str,
        keys: Collection[str],
        call: Awaitable[T],
        *,
        actor: str | None,
        made: Callable[[T], ObjectInfo] | None = None,
    ) -> T:
        """Do as `reading`, tell the audit, and forget what is cached of *keys*."""
        began = self._clock()
        try:
            result = await call
        except BaseException as error:
            seconds = self._count(operation, began, 0, failed=True)
            await self._forget(keys)
            await self._tell(actor, operation, keys, seconds, error=error)
            raise
        info = None if made is None else made(result)
        seconds = self._count(operation, began, 0 if info is None else info.size, failed=False)
        if self._hooks is not _NONE:
            await self._forget(keys)
            await self._tell(actor, operation, keys, seconds, info=info)
        return result

    async def head(
        self, key: str, load: Callable[[], Awaitable[ObjectInfo | None]]
    ) -> ObjectInfo | None:
        """Return what *load* returns, from the cache where there is one."""
        if self._hooks.metadata is None:
            return await load()
        missed = False

        async def counted() -> ObjectInfo | None:
            nonlocal missed
            missed = True
            return await load()

        info = await self._hooks.metadata.get_or_set(key, counted)
        with self._lock:
            self._misses += missed
            self._hits += not missed
        return info

    def stats(self, retries: int) -> Stats:
        """Return the figures so far."""
        with self._lock:
            operations = {name: tally.stats() for name, tally in sorted(self._tallies.items())}
            return Stats(operations, retries, self._hits, self._misses)

    def _count(self, operation: str, began: float, size: int, *, failed: bool) -> float:
        seconds = self._clock() - began
        with self._lock:
            tally = self._tallies.get(operation)
            if tally is None:
                tally = self._tallies[operation] = _Tally()
            tally.add(seconds, size, failed=failed)
        return seconds

    async def _forget(self, keys: Collection[str]) -> None:
        if self._hooks.metadata is not None and keys:
            await self._hooks.metadata.invalidate(keys=keys)

    async def _tell(
        self,
        actor: str | None,
        operation: str,
        keys: Collection[str],
        seconds: float,
        *,
        info: ObjectInfo | None = None,
        error: BaseException | None = None,
    ) -> None:
        if self._hooks.audit is None:
            return
        told = self._hooks.audit(
            WriteEvent(
                actor=actor,
                operation=operation,
                keys=tuple(keys),
                error=None if error is None else type(error).__name__,
                size=0 if info is None else info.size,
                version=None if info is None else info.version,
                at=datetime.now(UTC),
                seconds=seconds,
            )
        )
        if told is not None:
            await told


_NONE = Hooks()
