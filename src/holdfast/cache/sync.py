"""The blocking twin of `holdfast.cache`: the same names, without ``await``."""

from __future__ import annotations

import logging
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Generic, TypeVar, overload

from holdfast.blocking import run
from holdfast.cache.calls import check_load, given
from holdfast.cache.health import Statistics
from holdfast.cache.opening import (
    FAREWELL,
    fallback_driver,
    memory_cache,
    running_cache,
    say_farewell,
    wait_here,
)
from holdfast.cache.options import CacheOptions
from holdfast.cache.place import place_of
from holdfast.cache.returning import Returning
from holdfast.cache.syncrepository import CachedRepository, Relay
from holdfast.opening import BlockingOpening

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager, AbstractContextManager

    from holdfast.cache import cache
    from holdfast.cache.driver import Outcome
    from holdfast.cache.health import Health
    from holdfast.cache.place import Place

__all__ = ["Cache", "CacheOptions", "CachedRepository", "Relay", "open_cache"]

T = TypeVar("T")
D = TypeVar("D")
U = TypeVar("U")

_log = logging.getLogger("holdfast.cache")


def open_cache(
    url: str, *, options: CacheOptions | None = None
) -> AbstractContextManager[Cache[object]]:
    """Return a context manager that opens the cache at *url*, as `holdfast.cache` does.

    A store that is away is tried again now and then, by a thread that lives only so long.
    """
    return BlockingOpening(_opened(place_of(url, options or CacheOptions())), "cache")


@contextmanager
def _opened(place: Place) -> Iterator[Cache[object]]:
    if place.scheme == "memory":
        with _entered(memory_cache(place.options, wait_here, tasks=False)) as opened:
            yield Cache(opened)
        return
    statistics = Statistics()

    def away() -> None:
        returning.begin()

    def due() -> bool:  # a call leaves the attempts to the thread, and does not wait for them
        returning.begin()
        return False

    driver = fallback_driver(place, statistics, blocking=True, lost=away, due=due)
    returning = Returning(driver.recover, lambda: driver.down)
    try:
        if not run(driver.recover()):
            returning.begin()
        running = running_cache(driver, place.options, wait_here, tasks=False, counted=statistics)
        try:
            with _entered(running) as opened:
                yield Cache(opened)
        finally:
            returning.end(FAREWELL)
            if driver.health().pending:
                run(say_farewell(driver, nullcontext()))
    finally:
        run(driver.close())


@contextmanager
def _entered(
    manager: AbstractAsyncContextManager[cache.Cache[object]],
) -> Iterator[cache.Cache[object]]:
    entered = run(manager.__aenter__())
    try:
        yield entered
    except BaseException as error:
        if not run(manager.__aexit__(type(error), error, error.__traceback__)):
            raise
    else:
        run(manager.__aexit__(None, None, None))


class Cache(Generic[T]):
    """`holdfast.cache.Cache` for code that blocks: every promise is the same.

    Safe to use from many threads at once. What is loaded is loaded in the thread that asks, also
    anew when it is stale.
    """

    def __init__(self, opened: cache.Cache[T]) -> None:
        self.asynchronous = opened
        """The async API over the same blocking I/O, for coroutines that are stepped by hand."""

    def typed(self, kind: type[U]) -> Cache[U]:
        return Cache(self.asynchronous.typed(kind))

    @property
    def namespace(self) -> str:
        return self.asynchronous.namespace

    @property
    def statistics(self) -> Statistics:
        return self.asynchronous.statistics

    def health(self) -> Health:
        return self.asynchronous.health()

    @overload
    def get(self, key: str) -> T | None: ...
    @overload
    def get(self, key: str, default: D) -> T | D | None: ...
    def get(self, key: str, default: object = None) -> object:
        return run(self.asynchronous.get(key, default))

    def get_many(self, keys: Iterable[str]) -> dict[str, T | None]:
        return run(self.asynchronous.get_many(keys))

    def set(
        self, key: str, value: T, *, ttl: float | None = None, tags: Iterable[str] = ()
    ) -> Outcome:
        return run(self.asynchronous.set(key, value, ttl=ttl, tags=tags))

    def set_many(
        self, values: Mapping[str, T], *, ttl: float | None = None, tags: Iterable[str] = ()
    ) -> Outcome:
        return run(self.asynchronous.set_many(values, ttl=ttl, tags=tags))

    def add(self, key: str, value: T, *, ttl: float | None = None) -> bool:
        return run(self.asynchronous.add(key, value, ttl=ttl))

    def delete(self, key: str) -> Outcome:
        return run(self.asynchronous.delete(key))

    def increment(self, key: str, by: int = 1, *, ttl: float | None = None) -> int:
        return run(self.asynchronous.increment(key, by, ttl=ttl))

    def expire(self, key: str, ttl: float | None) -> bool:
        return run(self.asynchronous.expire(key, ttl))

    def ttl(self, key: str) -> float | None:
        return run(self.asynchronous.ttl(key))

    def keys(self, pattern: str = "*") -> list[str]:
        return run(self.asynchronous.keys(pattern))

    def invalidate(
        self, *, keys: Iterable[str] = (), tags: Iterable[str] = (), pattern: str | None = None
    ) -> Outcome:
        return run(self.asynchronous.invalidate(keys=keys, tags=tags, pattern=pattern))

    def get_or_set(
        self,
        key: str,
        load: Callable[[], T],
        *,
        ttl: float | None = None,
        stale: float = 0.0,
        tags: Iterable[str] = (),
    ) -> T:
        check_load(load)

        async def loading() -> T:
            return given(load)

        return run(self.asynchronous.get_or_set(key, loading, ttl=ttl, stale=stale, tags=tags))

    def get_or_set_many(
        self,
        keys: Iterable[str],
        load: Callable[[Sequence[str]], Mapping[str, T]],
        *,
        ttl: float | None = None,
        tags: Iterable[str] = (),
    ) -> dict[str, T | None]:
        check_load(load)

        async def loading(missing: Sequence[str]) -> Mapping[str, T]:
            return given(load, missing)

        return run(self.asynchronous.get_or_set_many(keys, loading, ttl=ttl, tags=tags))
