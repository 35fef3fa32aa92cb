"""Backends that are wrong in one way each; test_suite_catches.py runs the public suite on them.

Not collected by itself: its tests have to fail.
"""

import asyncio
from contextlib import asynccontextmanager, contextmanager

import pytest

from holdfast.cache import CacheOptions
from holdfast.cache.conformance import CacheConformance, CacheHarness
from holdfast.cache.driver import Swap
from holdfast.cache.drivers.memory import MemoryDriver
from holdfast.cache.opening import running_cache, wait_here
from holdfast.cache.sync import Cache, _entered

OPTIONS = CacheOptions()


class StoresFillsUnfenced(MemoryDriver):
    async def swap(self, name, value, *, over, ttl=None, shared=False):
        if over is not None and value is not None:
            await self.set_many([(name, value)], ttl=ttl)
            return True
        return await super().swap(name, value, over=over, ttl=ttl, shared=shared)


class StoresBatchesUnfenced(MemoryDriver):
    async def swap_many(self, swaps, *, ttl):
        forced = [Swap(s.name, s.value, await self._there(s.name)) for s in swaps]
        return await super().swap_many(forced, ttl=ttl)

    async def _there(self, name):
        (there,) = await self.get_many([name])
        return there


class AddsOverWhatIsThere(MemoryDriver):
    async def swap(self, name, value, *, over, ttl=None, shared=False):
        if over is None and value is not None:
            await self.set_many([(name, value)], ttl=ttl)
            return True
        return await super().swap(name, value, over=over, ttl=ttl, shared=shared)


class KeepsTheOldTime(MemoryDriver):
    async def set_many(self, items, *, ttl):
        left = [await self.ttl(name) for name, _ in items]
        outcome = await super().set_many(items, ttl=ttl)
        for (name, _), old in zip(items, left, strict=True):
            if old is not None and old > 0:
                await self.expire(name, old)
        return outcome


class NeverEnds(MemoryDriver):
    def _lives(self, entry):
        return True


class TakesMillisecondsForSeconds(MemoryDriver):
    def _end(self, ttl):
        return super()._end(None if ttl is None else ttl * 1000)


class ProlongsCounters(MemoryDriver):
    async def increment(self, name, by, *, ttl):
        total = await super().increment(name, by, ttl=ttl)
        if ttl is not None:
            await self.expire(name, ttl)
        return total


class WrapsCounters(MemoryDriver):
    async def increment(self, name, by, *, ttl):
        (there,) = await self.get_many([name])
        if there is not None and there.removeprefix(b"-").isdigit():
            total = (int(there) + by + 2**63) % 2**64 - 2**63
            await self.set_many([(name, b"%d" % total)], ttl=ttl)
            return total
        return await super().increment(name, by, ttl=ttl)


class CountsFromAnything(MemoryDriver):
    async def increment(self, name, by, *, ttl):
        (there,) = await self.get_many([name])
        if there is not None and not there.removeprefix(b"-").isdigit():
            await self.delete_many([name])
        return await super().increment(name, by, ttl=ttl)


class TakesPatternsForPrefixes(MemoryDriver):
    async def delete_many(self, names, *, pattern=None):
        if pattern is not None:
            names = [*names, *[name for name in self._entries if name.startswith(pattern.prefix)]]
        return await super().delete_many(names)


class IgnoresTagsInInvalidations(MemoryDriver):
    async def delete_many(self, names, *, pattern=None):
        kept = [name for name in names if not name.startswith("t:")]
        return await super().delete_many(kept, pattern=pattern)


class RevivesTagVersions(MemoryDriver):
    """An invalidated tag is given the version it had before."""

    def __init__(self):
        super().__init__()
        self._first = {}

    async def swap(self, name, value, *, over, ttl=None, shared=False):
        if name.startswith("t:") and value is not None:
            first = self._first.setdefault(name, value)
            if first != value:
                await super().swap(name, first, over=over, ttl=ttl, shared=shared)
                return False
        return await super().swap(name, value, over=over, ttl=ttl, shared=shared)


class ForgetsPatternsInInvalidations(MemoryDriver):
    async def delete_many(self, names, *, pattern=None):
        return await super().delete_many(names)


class FoldsCase(MemoryDriver):
    async def get_many(self, names):
        return await super().get_many([name.lower() for name in names])

    async def set_many(self, items, *, ttl):
        return await super().set_many([(name.lower(), value) for name, value in items], ttl=ttl)


class CutsLargeValues(MemoryDriver):
    async def set_many(self, items, *, ttl):
        return await super().set_many([(name, value[:65_535]) for name, value in items], ttl=ttl)


class PromisesANewTime(MemoryDriver):
    async def expire(self, name, ttl):
        (there,) = await self.get_many([name])
        return there is not None


class ListsWhatHasEnded(MemoryDriver):
    async def scan(self, prefix):
        yield [(name, entry[0]) for name, entry in self._entries.items() if name.startswith(prefix)]


class SaysNothingLivesForever(MemoryDriver):
    async def ttl(self, name):
        left = await super().ttl(name)
        return None if left == -1 else left


class StoresTheFirstOfMany(MemoryDriver):
    async def set_many(self, items, *, ttl):
        return await super().set_many(items[:1], ttl=ttl)


class MixesUpPositions(MemoryDriver):
    async def get_many(self, names):
        found = await super().get_many(sorted(names))
        return [found[position] for position in range(len(names))]


CAUGHT_BY = {
    StoresFillsUnfenced: "test_an_invalidation_during_the_load_makes_it_void",
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
        with _entered(running_cache(self.kind(), OPTIONS, wait_here, tasks=False)) as opened:
            yield Cache(opened)


class TestBroken(CacheConformance):
    @pytest.fixture(params=[MemoryDriver, *CAUGHT_BY], ids=lambda kind: kind.__name__)
    def harness(self, request):
        return BrokenHarness(request.param)
