"""The blocking twin of `holdfast.cache`: the same names, without ``await``."""

from __future__ import annotations

import functools
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Generic, ParamSpec, TypeVar, cast, overload

from holdfast.blocking import BlockingTwin, blocking, documented_by, run
from holdfast.cache.cache import Cache as AsyncCache
from holdfast.cache.cache_lock import HeldLock as AsyncHeldLock
from holdfast.cache.cache_url import parse_cache_url
from holdfast.cache.cached_function import call_keys, result_type
from holdfast.cache.cached_repository import CachedRepository as AsyncCachedRepository
from holdfast.cache.connect import (
    LAST_TRY,
    fallback_driver,
    memory_cache,
    running_cache,
    try_last,
)
from holdfast.cache.entry_name import TTL, entry_tags, milliseconds
from holdfast.cache.load_callbacks import call_blocking, not_callable
from holdfast.cache.notifier import unopened_notifier
from holdfast.cache.options import CacheOptions
from holdfast.cache.outage.reconnect import ReconnectThread
from holdfast.cache.outbox import Outbox as AsyncOutbox
from holdfast.clock import sleep_thread
from holdfast.opening import BlockingOpening
from holdfast.records import sync

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from holdfast.cache.cache_url import CacheURL
    from holdfast.cache.driver import CacheCapability
    from holdfast.cache.drivers.redis.redis_notifier import RedisNotifier
    from holdfast.stats import Stats

__all__ = [
    "Cache",
    "CacheOptions",
    "CachedRepository",
    "HeldLock",
    "Outbox",
    "open_cache",
    "open_notifier",
]

T = TypeVar("T")
D = TypeVar("D")
U = TypeVar("U")
E = TypeVar("E")
P = ParamSpec("P")
R = TypeVar("R")


def open_cache(url: str, *, options: CacheOptions | None = None) -> BlockingOpening[Cache[object]]:
    """Return a context manager that opens the cache at *url*, blocking.

    URLs, options and errors are those of `holdfast.cache.open_cache`. A store that is away is
    tried again now and then, by a thread that lives only so long.
    """
    return BlockingOpening(_opened(parse_cache_url(url, options)), "cache")


def open_notifier(
    url: str, *, options: CacheOptions | None = None
) -> BlockingOpening[RedisNotifier]:
    """Return a context manager that opens a notifier for a blocking store.

    See `holdfast.cache.open_notifier`. A blocking store tells others, and hears nothing itself.
    """
    return BlockingOpening(_notifier(unopened_notifier(url, options, blocking=True)), "notifier")


@contextmanager
def _notifier(notifier: RedisNotifier) -> Iterator[RedisNotifier]:
    try:
        yield notifier
    finally:
        notifier.close()


@contextmanager
def _opened(url: CacheURL) -> Iterator[Cache[object]]:
    if url.scheme == "memory":
        with _entered(memory_cache(url.options, sleep_thread, tasks=False)) as opened:
            yield Cache(opened)
        return

    def on_loss() -> None:
        reconnecting.start()

    def due() -> bool:  # a call leaves the attempts to the thread, and does not wait for them
        reconnecting.start()
        return False

    driver = fallback_driver(url, blocking=True, on_loss=on_loss, due=due)
    reconnecting = ReconnectThread(driver.recover, lambda: driver.down)
    try:
        if not run(driver.recover()):
            reconnecting.start()
        running = running_cache(driver, url.options, sleep_thread, tasks=False, monitor=driver)
        try:
            with _entered(running) as opened:
                yield Cache(opened)
        finally:
            reconnecting.stop(LAST_TRY)
            if driver.gauges()["pending"]:
                run(try_last(driver, nullcontext()))
    finally:
        run(driver.close())


@contextmanager
def _entered(
    manager: AbstractAsyncContextManager[AsyncCache[object]],
) -> Iterator[AsyncCache[object]]:
    entered = run(manager.__aenter__())
    try:
        yield entered
    except BaseException as error:
        if not run(manager.__aexit__(type(error), error, error.__traceback__)):
            raise
    else:
        run(manager.__aexit__(None, None, None))


@contextmanager
def _entered_lock(manager: AbstractAsyncContextManager[AsyncHeldLock]) -> Iterator[AsyncHeldLock]:
    held = run(manager.__aenter__())
    try:
        yield held
    finally:
        run(manager.__aexit__(None, None, None))


class HeldLock(BlockingTwin[AsyncHeldLock]):
    """`holdfast.cache.HeldLock` for code that blocks."""

    def __init__(self, asynchronous: AsyncHeldLock) -> None:
        self.asynchronous = asynchronous
        self.name = asynchronous.name
        self.number = asynchronous.number

    renew = blocking(AsyncHeldLock.renew)
    release = blocking(AsyncHeldLock.release)


class Cache(BlockingTwin[AsyncCache[T]], Generic[T]):
    """`holdfast.cache.Cache` for code that blocks: every promise is the same.

    Safe to use from many threads at once. What is loaded is loaded in the thread that asks, also
    again when it is stale. The attribute `asynchronous` is the async cache over the same blocking
    I/O, for coroutines that are stepped without an event loop.
    """

    def __init__(self, asynchronous: AsyncCache[T]) -> None:
        self.asynchronous = asynchronous

    @documented_by(AsyncCache.typed)
    def typed(self, kind: type[U]) -> Cache[U]:
        return Cache(self.asynchronous.typed(kind))

    @property
    def namespace(self) -> str:
        """What keeps its names apart from those of other caches: the option *prefix*."""
        return self.asynchronous.namespace

    @property
    def backend(self) -> str:
        """The name of the backend, as errors and metrics say it."""
        return self.asynchronous.backend

    @property
    def capabilities(self) -> frozenset[CacheCapability]:
        """What its backend can do that others can't."""
        return self.asynchronous.capabilities

    health = blocking(AsyncCache[T].health)

    @documented_by(AsyncCache.stats)
    def stats(self) -> Stats:
        return self.asynchronous.stats()

    @overload
    def get(self, key: str) -> T | None: ...
    @overload
    def get(self, key: str, default: D) -> T | D | None: ...
    @documented_by(AsyncCache.get)
    def get(self, key: str, default: object = None) -> object:
        return run(self.asynchronous.get(key, default))

    get_many = blocking(AsyncCache[T].get_many)
    set = blocking(AsyncCache[T].set)
    set_many = blocking(AsyncCache[T].set_many)
    add = blocking(AsyncCache[T].add)
    delete = blocking(AsyncCache[T].delete)
    increment = blocking(AsyncCache[T].increment)
    expire = blocking(AsyncCache[T].expire)
    ttl = blocking(AsyncCache[T].ttl)
    keys = blocking(AsyncCache[T].keys)
    invalidate = blocking(AsyncCache[T].invalidate)

    def get_or_set(
        self,
        key: str,
        load: Callable[[], T],
        *,
        ttl: TTL | None = None,
        stale: TTL = 0.0,
        tags: Iterable[str] = (),
    ) -> T:
        """Return the value of *key*; when there is none, what *load* returns, stored for *ttl*.

        *load* is a function that blocks; it runs in the thread that calls, which holds the load
        lock meanwhile. Other threads and processes wait for it, up to the option load_timeout. For
        *stale* seconds after its end one caller loads the value again, and the others are given
        the old one. Raises what *load* raises; everything else is as in
        `holdfast.cache.Cache.get_or_set`.
        """
        if not callable(load):
            raise not_callable(load)

        async def loading() -> T:
            return call_blocking(load)

        return run(self.asynchronous.get_or_set(key, loading, ttl=ttl, stale=stale, tags=tags))

    take_token = blocking(AsyncCache[T].take_token)

    @contextmanager
    @documented_by(AsyncCache.lock)
    def lock(self, name: str, *, ttl: TTL = 30.0, wait: TTL = 10.0) -> Iterator[HeldLock]:
        with _entered_lock(self.asynchronous.lock(name, ttl=ttl, wait=wait)) as held:
            yield HeldLock(held)

    def cached(
        self,
        *,
        ttl: TTL | None = None,
        stale: TTL = 0.0,
        tags: Iterable[str] = (),
        key: Callable[P, str] | None = None,
    ) -> Callable[[Callable[P, R]], Callable[P, R]]:
        """Return a decorator that caches what a function that blocks returns.

        Everything else is as in `holdfast.cache.Cache.cached`.
        """
        names = tuple(tags)

        def decorate(function: Callable[P, R]) -> Callable[P, R]:
            keys = call_keys(function, key)
            cache = self.typed(result_type(function))

            @functools.wraps(function)
            def call(*args: P.args, **kwargs: P.kwargs) -> R:
                found = cache.get_or_set(
                    keys.key(*args, **kwargs),
                    lambda: function(*args, **kwargs),
                    ttl=ttl,
                    stale=stale,
                    tags=names,
                )
                return cast("R", found)

            return call

        entry_tags(names)
        milliseconds("ttl", ttl)
        return decorate

    def get_or_set_many(
        self,
        keys: Iterable[str],
        load: Callable[[Sequence[str]], Mapping[str, T]],
        *,
        ttl: TTL | None = None,
        tags: Iterable[str] = (),
    ) -> dict[str, T | None]:
        """Return the values of *keys*; *load* is given those that have none, and returns theirs.

        *load* is a function that blocks; everything else is as in
        `holdfast.cache.Cache.get_or_set_many`.
        """
        if not callable(load):
            raise not_callable(load)

        async def loading(missing: Sequence[str]) -> Mapping[str, T]:
            return call_blocking(load, missing)

        return run(self.asynchronous.get_or_set_many(keys, loading, ttl=ttl, tags=tags))


class CachedRepository(sync.Repository[E]):
    """`holdfast.cache.CachedRepository` for code that blocks, over a blocking repository."""

    def __init__(
        self,
        repository: sync.Repository[E],
        cache: Cache[object],
        *,
        ttl: float = 300.0,
        write_through: bool = False,
        recorded: bool = False,
    ) -> None:
        self.repository = repository
        self.asynchronous: AsyncCachedRepository[E] = AsyncCachedRepository(  # pyright: ignore[reportIncompatibleVariableOverride]  # set once
            repository.asynchronous,
            cache.asynchronous,
            ttl=ttl,
            write_through=write_through,
            recorded=recorded,
        )

    def warm(self, keys: Iterable[object], *, batch: int = 200) -> int:
        """Put the entities under *keys* into the cache; return how many keys there were.

        They are read *batch* at a time; see `holdfast.cache.CachedRepository.warm`.
        """
        return run(self.asynchronous.warm(keys, batch=batch))

    @documented_by(AsyncCachedRepository.forget)
    def forget(self, keys: Iterable[object] | None = None) -> None:
        run(self.asynchronous.forget(keys))


class Outbox(BlockingTwin[AsyncOutbox]):
    """`holdfast.cache.Outbox` for code that blocks: call `drain` now and then."""

    def __init__(self, store: sync.Store, cache: Cache[object], *, batch: int = 500) -> None:
        self.asynchronous = AsyncOutbox(store.asynchronous, cache.asynchronous, batch=batch)

    drain = blocking(AsyncOutbox.drain)
