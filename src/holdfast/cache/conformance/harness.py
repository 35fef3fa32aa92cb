"""What a backend gives to the suite, and the blocking cache in the clothes of the async one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from holdfast.blocking import run
from holdfast.cache.cache import Cache

if TYPE_CHECKING:
    from collections.abc import (
        AsyncIterator,
        Awaitable,
        Callable,
        Coroutine,
        Iterable,
        Mapping,
        Sequence,
    )
    from contextlib import AbstractContextManager

    from holdfast.cache import sync
    from holdfast.cache.driver import Outcome
    from holdfast.cache.health import Health, Statistics

T = TypeVar("T")
U = TypeVar("U")


class CacheHarness(ABC):
    """One empty namespace, that can be opened once at a time."""

    @abstractmethod
    def open(self) -> AbstractAsyncContextManager[Cache[object]]:
        """Return what opens it as an async cache."""

    @abstractmethod
    def open_blocking(self) -> AbstractContextManager[sync.Cache[object]]:
        """Return what opens it as a blocking cache."""


@asynccontextmanager
async def blocking_cache(harness: CacheHarness) -> AsyncIterator[Cache[object]]:
    """Open the harness's blocking cache, so that a case written once runs on it too."""
    with harness.open_blocking() as cache:
        yield _BlockingCache(cache)


class _BlockingCache(Cache[T]):
    def __init__(self, cache: sync.Cache[T]) -> None:
        self._blocking = cache

    def typed(self, kind: type[U]) -> Cache[U]:
        return _BlockingCache(self._blocking.typed(kind))

    @property
    def namespace(self) -> str:
        return self._blocking.namespace

    @property
    def statistics(self) -> Statistics:
        return self._blocking.statistics

    def health(self) -> Health:
        return self._blocking.health()

    async def get(self, key: str, default: object = None) -> Any:
        return self._blocking.get(key, default)

    async def get_many(self, keys: Iterable[str]) -> dict[str, T | None]:
        return self._blocking.get_many(keys)

    async def set(
        self, key: str, value: T, *, ttl: float | None = None, tags: Iterable[str] = ()
    ) -> Outcome:
        return self._blocking.set(key, value, ttl=ttl, tags=tags)

    async def set_many(
        self, values: Mapping[str, T], *, ttl: float | None = None, tags: Iterable[str] = ()
    ) -> Outcome:
        return self._blocking.set_many(values, ttl=ttl, tags=tags)

    async def add(self, key: str, value: T, *, ttl: float | None = None) -> bool:
        return self._blocking.add(key, value, ttl=ttl)

    async def delete(self, key: str) -> Outcome:
        return self._blocking.delete(key)

    async def increment(self, key: str, by: int = 1, *, ttl: float | None = None) -> int:
        return self._blocking.increment(key, by, ttl=ttl)

    async def expire(self, key: str, ttl: float | None) -> bool:
        return self._blocking.expire(key, ttl)

    async def ttl(self, key: str) -> float | None:
        return self._blocking.ttl(key)

    async def keys(self, pattern: str = "*") -> list[str]:
        return self._blocking.keys(pattern)

    async def invalidate(
        self, *, keys: Iterable[str] = (), tags: Iterable[str] = (), pattern: str | None = None
    ) -> Outcome:
        return self._blocking.invalidate(keys=keys, tags=tags, pattern=pattern)

    async def get_or_set(
        self,
        key: str,
        load: Callable[[], Awaitable[T]],
        *,
        ttl: float | None = None,
        stale: float = 0.0,
        tags: Iterable[str] = (),
    ) -> T:
        async def loading() -> T:
            return await load()

        def stepped() -> T:
            coroutine: Coroutine[object, None, T] = loading()
            return run(coroutine)

        return self._blocking.get_or_set(key, stepped, ttl=ttl, stale=stale, tags=tags)

    async def get_or_set_many(
        self,
        keys: Iterable[str],
        load: Callable[[Sequence[str]], Awaitable[Mapping[str, T]]],
        *,
        ttl: float | None = None,
        tags: Iterable[str] = (),
    ) -> dict[str, T | None]:
        async def loading(missing: Sequence[str]) -> Mapping[str, T]:
            return await load(missing)

        return self._blocking.get_or_set_many(
            keys, lambda missing: run(loading(missing)), ttl=ttl, tags=tags
        )
