"""Loads many missing values in one call, with a load lock for each.

Every missing name gets a load lock first, all in one step; what was loaded is stored over the
locks that are still there. A name that somebody else is loading is loaded too, and not stored.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from holdfast.cache import envelope, tag_validation
from holdfast.cache.codec import Unreadable
from holdfast.cache.driver import Swap
from holdfast.cache.load_callbacks import call_async, check_mapping
from holdfast.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from holdfast.cache.codec import Codec
    from holdfast.cache.driver import CacheDriver
    from holdfast.cache.load_leases import LoadLeases
    from holdfast.cache.monitor import CacheCounters
    from holdfast.cache.options import CacheOptions

T = TypeVar("T")

_log = logging.getLogger("holdfast.cache")


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRequest(Generic[T]):
    """Values to find or load; *names* are the driver's names by key. *ttl* is in milliseconds."""

    names: Mapping[str, str]
    load: Callable[[Sequence[str]], Awaitable[Mapping[str, T]]]
    codec: Codec[T]
    ttl: int | None
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BatchLoader:
    """Finds or loads many values for one cache."""

    driver: CacheDriver
    options: CacheOptions
    counters: CacheCounters
    leases: LoadLeases
    clock: Callable[[], float]

    async def find_or_load(self, batch: BatchRequest[T]) -> dict[str, T | None]:
        """Return what is there of *batch*, and what its load gives of the rest, now stored.

        Raises what the load raises.
        """
        names = batch.names
        raws = dict(zip(names, await self.driver.get_many([*names.values()]), strict=True))
        payloads = await tag_validation.valid_payloads(self.driver, [*raws.values()])
        found: dict[str, T | None] = {}
        for key, payload in zip(names, payloads, strict=True):
            if payload is not None:
                try:
                    found[key] = batch.codec.decode(payload)
                except Unreadable:
                    self.counters.unreadable += 1
        missing = {key: raws[key] for key in names if key not in found}
        self.counters.hits += len(found)
        self.counters.misses += len(missing)
        if missing:
            loaded = await self._load(batch, missing)
            found.update(loaded)
        return {key: found[key] for key in names if key in found}

    async def _load(
        self, batch: BatchRequest[T], missing: Mapping[str, bytes | None]
    ) -> dict[str, T | None]:
        tags, fence, lock = await self._lock(batch, missing)
        locked = [batch.names[key] for key in missing] if lock else []
        self.counters.loads += 1
        start = self.clock()
        try:
            async with self.leases.kept(locked, lock, fence):
                values = await call_async(batch.load, tuple(missing))
            check_mapping("load", values)
            given = {key: values[key] for key in missing if key in values}
            payloads = {key: batch.codec.encode(key, value) for key, value in given.items()}
        except BaseException:
            self.counters.failed_loads += 1
            await self._give_back(batch, missing, fence)
            raise
        took = max(0.0, self.clock() - start)
        self.counters.load_seconds += took
        cost = took / len(missing)
        lives: dict[int | None, list[Swap]] = {}
        for key, payload in payloads.items():
            life = batch.ttl
            if given[key] is None and self.options.negative_ttl:
                life = math.ceil(self.options.negative_ttl * 1000)
            fresh_until = None if life is None else self.clock() + life / 1000
            content = envelope.sealed(payload, envelope.Header(fresh_until, cost, tags))
            lives.setdefault(life, []).append(Swap(batch.names[key], content, fence))
        stored = sum([await self._store(swaps, life) for life, swaps in lives.items()])
        self.counters.void_loads += len(payloads) - stored
        await self._give_back(batch, missing.keys() - payloads.keys(), fence)
        return {key: batch.codec.decode(payload) for key, payload in payloads.items()}

    async def _lock(
        self, batch: BatchRequest[T], missing: Mapping[str, bytes | None]
    ) -> tuple[dict[str, bytes], bytes, bytes]:
        """Put a load lock in place of every missing name that nobody is loading.

        Returns the versions of the tags, the lock's fence, and the lock, empty when there is none.
        """
        nowhere = fence = envelope.new_version()
        try:
            tags = await tag_validation.current_versions(self.driver, batch.tags)
            lock = envelope.load_lock(tags)
            fence = envelope.fence_of(lock)
            swaps = [
                Swap(batch.names[key], lock, None if raw is None else envelope.fence_of(raw))
                for key, raw in missing.items()
                if raw is None or not envelope.is_load_lock(raw)
            ]
            await self.driver.swap_many(swaps, ttl=math.ceil(self.options.load_timeout * 1000))
        except StorageError as error:
            _log.warning("%d keys are loaded without a load lock: %s", len(missing), error)
            await self._give_back(batch, missing, fence)
            return {}, nowhere, b""  # so nothing is stored over it
        except BaseException:
            await self._give_back(batch, missing, fence)
            raise
        return tags, fence, lock

    async def _store(self, swaps: Sequence[Swap], life: int | None) -> int:
        """Store over the load locks that are still there; return how many were."""
        try:
            return sum(await self.driver.swap_many(swaps, ttl=life))
        except StorageError as error:
            _log.warning("%d values were loaded and not stored: %s", len(swaps), error)
            return 0

    async def _give_back(self, batch: BatchRequest[T], keys: Iterable[str], fence: bytes) -> None:
        swaps = [Swap(batch.names[key], None, fence) for key in keys]
        if swaps:
            await self.driver.swap_many(swaps, ttl=None)
