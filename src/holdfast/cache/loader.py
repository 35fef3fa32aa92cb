"""Loads what is missing: one load of a key at a time, and none that an invalidation overtook.

**The load lock.** The caller who loads a value first swaps a load lock into its place in the store.
Any write or invalidation of the key replaces the lock, and the value is stored only by a swap over
that very lock; so a value that was loaded before an invalidation is never stored after it. To
everybody else the lock says that somebody is loading. It lives `load_timeout` seconds, so that one
whose process died does not stay forever, and is renewed while the load goes on. A caller that has
waited for it for `load_timeout` loads too, and shares the lock: whichever load ends first is stored
over it.

**Flights.** Within a process a load runs as a task of its own, a flight. Callers of the same key
wait for it instead of polling the lock, and it goes on when the caller that began it is cancelled.
A caller may take a flight's value only if nothing can have made it void before the caller came:
either the caller came before the load began, or the flight's lock is still in the store.
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

from holdfast.cache import envelope, tag_validation
from holdfast.cache.batch_loader import BatchLoader
from holdfast.cache.codec import Unreadable
from holdfast.cache.driver import swap_one
from holdfast.cache.entry_name import refresh_name_of
from holdfast.cache.load_callbacks import call_async
from holdfast.cache.load_leases import LoadLeases
from holdfast.errors import StorageError
from holdfast.forks import after_fork

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from holdfast.cache.codec import Codec
    from holdfast.cache.driver import CacheDriver
    from holdfast.cache.monitor import CacheCounters
    from holdfast.cache.options import CacheOptions

T = TypeVar("T")

_Loads = tuple[object, tuple[tuple[object, str], ...]]

_loads: ContextVar[_Loads] = ContextVar("holdfast_cache_loads", default=(None, ()))
"""The task or thread that loads here, and the loader and name of each load that waits for it."""

_log = logging.getLogger("holdfast.cache")
_FIRST_PAUSE, _LONGEST_PAUSE = 0.005, 0.1  # seconds between looks at another process's load lock


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadRequest(Generic[T]):
    """A value to find or load. *ttl* and *stale* are in milliseconds."""

    key: str
    name: str
    load: Callable[[], Awaitable[T]]
    codec: Codec[T]
    ttl: int | None
    stale: int
    tags: tuple[str, ...]


@dataclass(slots=True, eq=False)
class _Flight:
    """A load that runs as a task of its own.

    *began* orders the start of the load among the calls: a caller from before may take its value.
    So may one who finds its load lock, which starts with *fence*, for then nothing has made it
    void. Nobody waits for it beyond *overdue*, on the loop's clock.
    """

    overdue: float
    began: float = math.inf
    fence: bytes = b"never"
    task: asyncio.Task[bytes | None] = field(init=False)
    waiting: int = 0


class Loader:
    """Finds or loads values for one cache.

    With *tasks*, loads run as tasks that outlive a cancelled caller; without, in the caller.
    *clock* tells wall-clock seconds; *pause* waits for so many seconds.
    """

    def __init__(
        self,
        driver: CacheDriver,
        options: CacheOptions,
        counters: CacheCounters,
        *,
        clock: Callable[[], float],
        pause: Callable[[float], Awaitable[None]],
        tasks: bool,
    ) -> None:
        self._driver = driver
        self._options = options
        self._counters = counters
        self._clock = clock
        self.pause = pause
        self._tasks = tasks
        self._lock_ttl = math.ceil(options.load_timeout * 1000)
        self._leases = LoadLeases(driver, ttl=self._lock_ttl, tasks=tasks)
        self.batches = BatchLoader(driver, options, counters, self._leases, clock)
        self._calls = itertools.count()
        self._flights: dict[str, _Flight] = {}
        self._running: set[asyncio.Task[bytes | None]] = set()
        after_fork(self._forget_flights)

    def _forget_flights(self) -> None:
        """Be without loads under way: in the child of a fork nobody ends the parent's."""
        self._flights = {}
        self._running = set()

    async def find_or_load(self, request: LoadRequest[T]) -> T | None:
        """Return the value there, else what the request's load returns, now stored.

        Raises what the load raises, and RuntimeError for a load that waits for itself.
        """
        began = next(self._calls)
        overdue = self._clock() + self._options.load_timeout
        pause = _FIRST_PAUSE
        while True:
            raw, versions, valid = await self._read_entry(request)
            if raw is not None and valid and not envelope.is_load_lock(raw):
                try:
                    return await self._hit(request, raw)
                except Unreadable:
                    self._counters.unreadable += 1
            if (self, request.name) in self._above():
                raise RuntimeError(
                    f"the load of {request.key!r} asks the cache for {request.key!r} itself, and "
                    "would wait for itself"
                )
            flight = self._flight(request.name)
            lock = raw if raw is not None and valid and envelope.is_load_lock(raw) else None
            ours = lock is not None and flight is not None and lock.startswith(flight.fence)
            if flight is not None and (ours or flight.began > began):
                payload = await self._join(request.name, flight, until=flight.overdue)
            elif lock is not None and self._clock() < overdue:
                await self.pause(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
                continue
            else:
                payload = await self._fly(request, raw, versions, shared=lock is not None)
            if payload is not None:
                self._counters.misses += 1
                return request.codec.decode(payload)

    async def close(self) -> None:
        """End the loads that are under way."""
        tasks = tuple(self._running)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _read_entry(
        self, request: LoadRequest[T]
    ) -> tuple[bytes | None, dict[str, bytes | None], bool]:
        """Return what is there, the versions of the request's tags, and whether it is valid."""
        raw, *found = await self._driver.get_many([request.name, *request.tags])
        versions = dict(zip(request.tags, found, strict=True))
        if raw is None or envelope.is_plain(raw):
            return raw, versions, True
        header = envelope.header_of(raw)
        others = [tag for tag in header.tags if tag not in versions]
        all_versions = versions
        if others:
            later = await self._driver.get_many(others)
            all_versions = versions | dict(zip(others, later, strict=True))
        return raw, versions, not header.is_invalidated(all_versions)

    async def _hit(self, request: LoadRequest[T], raw: bytes) -> T | None:
        value = request.codec.decode(envelope.payload_of(raw))
        self._counters.hits += 1
        if not envelope.is_plain(raw) and self._is_due(envelope.header_of(raw)):
            name = refresh_name_of(request.name)
            if not self._tasks:
                payload = await self._refresh(request, raw)
                return value if payload is None else request.codec.decode(payload)
            if self._flight(name) is None:
                flight = self._new_flight()
                flight.waiting = 1  # the cache itself: nobody else waits for it
                self._start(name, flight, self._refresh(request, raw))
        return value

    def _is_due(self, header: envelope.Header) -> bool:
        """Return whether to load again: it is stale, or soon will be and chance picks this caller.

        The chance rises with the cost of the load and with nearness to the end (Vattani and
        others, "Optimal Probabilistic Cache Stampede Prevention", VLDB 2015).
        """
        if header.fresh_until is None:
            return False
        ahead = -header.cost * self._options.early * math.log(1 - random.random())  # noqa: S311
        return self._clock() + ahead >= header.fresh_until

    async def _fly(
        self,
        request: LoadRequest[T],
        raw: bytes | None,
        versions: dict[str, bytes | None],
        *,
        shared: bool,
    ) -> bytes | None:
        """Load over what was seen, or under the lock that was; None if somebody else came first."""
        lock_and_load = self._share_and_load if shared else self._lock_and_load
        if not self._tasks:
            return await lock_and_load(request, raw, versions, None)
        flight = self._new_flight()
        self._start(request.name, flight, lock_and_load(request, raw, versions, flight))
        return await self._join(request.name, flight, until=None)

    async def _share_and_load(
        self,
        request: LoadRequest[T],
        lock: bytes | None,
        versions: dict[str, bytes | None],
        flight: _Flight | None,
    ) -> bytes | None:
        """Load under another's *lock*: what makes that load void takes the lock away, too."""
        assert lock is not None
        fence = envelope.fence_of(lock)
        if flight is not None:
            flight.fence = fence
            flight.began = next(self._calls)
        try:
            tags = await tag_validation.completed_versions(self._driver, versions)
        except StorageError as error:
            _log.warning("%r is loaded without versions of its tags: %s", request.key, error)
            tags, fence = {}, envelope.new_version()  # which is nowhere: nothing is stored over it
        async with self._leases.kept((request.name,), lock, envelope.fence_of(lock)):
            return await self._load(request, fence, tags)

    async def _lock_and_load(
        self,
        request: LoadRequest[T],
        raw: bytes | None,
        versions: dict[str, bytes | None],
        flight: _Flight | None,
    ) -> bytes | None:
        over = None if raw is None else envelope.fence_of(raw)
        lock = b""
        try:
            tags = await tag_validation.completed_versions(self._driver, versions)
            lock = envelope.load_lock(tags)
            fence = envelope.fence_of(lock)
            if flight is not None:
                flight.fence = fence
            if not await self._locked(request.name, lock, over):
                return None
        except StorageError as error:
            _log.warning("%r is loaded without a load lock: %s", request.key, error)
            tags, fence = {}, envelope.new_version()  # which is nowhere: nothing is stored over it
            lock = b""
        if flight is not None:
            flight.began = next(self._calls)
        names = (request.name,) if lock else ()
        try:
            async with self._leases.kept(names, lock, fence):
                return await self._load(request, fence, tags)
        except BaseException:
            await swap_one(self._driver, request.name, None, over=fence)
            raise

    async def _locked(self, name: str, lock: bytes, over: bytes | None) -> bool:
        """Put *lock* in place of what was seen; cancelled or refused, it leaves none there."""
        try:
            return await swap_one(self._driver, name, lock, over=over, ttl=self._lock_ttl)
        except BaseException:
            await swap_one(self._driver, name, None, over=envelope.fence_of(lock))
            raise

    async def _refresh(self, request: LoadRequest[T], raw: bytes) -> bytes | None:
        """Load again over an entry that is served meanwhile; None when it fails, or another does.

        A failed one is not tried again until the load lock of its attempt has ended.
        """
        name, mine = refresh_name_of(request.name), envelope.new_version()
        if not await swap_one(self._driver, name, mine, over=None, ttl=self._lock_ttl):
            return None
        try:
            tags = await tag_validation.current_versions(self._driver, request.tags)
            async with self._leases.kept((name,), mine, mine):
                payload = await self._load(request, envelope.fence_of(raw), tags)
        except Exception:  # noqa: BLE001 - whatever the load raises, there is a value to serve
            _log.warning(
                "loading %r again failed; the stale value stays", request.key, exc_info=True
            )
            return None
        await swap_one(self._driver, name, None, over=mine)
        return payload

    async def _load(self, request: LoadRequest[T], fence: bytes, tags: dict[str, bytes]) -> bytes:
        """Load, and store over *fence*; the value counts for the caller even when that fails."""
        self._counters.loads += 1
        start = self._clock()
        mark = _loads.set((self._here(), (*self._above(), (self, request.name))))
        try:
            value = await call_async(request.load)
        except BaseException:
            self._counters.failed_loads += 1
            raise
        finally:
            _loads.reset(mark)
        payload = request.codec.encode(request.key, value)
        now = self._clock()
        self._counters.load_seconds += max(0.0, now - start)
        ttl, stale = request.ttl, request.stale
        if value is None and self._options.negative_ttl:
            ttl, stale = math.ceil(self._options.negative_ttl * 1000), 0
        fresh_until = None if ttl is None else now + ttl / 1000
        content = envelope.sealed(
            payload, envelope.Header(fresh_until, max(0.0, now - start), tags)
        )
        life = None if ttl is None else ttl + stale
        try:
            stored = await swap_one(self._driver, request.name, content, over=fence, ttl=life)
        except StorageError as error:
            _log.warning("%r was loaded and not stored: %s", request.key, error)
            stored = False
        self._counters.void_loads += not stored
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
            task.exception()  # seen: the callers who waited got it

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
                self._forget(name, flight)  # the next caller starts another
                flight.task.cancel()
