"""Loading many missing values in one go, under the same fences as one.

Every missing name gets a lease first, all in one step; what was loaded is stored over the leases
that are still there. A name that somebody else is loading is loaded too, and not stored.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from holdfast.cache import calls, entries, entry
from holdfast.cache.codec import Unreadable
from holdfast.cache.driver import Swap
from holdfast.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from holdfast.cache.codec import Coder
    from holdfast.cache.driver import Driver
    from holdfast.cache.health import Statistics
    from holdfast.cache.options import CacheOptions

T = TypeVar("T")

_log = logging.getLogger("holdfast.cache")


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch(Generic[T]):
    """Values to find or load; *names* are the keys' own, by key. *ttl* is in milliseconds."""

    names: Mapping[str, str]
    load: Callable[[Sequence[str]], Awaitable[Mapping[str, T]]]
    codec: Coder[T]
    ttl: int | None
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BatchFiller:
    """Finds or loads many values for one cache."""

    driver: Driver
    options: CacheOptions
    statistics: Statistics
    clock: Callable[[], float]

    async def find_or_load(self, batch: Batch[T]) -> dict[str, T | None]:
        """Return what is there of *batch*, and what its load gives of the rest, now stored."""
        names = batch.names
        raws = dict(zip(names, await self.driver.get_many([*names.values()]), strict=True))
        payloads = await entries.payloads(self.driver, [*raws.values()])
        found: dict[str, T | None] = {}
        for key, payload in zip(names, payloads, strict=True):
            if payload is not None:
                try:
                    found[key] = batch.codec.decode(payload)
                except Unreadable:
                    self.statistics.unreadable += 1
        missing = {key: raws[key] for key in names if key not in found}
        self.statistics.hits += len(found)
        self.statistics.misses += len(missing)
        if missing:
            loaded = await self._load(batch, missing)
            found.update(loaded)
        return {key: found[key] for key in names if key in found}

    async def _load(
        self, batch: Batch[T], missing: Mapping[str, bytes | None]
    ) -> dict[str, T | None]:
        tags, fence = await self._lease(batch, missing)
        self.statistics.loads += 1
        start = self.clock()
        try:
            values = await calls.loaded(batch.load, tuple(missing))
            calls.check_mapping("load", values)
            given = {key: values[key] for key in missing if key in values}
            payloads = {key: batch.codec.encode(key, value) for key, value in given.items()}
        except BaseException:
            self.statistics.failed_loads += 1
            await self._give_back(batch, missing, fence)
            raise
        took = max(0.0, self.clock() - start)
        self.statistics.load_seconds += took
        cost = took / len(missing)
        lives: dict[int | None, list[Swap]] = {}
        for key, payload in payloads.items():
            life = batch.ttl
            if given[key] is None and self.options.negative_ttl:
                life = math.ceil(self.options.negative_ttl * 1000)
            fresh_until = None if life is None else self.clock() + life / 1000
            content = entry.wrapped(payload, entry.Facts(fresh_until, cost, tags))
            lives.setdefault(life, []).append(Swap(batch.names[key], content, fence))
        stored = sum([await self._store(swaps, life) for life, swaps in lives.items()])
        self.statistics.void_fills += len(payloads) - stored
        await self._give_back(batch, missing.keys() - payloads.keys(), fence)
        return {key: batch.codec.decode(payload) for key, payload in payloads.items()}

    async def _lease(
        self, batch: Batch[T], missing: Mapping[str, bytes | None]
    ) -> tuple[dict[str, bytes], bytes]:
        """Put a lease in the place of every missing name that nobody is loading.

        Returns the versions of the tags, and the lease's fence.
        """
        nowhere = fence = entry.version()
        try:
            tags = await entries.current(self.driver, batch.tags)
            lease = entry.lease(tags)
            fence = entry.fence(lease)
            swaps = [
                Swap(batch.names[key], lease, None if raw is None else entry.fence(raw))
                for key, raw in missing.items()
                if raw is None or not entry.is_lease(raw)
            ]
            await self.driver.swap_many(swaps, ttl=math.ceil(self.options.load_timeout * 1000))
        except StorageError as error:
            _log.warning("%d keys are loaded without a lease: %s", len(missing), error)
            await self._give_back(batch, missing, fence)
            return {}, nowhere  # so nothing is stored over it
        except BaseException:
            await self._give_back(batch, missing, fence)
            raise
        return tags, fence

    async def _store(self, swaps: Sequence[Swap], life: int | None) -> int:
        """Store over the leases that are still there; return how many were."""
        try:
            return sum(await self.driver.swap_many(swaps, ttl=life))
        except StorageError as error:
            _log.warning("%d values were loaded and not stored: %s", len(swaps), error)
            return 0

    async def _give_back(self, batch: Batch[T], keys: Iterable[str], fence: bytes) -> None:
        swaps = [Swap(batch.names[key], None, fence) for key in keys]
        if swaps:
            await self.driver.swap_many(swaps, ttl=None)
