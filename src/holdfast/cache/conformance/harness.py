"""What a backend gives to the suite, and the blocking cache with the async one's methods."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, Generic, TypeVar

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
    from holdfast.cache.driver import CacheCapability
    from holdfast.cache.entry_name import TTL
    from holdfast.stats import Stats

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
        yield _AwaitedCache(cache)


class _AwaitedCache(Cache[T], Generic[T]):
    """A blocking cache as an async one: it goes through `holdfast.cache.sync`."""

    def __init__(self, blocking: sync.Cache[T]) -> None:
        self.blocking = blocking

    def typed(self, kind: type[U]) -> Cache[U]:
        return _AwaitedCache(self.blocking.typed(kind))

    @property
    def namespace(self) -> str:
        return self.blocking.namespace

    @property
    def capabilities(self) -> frozenset[CacheCapability]:
        return self.blocking.capabilities

    def stats(self) -> Stats:
        return self.blocking.stats()

    async def get(self, key: str, default: object = None) -> Any:
        return self.blocking.get(key, default)

    async def get_or_set(
        self,
        key: str,
        load: Callable[[], Awaitable[T]],
        *,
        ttl: TTL | None = None,
        stale: TTL = 0.0,
        tags: Iterable[str] = (),
    ) -> T:
        async def loading() -> T:
            return await load()

        return self.blocking.get_or_set(
            key, lambda: run(loading()), ttl=ttl, stale=stale, tags=tags
        )

    async def get_or_set_many(
        self,
        keys: Iterable[str],
        load: Callable[[Sequence[str]], Awaitable[Mapping[str, T]]],
        *,
        ttl: TTL | None = None,
        tags: Iterable[str] = (),
    ) -> dict[str, T | None]:
        async def loading(missing: Sequence[str]) -> Mapping[str, T]:
            return await load(missing)

        return self.blocking.get_or_set_many(
            keys, lambda missing: run(loading(missing)), ttl=ttl, tags=tags
        )


def _awaited(name: str) -> Callable[..., Coroutine[object, None, object]]:
    """Return an async method that calls the blocking method *name*."""

    async def call(self: _AwaitedCache[T], *args: object, **kwargs: object) -> object:
        answer: object = getattr(self.blocking, name)(*args, **kwargs)
        return answer

    return call


for _name in (
    *("health", "get_many", "set", "set_many", "add", "delete"),
    *("increment", "expire", "ttl", "keys", "invalidate"),
):
    setattr(_AwaitedCache, _name, _awaited(_name))
