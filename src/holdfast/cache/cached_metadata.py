"""The metadata of objects through a cache: what a bucket asks before it asks its store."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from holdfast.cache.entry_name import milliseconds
from holdfast.objects import ObjectInfo

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from holdfast.cache.cache import Cache
    from holdfast.cache.driver import Outcome

_LONGEST = 400  # characters of an object's key that stand in a cache's key as they are


class CachedMetadata:
    """The metadata of the objects in *bucket*, each for *ttl* seconds.

    *ttl* bounds how long an object is described as it was before a write that did not invalidate
    it here. That there is no such object is cached, too.
    """

    def __init__(self, cache: Cache[object], bucket: str, *, ttl: float = 60.0) -> None:
        milliseconds("ttl", ttl)
        self._cache: Cache[ObjectInfo | None] = cache.typed(ObjectInfo)
        self._tag = f"objects:{hashlib.sha256(bucket.encode()).hexdigest()[:32]}"
        self._ttl = ttl

    async def get_or_set(
        self, key: str, load: Callable[[], Awaitable[ObjectInfo | None]]
    ) -> ObjectInfo | None:
        """Return what is known of *key*; when nothing is, what *load* returns, stored.

        An invalidation during the load makes it void: it is returned and not stored.
        """
        return await self._cache.get_or_set(self._name(key), load, ttl=self._ttl, tags=(self._tag,))

    async def invalidate(self, *, keys: Iterable[str]) -> Outcome:
        """Forget what is known of *keys*; see `Cache.invalidate`."""
        return await self._cache.invalidate(keys=[self._name(key) for key in keys])

    async def invalidate_all(self) -> Outcome:
        """Forget what is known of the whole bucket."""
        return await self._cache.invalidate(tags=(self._tag,))

    def _name(self, key: str) -> str:
        text = key if len(key) <= _LONGEST and key.isascii() else None
        if text is None:
            text = f"#{hashlib.sha256(key.encode(errors='surrogatepass')).hexdigest()}"
        return f"{self._tag}:{text}"
