"""Entries in this process: the least recently used go first when room runs out."""

from __future__ import annotations

import heapq
import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

from holdfast.cache.driver import HEAD, LOAD_LOCK, CacheCapability, Outcome, closed
from holdfast.errors import StorageError
from holdfast.forks import after_fork

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence

    from holdfast.cache.driver import Swap
    from holdfast.cache.pattern import Pattern
    from holdfast.cache.token_bucket import TokenBucket

_OVERHEAD = 200  # bytes that Python takes for an entry beside its name and value, about
_BATCH = 500
_INT_MIN, _INT_MAX = -(2**63), 2**63 - 1

_Entry = tuple[bytes, float | None]  # the value, and the clock's seconds at which it ends


class MemoryCacheDriver:
    """A dict in order of use, and a heap of the times at which entries end.

    Safe to use from many threads. *max_bytes* counts names, values and what Python takes around
    them; with *max_entries* 0 it forgets everything at once.
    """

    name = "memory"
    capabilities = frozenset({CacheCapability.ATOMIC_BATCHES, CacheCapability.TOKEN_BUCKETS})

    def __init__(
        self,
        *,
        max_entries: int = 100_000,
        max_bytes: int = 256 * 1024 * 1024,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._clock = clock
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._ends: list[tuple[float, str]] = []
        self._bytes = 0
        self._mutex = threading.RLock()
        self._open = True
        after_fork(self._after_fork)

    @property
    def entries(self) -> int:
        """How many entries are held, ended ones that nobody has asked for included."""
        return len(self._entries)

    @property
    def size(self) -> int:
        """How many bytes they take."""
        return self._bytes

    def clear(self) -> None:
        """Forget everything."""
        with self._mutex:
            self._entries.clear()
            self._ends.clear()
            self._bytes = 0

    def close(self) -> None:
        """Forget everything; what is asked after this raises RuntimeError."""
        with self._mutex:
            self._open = False
            self.clear()

    def _after_fork(self) -> None:
        """Keep the entries in the child, unless another thread was just changing them."""
        changing = not self._mutex.acquire(blocking=False)
        self._mutex = threading.RLock()
        if changing:
            self.clear()

    async def get_many(self, names: Sequence[str]) -> list[bytes | None]:
        """Return what is stored under *names*, by position."""
        with self._mutex:
            return [self._get(name) for name in names]

    async def set_many(self, items: Sequence[tuple[str, bytes]], *, ttl: int | None) -> Outcome:
        """Store all *items* in one step. Raises StorageError for one that is larger than all."""
        with self._mutex:
            self._check()
            for name, value in items:
                if len(name) + len(value) + _OVERHEAD > self._max_bytes:
                    raise StorageError(
                        f"a value of {len(value)} bytes is more than the whole cache may hold, "
                        f"{self._max_bytes} bytes"
                    )
            end = self._end(ttl)
            for name, value in items:
                self._put(name, value, end)
            self._make_room()
        return Outcome.APPLIED

    async def swap_many(
        self,
        swaps: Sequence[Swap],
        *,
        ttl: int | None,
        shared: bool = False,  # noqa: ARG002 - this process is all there is
    ) -> list[bool]:
        """Do each of *swaps* in one turn; see `CacheDriver.swap_many`."""
        with self._mutex:
            return [self._swap(swap, ttl) for swap in swaps]

    async def delete_many(self, names: Sequence[str], *, pattern: Pattern | None = None) -> Outcome:
        """Remove *names*, and what *pattern* fits, in one step."""
        with self._mutex:
            self._check()
            self._remove_all(names)
            if pattern is not None:
                self._remove_all([name for name in self._entries if pattern.fits(name)])
        return Outcome.APPLIED

    async def increment(self, name: str, by: int, *, ttl: int | None) -> int | None:
        """Add to the number under *name*; see `CacheDriver.increment`."""
        with self._mutex:
            there = self._get(name)
            if there is None:
                total, end = by, self._end(ttl)
            else:
                if not there.removeprefix(b"-").isdigit():
                    return None
                total, end = int(there) + by, self._entries[name][1]
            if not _INT_MIN <= total <= _INT_MAX:
                raise OverflowError("the sum does not fit in 64 bits")
            self._put(name, b"%d" % total, end)
            self._make_room()
            return total

    async def take(self, name: str, bucket: TokenBucket, count: float) -> float:
        """Take *count* tokens from the *bucket* under *name*; see `TokenDriver.take`."""
        with self._mutex:
            there, now = self._get(name), self._clock()
            full_at, wait = bucket.take(float(there or 0), count, now)
            if not wait:
                self._put(name, repr(full_at).encode(), full_at)
                self._make_room()
            return wait

    async def expire(self, name: str, ttl: int | None) -> bool:
        """Give what is there a new time to live; tell whether a value was there."""
        with self._mutex:
            there = self._get(name)
            if there is None or there.startswith(LOAD_LOCK):
                return False
            self._put(name, there, self._end(ttl))
            return True

    async def ttl(self, name: str) -> int | None:
        """Return the milliseconds left, -1 for forever, None when nothing is there."""
        with self._mutex:
            if self._get(name) is None:
                return None
            end = self._entries[name][1]
            return -1 if end is None else max(1, round((end - self._clock()) * 1000))

    async def scan(self, prefix: str) -> AsyncIterator[list[tuple[str, bytes]]]:
        """Yield names that start with *prefix*, with their first bytes."""
        with self._mutex:
            self._check()
            names = [name for name in self._entries if name.startswith(prefix)]
        for start in range(0, len(names), _BATCH):
            with self._mutex:
                batch = [
                    (name, entry[0][:HEAD])
                    for name in names[start : start + _BATCH]
                    if (entry := self._entries.get(name)) is not None and self._lives(entry)
                ]
            yield batch

    def _swap(self, swap: Swap, ttl: int | None) -> bool:
        there = self._get(swap.name)
        if (there is None) != (swap.over is None):
            return False
        if there is not None and swap.over is not None and not there.startswith(swap.over):
            return False
        if swap.value is None:
            self._remove(swap.name)
        else:
            self._put(swap.name, swap.value, self._end(ttl))
            self._make_room()
        return True

    def _end(self, ttl: int | None) -> float | None:
        return None if ttl is None else self._clock() + ttl / 1000

    def _check(self) -> None:
        if not self._open:
            raise closed()

    def _lives(self, entry: _Entry) -> bool:
        return entry[1] is None or entry[1] > self._clock()

    def _get(self, name: str) -> bytes | None:
        self._check()
        entry = self._entries.get(name)
        if entry is None:
            return None
        if not self._lives(entry):
            self._remove(name)
            return None
        self._entries.move_to_end(name)
        return entry[0]

    def _put(self, name: str, value: bytes, end: float | None) -> None:
        old = self._entries.get(name)
        if old is not None:
            self._bytes -= len(old[0])
        else:
            self._bytes += len(name) + _OVERHEAD
        self._bytes += len(value)
        self._entries[name] = (value, end)
        self._entries.move_to_end(name)
        if end is not None:
            heapq.heappush(self._ends, (end, name))

    def _remove(self, name: str) -> None:
        old = self._entries.pop(name, None)
        if old is not None:
            self._bytes -= len(name) + len(old[0]) + _OVERHEAD

    def _remove_all(self, names: Iterable[str]) -> None:
        for name in names:
            self._remove(name)

    def _make_room(self) -> None:
        """Remove what has ended, then what was used the longest ago, until the limits hold."""
        now = self._clock()
        while self._ends and self._ends[0][0] <= now:
            _, name = heapq.heappop(self._ends)
            entry = self._entries.get(name)
            if entry is not None and not self._lives(entry):
                self._remove(name)
        while len(self._entries) > self._max_entries or self._bytes > self._max_bytes:
            self._remove(next(iter(self._entries)))
        if len(self._ends) > 2 * len(self._entries) + 1000:  # ends of what was written over
            self._ends = [
                (end, name) for name, (_, end) in self._entries.items() if end is not None
            ]
            heapq.heapify(self._ends)
