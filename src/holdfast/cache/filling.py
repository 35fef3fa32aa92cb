"""Loading what is missing: once at a time, fenced against invalidations, before it is too late.

Whoever loads a value first swaps a lease into its place. Any write or invalidation of the key
replaces the lease, and the value is stored only by a swap over that very lease; so a value that was
loaded before an invalidation is never stored after it. The lease also says to everybody else that
somebody is loading.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
import random
import threading
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from holdfast.cache import calls, entries, entry
from holdfast.cache.batch import BatchFiller
from holdfast.cache.codec import Unreadable
from holdfast.cache.naming import refreshing
from holdfast.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from holdfast.cache.codec import Coder
    from holdfast.cache.driver import Driver
    from holdfast.cache.health import Statistics
    from holdfast.cache.options import CacheOptions

T = TypeVar("T")

_Loads = tuple[object, tuple[tuple[object, str], ...]]

_loads: ContextVar[_Loads] = ContextVar("holdfast_cache_loads", default=(None, ()))
"""The task or thread that loads here, and the filler and name of each load that waits for it."""

_log = logging.getLogger("holdfast.cache")
_FIRST_PAUSE, _LONGEST_PAUSE = 0.005, 0.1  # seconds between looks at another process's lease


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted(Generic[T]):
    """A value to find or load. *ttl* and *stale* are in milliseconds."""

    key: str
    name: str
    load: Callable[[], Awaitable[T]]
    codec: Coder[T]
    ttl: int | None
    stale: int
    tags: tuple[str, ...]


@dataclass(slots=True, eq=False)
class _Flight:
    """A load that runs as a task of its own.

    *began* orders the start of the load among the calls: whoever called before may take its value.
    So may whoever finds its lease, which starts with *fence*, for then nothing has made it void.
    Nobody waits for it beyond *overdue*, on the loop's clock.
    """

    overdue: float
    began: float = math.inf
    fence: bytes = b"never"
    task: asyncio.Task[bytes | None] = field(init=False)
    waiting: int = 0


class Filler:
    """Finds or loads values for one cache.

    With *tasks*, loads run as tasks that outlive a cancelled caller; without, in the caller.
    """

    def __init__(
        self,
        driver: Driver,
        options: CacheOptions,
        statistics: Statistics,
        *,
        clock: Callable[[], float],
        pause: Callable[[float], Awaitable[None]],
        tasks: bool,
    ) -> None:
        self._driver = driver
        self._options = options
        self._statistics = statistics
        self._clock = clock
        self._pause = pause
        self._tasks = tasks
        self._lease_life = math.ceil(options.load_timeout * 1000)
        self.batches = BatchFiller(driver, options, statistics, clock)
        self._calls = itertools.count()
        self._flights: dict[str, _Flight] = {}
        self._running: set[asyncio.Task[bytes | None]] = set()

    async def find_or_load(self, wanted: Wanted[T]) -> T | None:
        began = next(self._calls)
        overdue = self._clock() + self._options.load_timeout
        pause = _FIRST_PAUSE
        while True:
            raw, versions, counts = await self._look(wanted)
            if raw is not None and counts and not entry.is_lease(raw):
                try:
                    return await self._hit(wanted, raw)
                except Unreadable:
                    self._statistics.unreadable += 1
            if (self, wanted.name) in self._above():
                raise RuntimeError(
                    f"the load of {wanted.key!r} asks the cache for {wanted.key!r} itself, and "
                    "would wait for itself"
                )
            flight = self._flight(wanted.name)
            leased = raw is not None and counts and entry.is_lease(raw)
            ours = (
                leased and flight is not None and raw is not None and raw.startswith(flight.fence)
            )
            if flight is not None and (ours or flight.began > began):
                payload = await self._join(wanted.name, flight, until=flight.overdue)
            elif leased and self._clock() < overdue:
                await self._pause(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
                continue
            else:
                payload = await self._fly(wanted, raw, versions)
            if payload is not None:
                self._statistics.misses += 1
                return wanted.codec.decode(payload)

    async def close(self) -> None:
        """End the loads that are under way."""
        tasks = tuple(self._running)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _look(self, wanted: Wanted[T]) -> tuple[bytes | None, dict[str, bytes | None], bool]:
        """Return what is there, the versions of the wanted tags, and whether it still counts."""
        raw, *found = await self._driver.get_many([wanted.name, *wanted.tags])
        versions = dict(zip(wanted.tags, found, strict=True))
        if raw is None or entry.is_plain(raw):
            return raw, versions, True
        tags = entry.facts(raw).tags
        others = [tag for tag in tags if tag not in versions]
        all_versions = versions
        if others:
            later = await self._driver.get_many(others)
            all_versions = versions | dict(zip(others, later, strict=True))
        return raw, versions, not entries.outdated(tags, all_versions)

    async def _hit(self, wanted: Wanted[T], raw: bytes) -> T | None:
        value = wanted.codec.decode(entry.payload(raw))
        self._statistics.hits += 1
        if not entry.is_plain(raw) and self._is_due(entry.facts(raw)):
            name = refreshing(wanted.name)
            if not self._tasks:
                payload = await self._refresh(wanted, raw)
                return value if payload is None else wanted.codec.decode(payload)
            if self._flight(name) is None:
                flight = self._new_flight()
                flight.waiting = 1  # the cache itself: nobody else waits for it
                self._start(name, flight, self._refresh(wanted, raw))
        return value

    def _is_due(self, facts: entry.Facts) -> bool:
        """Tell whether to load anew: it is stale, or soon will be and chance picks this caller.

        The chance rises with the cost of the load and with nearness to the end (Vattani and
        others, "Optimal Probabilistic Cache Stampede Prevention", VLDB 2015).
        """
        if facts.fresh_until is None:
            return False
        ahead = -facts.cost * self._options.early * math.log(1 - random.random())  # noqa: S311
        return self._clock() + ahead >= facts.fresh_until

    async def _fly(
        self, wanted: Wanted[T], raw: bytes | None, versions: dict[str, bytes | None]
    ) -> bytes | None:
        """Load over what was seen; None when somebody else came first."""
        over = None if raw is None else entry.fence(raw)
        if not self._tasks:
            return await self._fill(wanted, over, versions, None)
        flight = self._new_flight()
        self._start(wanted.name, flight, self._fill(wanted, over, versions, flight))
        return await self._join(wanted.name, flight, until=None)

    async def _fill(
        self,
        wanted: Wanted[T],
        over: bytes | None,
        versions: dict[str, bytes | None],
        flight: _Flight | None,
    ) -> bytes | None:
        try:
            tags = await entries.made(self._driver, versions)
            lease = entry.lease(tags)
            fence = entry.fence(lease)
            if flight is not None:
                flight.fence = fence
            if not await self._leased(wanted.name, lease, over):
                return None
        except StorageError as error:
            _log.warning("%r is loaded without a lease: %s", wanted.key, error)
            tags, fence = {}, entry.version()  # which is nowhere, so nothing is stored over it
        if flight is not None:
            flight.began = next(self._calls)
        try:
            return await self._load(wanted, fence, tags)
        except BaseException:
            await self._driver.swap(wanted.name, None, over=fence)
            raise

    async def _leased(self, name: str, lease: bytes, over: bytes | None) -> bool:
        """Put *lease* in the place of what was seen; cancelled or refused, it leaves none there."""
        try:
            return await self._driver.swap(name, lease, over=over, ttl=self._lease_life)
        except BaseException:
            await self._driver.swap(name, None, over=entry.fence(lease))
            raise

    async def _refresh(self, wanted: Wanted[T], raw: bytes) -> bytes | None:
        """Load anew over an entry that is served meanwhile; None when somebody else does, or fails.

        A failed one is not tried again until the lease of its attempt has ended.
        """
        name, mine = refreshing(wanted.name), entry.version()
        if not await self._driver.swap(name, mine, over=None, ttl=self._lease_life):
            return None
        try:
            tags = await entries.current(self._driver, wanted.tags)
            payload = await self._load(wanted, entry.fence(raw), tags)
        except Exception:  # noqa: BLE001 - whatever the load raises, there is a value to serve
            _log.warning("loading %r anew failed; the stale value stays", wanted.key, exc_info=True)
            return None
        await self._driver.swap(name, None, over=mine)
        return payload

    async def _load(self, wanted: Wanted[T], fence: bytes, tags: dict[str, bytes]) -> bytes:
        """Load, and store over *fence*; the value counts for the caller even when that fails."""
        self._statistics.loads += 1
        start = self._clock()
        mark = _loads.set((self._here(), (*self._above(), (self, wanted.name))))
        try:
            value = await calls.loaded(wanted.load)
        except BaseException:
            self._statistics.failed_loads += 1
            raise
        finally:
            _loads.reset(mark)
        payload = wanted.codec.encode(wanted.key, value)
        now = self._clock()
        self._statistics.load_seconds += max(0.0, now - start)
        ttl, stale = wanted.ttl, wanted.stale
        if value is None and self._options.negative_ttl:
            ttl, stale = math.ceil(self._options.negative_ttl * 1000), 0
        fresh_until = None if ttl is None else now + ttl / 1000
        content = entry.wrapped(payload, entry.Facts(fresh_until, max(0.0, now - start), tags))
        life = None if ttl is None else ttl + stale
        try:
            stored = await self._driver.swap(wanted.name, content, over=fence, ttl=life)
        except StorageError as error:
            _log.warning("%r was loaded and not stored: %s", wanted.key, error)
            stored = False
        self._statistics.void_fills += not stored
        return payload

    def _here(self) -> object:
        return asyncio.current_task() if self._tasks else threading.get_ident()

    def _above(self) -> tuple[tuple[object, str], ...]:
        """Return the loads that wait for what runs here; a task that one began waits on its own."""
        where, loads = _loads.get()
        return loads if loads and where == self._here() else ()

    def _flight(self, name: str) -> _Flight | None:
        """Return the flight for *name* that is worth waiting for."""
        flight = self._flights.get(name)
        if flight is None or flight.task.done():
            return None  # about to be forgotten; what it had to give is in the store
        return flight if asyncio.get_running_loop().time() < flight.overdue else None

    def _new_flight(self) -> _Flight:
        return _Flight(asyncio.get_running_loop().time() + self._options.load_timeout)

    def _start(self, name: str, flight: _Flight, work: Awaitable[bytes | None]) -> None:
        above = self._above()

        async def run() -> bytes | None:
            _loads.set((self._here(), above))  # of this task alone
            return await work

        flight.task = asyncio.get_running_loop().create_task(run())
        self._running.add(flight.task)
        self._flights[name] = flight
        flight.task.add_done_callback(lambda task: self._landed(name, flight, task))

    def _landed(self, name: str, flight: _Flight, task: asyncio.Task[bytes | None]) -> None:
        self._running.discard(task)
        self._forget(name, flight)
        if not task.cancelled():
            task.exception()  # seen: whoever waited got it

    def _forget(self, name: str, flight: _Flight) -> None:
        if self._flights.get(name) is flight:
            del self._flights[name]

    async def _join(self, name: str, flight: _Flight, *, until: float | None) -> bytes | None:
        """Return what *flight* brings; None when it brings nothing *until* then."""
        loop = asyncio.get_running_loop()
        left = None if until is None else max(0.0, until - loop.time())
        flight.waiting += 1
        try:
            landed, _ = await asyncio.wait((flight.task,), timeout=left)
            return flight.task.result() if landed else None
        finally:
            flight.waiting -= 1
            if not flight.waiting and not flight.task.done():
                self._forget(name, flight)  # whoever comes now starts anew
                flight.task.cancel()
