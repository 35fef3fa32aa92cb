"""From a URL to an open cache."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from holdfast.cache.cache import Cache
from holdfast.cache.codec import codec_of
from holdfast.cache.drivers.memory import MemoryDriver
from holdfast.cache.fallback import FallbackDriver
from holdfast.cache.filling import Filler
from holdfast.cache.health import Health, State, Statistics
from holdfast.cache.options import CacheOptions
from holdfast.cache.place import Place, place_of, redis_driver
from holdfast.cache.returning import FIRST_PAUSE, LONGEST_PAUSE
from holdfast.errors import ConfigurationError, HoldfastError
from holdfast.opening import Opening

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from holdfast.cache.driver import Driver

_log = logging.getLogger("holdfast.cache")

FAREWELL = 1.0  # seconds that closing spends on invalidations that wait


def open_cache(
    url: str, *, options: CacheOptions | None = None
) -> AbstractAsyncContextManager[Cache[object]]:
    """Return a context manager that opens the cache at *url*.

    ``memory://`` is a new cache in this process. ``redis://[user:password@]host[:port][/database]``
    is a Redis or Valkey server, ``rediss://`` the same over TLS,
    ``redis+sentinel://host:port,host:port/name[/database]`` the primary that Sentinels call *name*,
    ``redis+cluster://host:port,host:port`` a Redis Cluster.
    What *options* sets may be a query parameter of the same name. A server that is away does not
    keep the cache from opening: see `Cache.health`. Raises ConfigurationError for what can't be
    opened, on entry also for a server that refuses the login or whose certificate is not trusted.
    """
    place = place_of(url, options or CacheOptions())
    return Opening(_opened(place), "cache")


@asynccontextmanager
async def _opened(place: Place) -> AsyncIterator[Cache[object]]:
    if place.scheme == "memory":
        async with memory_cache(place.options, asyncio.sleep, tasks=True) as cache:
            yield cache
        return
    lost = asyncio.Event()
    statistics = Statistics()
    driver = fallback_driver(place, statistics, blocking=False, lost=lost.set, due=lambda: False)
    try:
        if not await driver.recover():
            lost.set()
        returning = asyncio.get_running_loop().create_task(_return(driver, lost))
        try:
            async with running_cache(
                driver, place.options, asyncio.sleep, tasks=True, counted=statistics
            ) as cache:
                yield cache
        finally:
            returning.cancel()
            await asyncio.gather(returning, return_exceptions=True)
            if driver.health().pending:
                await say_farewell(driver, asyncio.timeout(FAREWELL))
    finally:
        await driver.close()


async def say_farewell(driver: FallbackDriver, within: AbstractAsyncContextManager[object]) -> None:
    """Carry out what waits, if that can be done now, *within* which it is done."""
    try:
        async with within:
            await driver.recover()
    except (TimeoutError, HoldfastError):
        _log.debug("the store can't be reached at the close", exc_info=True)
    if driver.health().pending:
        _log.warning("closed with invalidations that the store never heard of")


async def _return(driver: FallbackDriver, lost: asyncio.Event) -> None:
    """Bring the store back into use whenever it was lost."""
    while True:
        await lost.wait()
        lost.clear()
        pause = FIRST_PAUSE
        while True:
            try:
                if await driver.recover():
                    break
            except ConfigurationError:  # somebody may mend the server's users while we run
                _log.exception("the cache's store refuses")
                pause = LONGEST_PAUSE
            except Exception:  # noqa: BLE001 - a bug, to be seen; the cache goes on meanwhile
                _log.exception("the cache can't go back to its store")
                pause = LONGEST_PAUSE
            await asyncio.sleep(random.uniform(pause / 2, pause))  # noqa: S311
            pause = min(2 * pause, LONGEST_PAUSE)


@asynccontextmanager
async def memory_cache(
    options: CacheOptions, pause: Callable[[float], Awaitable[None]], *, tasks: bool
) -> AsyncIterator[Cache[object]]:
    driver = MemoryDriver(max_entries=options.max_entries, max_bytes=options.max_bytes)
    try:
        async with running_cache(driver, options, pause, tasks=tasks) as cache:
            yield cache
    finally:
        driver.close()


@asynccontextmanager
async def running_cache(
    driver: Driver,
    options: CacheOptions,
    pause: Callable[[float], Awaitable[None]],
    *,
    tasks: bool,
    counted: Statistics | None = None,
) -> AsyncIterator[Cache[object]]:
    """Run a cache over *driver*; the loads under way end with it."""
    opened = Health(State.UP, utc_now())
    health = driver.health if isinstance(driver, FallbackDriver) else lambda: opened
    statistics = Statistics() if counted is None else counted
    filler = Filler(driver, options, statistics, clock=time.time, pause=pause, tasks=tasks)
    try:
        yield Cache(driver, filler, statistics, health, codec_of(object), namespace=options.prefix)
    finally:
        await filler.close()


def fallback_driver(
    place: Place,
    statistics: Statistics,
    *,
    blocking: bool,
    lost: Callable[[], None],
    due: Callable[[], bool],
) -> FallbackDriver:
    """Return the driver of *place*, not connected yet."""
    return FallbackDriver(
        redis_driver(
            place, statistics, blocking=blocking, pause=wait_here if blocking else asyncio.sleep
        ),
        place.options,
        statistics,
        now=utc_now,
        lost=lost,
        due=due,
    )


async def wait_here(seconds: float) -> None:
    """Hold up the thread for *seconds*: for coroutines that are stepped by hand."""
    time.sleep(seconds)  # noqa: ASYNC251 - there is no loop to hold up


def utc_now() -> datetime:
    return datetime.now(UTC)
