"""Backends that are wrong in one way each; test_suite_catches.py runs the public suite on them.

Not collected by itself: its tests have to fail.
"""

import asyncio
from contextlib import asynccontextmanager, contextmanager

import pytest

from holdfast.cache import CacheOptions
from holdfast.cache.conformance import CacheConformance, CacheHarness
from holdfast.cache.connect import running_cache
from holdfast.cache.driver import Swap
from holdfast.cache.drivers.memory import MemoryCacheDriver
from holdfast.cache.sync import Cache, _entered
from holdfast.clock import sleep_thread

OPTIONS = CacheOptions()


class StoresLoadsUnfenced(MemoryCacheDriver):
    def _swap(self, swap, ttl):
        if swap.over is not None and swap.value is not None:
            self._put(swap.name, swap.value, self._end(ttl))
            return True
        return super()._swap(swap, ttl)


class StoresBatchesUnfenced(MemoryCacheDriver):
    async def swap_many(self, swaps, *, ttl, shared=False):
        if len(swaps) > 1:
            swaps = [Swap(swap.name, swap.value, self._get(swap.name)) for swap in swaps]
        return await super().swap_many(swaps, ttl=ttl, shared=shared)


class AddsOverWhatIsThere(MemoryCacheDriver):
    def _swap(self, swap, ttl):
        if swap.over is None and swap.value is not None:
            self._put(swap.name, swap.value, self._end(ttl))
            return True
        return super()._swap(swap, ttl)


class KeepsTheOldTime(MemoryCacheDriver):
    async def set_many(self, items, *, ttl):
        left = [await self.ttl(name) for name, _ in items]
        outcome = await super().set_many(items, ttl=ttl)
        for (name, _), old in zip(items, left, strict=True):
            if old is not None and old > 0:
                await self.expire(name, old)
        return outcome


class NeverEnds(MemoryCacheDriver):
    def _lives(self, entry):
        return True


class TakesMillisecondsForSeconds(MemoryCacheDriver):
    def _end(self, ttl):
        return super()._end(None if ttl is None else ttl * 1000)


class ProlongsCounters(MemoryCacheDriver):
    async def increment(self, name, by, *, ttl):
        total = await super().increment(name, by, ttl=ttl)
        if ttl is not None:
            await self.expire(name, ttl)
        return total


class WrapsCounters(MemoryCacheDriver):
    async def increment(self, name, by, *, ttl):
        (there,) = await self.get_many([name])
        if there is not None and there.removeprefix(b"-").isdigit():
            total = (int(there) + by + 2**63) % 2**64 - 2**63
            await self.set_many([(name, b"%d" % total)], ttl=ttl)
            return total
        return await super().increment(name, by, ttl=ttl)


class CountsFromAnything(MemoryCacheDriver):
    async def increment(self, name, by, *, ttl):
        (there,) = await self.get_many([name])
        if there is not None and not there.removeprefix(b"-").isdigit():
            await self.delete_many([name])
        return await super().increment(name, by, ttl=ttl)


class TakesPatternsForPrefixes(MemoryCacheDriver):
    async def delete_many(self, names, *, pattern=None):
        if pattern is not None:
            names = [*names, *[name for name in self._entries if name.startswith(pattern.prefix)]]
        return await super().delete_many(names)


class IgnoresTagsInInvalidations(MemoryCacheDriver):
    async def delete_many(self, names, *, pattern=None):
        kept = [name for name in names if not name.startswith("t:")]
        return await super().delete_many(kept, pattern=pattern)


class RevivesTagVersions(MemoryCacheDriver):
    """An invalidated tag is given the version it had before."""

    def __init__(self):
        super().__init__()
        self._first = {}

    def _swap(self, swap, ttl):
        if swap.name.startswith("t:") and swap.value is not None:
            first = self._first.setdefault(swap.name, swap.value)
            if first != swap.value:
                super()._swap(swap._replace(value=first), ttl)
                return False
        return super()._swap(swap, ttl)


class ForgetsPatternsInInvalidations(MemoryCacheDriver):
    async def delete_many(self, names, *, pattern=None):
        return await super().delete_many(names)


class FoldsCase(MemoryCacheDriver):
    async def get_many(self, names):
        return await super().get_many([name.lower() for name in names])

    async def set_many(self, items, *, ttl):
        return await super().set_many([(name.lower(), value) for name, value in items], ttl=ttl)


class CutsLargeValues(MemoryCacheDriver):
    async def set_many(self, items, *, ttl):
        return await super().set_many([(name, value[:65_535]) for name, value in items], ttl=ttl)


class PromisesANewTime(MemoryCacheDriver):
    async def expire(self, name, ttl):
        (there,) = await self.get_many([name])
        return there is not None


class ListsWhatHasEnded(MemoryCacheDriver):
    async def scan(self, prefix):
        yield [(name, entry[0]) for name, entry in self._entries.items() if name.startswith(prefix)]


class SaysNothingLivesForever(MemoryCacheDriver):
    async def ttl(self, name):
        left = await super().ttl(name)
        return None if left == -1 else left


class StoresTheFirstOfMany(MemoryCacheDriver):
    async def set_many(self, items, *, ttl):
        return await super().set_many(items[:1], ttl=ttl)


class MixesUpPositions(MemoryCacheDriver):
    async def get_many(self, names):
        found = await super().get_many(sorted(names))
        return [found[position] for position in range(len(names))]


CAUGHT_BY = {
    StoresLoadsUnfenced: "test_an_invalidation_during_the_load_makes_it_void",
    StoresBatchesUnfenced: "test_what_changes_while_many_are_loaded_is_not_stored",
    AddsOverWhatIsThere: "test_add_stores_only_where_nothing_is",
    KeepsTheOldTime: "test_a_new_set_has_its_own_time",
    NeverEnds: "test_a_value_is_gone_after_its_time",
    TakesMillisecondsForSeconds: "test_ttl_tells_what_is_left",
    ProlongsCounters: "test_increment_keeps_the_time_of_what_is_there",
    WrapsCounters: "test_increment_beyond_64_bits_is_refused",
    CountsFromAnything: "test_increment_of_what_is_no_whole_number_is_refused",
    TakesPatternsForPrefixes: "test_a_pattern_removes_what_it_fits_and_no_more",
    IgnoresTagsInInvalidations: "test_any_of_its_tags_removes_an_entry_everywhere",
    RevivesTagVersions: "test_what_a_tag_removed_does_not_come_back_with_the_tag",
    ForgetsPatternsInInvalidations: "test_invalidate_removes_keys_tags_and_patterns_together",
    FoldsCase: "test_every_key_is_itself_alone",
    CutsLargeValues: "test_a_large_value_comes_back_whole",
    PromisesANewTime: "test_expire_changes_the_time_and_not_the_value",
    ListsWhatHasEnded: "test_a_value_is_gone_after_its_time",
    SaysNothingLivesForever: "test_ttl_tells_what_is_left",
    StoresTheFirstOfMany: "test_many_are_stored_and_read_by_key",
    MixesUpPositions: "test_many_come_by_key_in_any_order",
}


class BrokenHarness(CacheHarness):
    def __init__(self, kind):
        self.kind = kind

    @asynccontextmanager
    async def open(self):
        async with running_cache(self.kind(), OPTIONS, asyncio.sleep, tasks=True) as cache:
            yield cache

    @contextmanager
    def open_blocking(self):
        with _entered(running_cache(self.kind(), OPTIONS, sleep_thread, tasks=False)) as opened:
            yield Cache(opened)


class TestBroken(CacheConformance):
    @pytest.fixture(params=[MemoryCacheDriver, *CAUGHT_BY], ids=lambda kind: kind.__name__)
    def harness(self, request):
        return BrokenHarness(request.param)
