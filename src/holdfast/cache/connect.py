"""Opens caches: from a URL to a cache that runs."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from holdfast.cache.cache import Cache
from holdfast.cache.cache_url import parse_cache_url
from holdfast.cache.codec import codec_of
from holdfast.cache.drivers.memory import MemoryCacheDriver
from holdfast.cache.loader import Loader
from holdfast.cache.monitor import CacheCounters, LocalMonitor
from holdfast.cache.outage.driver import FallbackDriver
from holdfast.cache.outage.reconnect import FIRST_PAUSE, LONGEST_PAUSE
from holdfast.cache.outage.store_connection import OutageHooks
from holdfast.cache.traced_driver import traced
from holdfast.clock import sleep_thread, utc_now
from holdfast.errors import ConfigurationError, HoldfastError
from holdfast.extras import needs_extra
from holdfast.offload import TaskLock, ThreadLock
from holdfast.opening import Opening

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from holdfast.cache.cache_url import CacheURL
    from holdfast.cache.driver import CacheDriver
    from holdfast.cache.monitor import CacheMonitor
    from holdfast.cache.options import CacheOptions
    from holdfast.offload import Lock

_log = logging.getLogger("holdfast.cache")

LAST_TRY = 1.0  # seconds that closing spends on invalidations that wait


def open_cache(url: str, *, options: CacheOptions | None = None) -> Opening[Cache[object]]:
    """Return a context manager that opens the cache at *url*.

    ``memory://`` is a new cache in this process. ``redis://[user:password@]host[:port][/database]``
    is a Redis or Valkey server, ``rediss://`` the same over TLS,
    ``redis+sentinel://host:port,host:port/name[/database]`` the primary that Sentinels call *name*,
    ``redis+cluster://host:port,host:port`` a Redis Cluster. A parameter of the URL's query wins
    over the option of the same name. A server that is away does not keep the cache from opening:
    see `Cache.health`.

    Raises ConfigurationError for a URL or options that mean nothing; on entry for a server that
    refuses the login or whose certificate is not trusted.
    """
    return Opening(_opened(parse_cache_url(url, options)), "cache")


@asynccontextmanager
async def _opened(url: CacheURL) -> AsyncIterator[Cache[object]]:
    if url.scheme == "memory":
        async with memory_cache(url.options, asyncio.sleep, tasks=True) as cache:
            yield cache
        return
    lost = asyncio.Event()
    driver = fallback_driver(url, blocking=False, on_loss=lost.set, due=_due_in_child())
    try:
        if not await driver.recover():
            lost.set()
        reconnecting = asyncio.get_running_loop().create_task(_reconnect(driver, lost))
        try:
            async with running_cache(
                driver, url.options, asyncio.sleep, tasks=True, monitor=driver
            ) as cache:
                yield cache
        finally:
            reconnecting.cancel()
            await asyncio.gather(reconnecting, return_exceptions=True)
            if driver.gauges()["pending"]:
                await try_last(driver, asyncio.timeout(LAST_TRY))
    finally:
        await driver.close()


async def try_last(driver: FallbackDriver, within: AbstractAsyncContextManager[object]) -> None:
    """Carry out what waits for the store, if that can be done now, inside of *within*."""
    try:
        async with within:
            await driver.recover()
    except (TimeoutError, HoldfastError):
        _log.debug("the store can't be reached at the close", exc_info=True)
    if driver.gauges()["pending"]:
        _log.warning("closed with invalidations that the store never heard of")


async def _reconnect(driver: FallbackDriver, lost: asyncio.Event) -> None:
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
    """Run a new cache in memory; *pause* waits for so many seconds."""
    driver = MemoryCacheDriver(max_entries=options.max_entries, max_bytes=options.max_bytes)
    try:
        async with running_cache(driver, options, pause, tasks=tasks) as cache:
            yield cache
    finally:
        driver.close()


@asynccontextmanager
async def running_cache(
    driver: CacheDriver,
    options: CacheOptions,
    pause: Callable[[float], Awaitable[None]],
    *,
    tasks: bool,
    monitor: CacheMonitor | None = None,
) -> AsyncIterator[Cache[object]]:
    """Run a cache over *driver*; the loads under way end with it."""
    if monitor is None:
        monitor = LocalMonitor(driver, time.time())
    driver = traced(driver)
    loader = Loader(driver, options, monitor.counters, clock=time.time, pause=pause, tasks=tasks)
    try:
        yield Cache(driver, loader, monitor, codec_of(object), namespace=options.prefix)
    finally:
        await loader.close()


def fallback_driver(
    url: CacheURL, *, blocking: bool, on_loss: Callable[[], None], due: Callable[[], bool]
) -> FallbackDriver:
    """Return the driver of the servers at *url*, not connected yet. Raises ConfigurationError."""
    with needs_extra("redis", "a cache in Redis"):
        from holdfast.cache.drivers.redis.connect import (  # noqa: PLC0415 - an extra
            redis_driver,
        )
    counters = CacheCounters()
    pause = sleep_thread if blocking else asyncio.sleep
    remote = redis_driver(url, counters, blocking=blocking, pause=pause)
    longest = 10 * url.options.timeout  # what connecting again may take, about

    def lock() -> Lock:
        return ThreadLock(longest) if blocking else TaskLock(longest)

    hooks = OutageHooks(now=utc_now, on_loss=on_loss, due=due, lock=lock)
    return FallbackDriver(remote, url.options, counters, hooks)


def _due_in_child() -> Callable[[], bool]:
    """Return what tells the child of a fork to try a store that is away, once a second.

    The task that does it is the parent's alone.
    """
    process, earliest = os.getpid(), 0.0

    def due() -> bool:
        nonlocal earliest
        if os.getpid() == process or time.monotonic() < earliest:
            return False
        earliest = time.monotonic() + LONGEST_PAUSE
        return True

    return due
