"""Values that are loaded again while they are served: when that is, and what stays of them."""

import asyncio
import itertools
from contextlib import asynccontextmanager

import pytest

from cache.states import counter
from holdfast.blocking import run
from holdfast.cache import CacheOptions, loader, sync
from holdfast.cache.connect import running_cache
from holdfast.cache.drivers.memory import MemoryCacheDriver
from holdfast.clock import sleep_thread

pytestmark = pytest.mark.anyio


class Seconds:
    """Seconds that a test moves by hand."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class Source:
    """Loads that take *cost* seconds each."""

    def __init__(self, seconds, cost=0.0):
        self.seconds = seconds
        self.cost = cost
        self.loads = 0

    async def load(self):
        self.loads += 1
        self.seconds.now += self.cost
        return self.loads

    async def fail(self):
        self.loads += 1
        raise ConnectionError("the source is away")


@asynccontextmanager
async def cached(seconds, **options):
    driver = MemoryCacheDriver(clock=seconds)
    chosen = CacheOptions(**{"load_timeout": 10, "early": 0, **options})
    async with running_cache(driver, chosen, asyncio.sleep, tasks=True) as cache:
        cache._loader._clock = seconds
        yield cache


async def loaded(cache):
    """Wait for the loads that run beside their callers."""
    await asyncio.gather(*cache._loader._running)


async def test_a_load_that_failed_is_tried_again_after_the_time_that_a_load_may_take():
    seconds = Seconds()
    async with cached(seconds) as cache:
        old, away, new = Source(seconds), Source(seconds), Source(seconds)
        await cache.get_or_set("k", old.load, ttl=100, stale=1000)
        seconds.now += 100
        assert await cache.get_or_set("k", away.fail, ttl=100, stale=1000) == 1
        await loaded(cache)
        seconds.now += 9.9
        assert await cache.get_or_set("k", new.load, ttl=100, stale=1000) == 1
        await loaded(cache)
        assert (away.loads, new.loads) == (1, 0)
        seconds.now += 0.1
        assert await cache.get_or_set("k", new.load, ttl=100, stale=1000) == 1
        await loaded(cache)
        assert new.loads == 1


async def test_a_value_that_was_loaded_again_is_removed_by_its_tags_as_the_first_was():
    seconds = Seconds()
    async with cached(seconds) as cache:
        source = Source(seconds)
        how = {"ttl": 100, "stale": 1000, "tags": ["a", "b"]}
        await cache.get_or_set("k", source.load, **how)
        for tag, served in (("a", 1), ("b", 3)):
            seconds.now += 100
            assert await cache.get_or_set("k", source.load, **how) == served
            await loaded(cache)
            assert await cache.get("k") == served + 1
            await cache.invalidate(tags=[tag])
            assert await cache.get("k") is None
            assert await cache.get_or_set("k", source.load, **how) == served + 2


async def test_a_value_is_loaded_again_as_often_as_it_gets_stale_and_each_hit_is_counted():
    seconds = Seconds()
    async with cached(seconds) as cache:
        source = Source(seconds)
        for load in range(4):  # within less than the time that a load may take
            assert await cache.get_or_set("k", source.load, ttl=1, stale=100) == (load or 1)
            await loaded(cache)
            seconds.now += 1
        assert source.loads == 4
        assert (counter(cache, "hits"), counter(cache, "misses")) == (3, 1)


async def test_what_loads_take_and_how_many_fail_adds_up():
    seconds = Seconds()
    source = Source(seconds, cost=2.0)
    async with cached(seconds) as cache:
        for key in "abc":
            await cache.get_or_set(key, source.load)
            with pytest.raises(ConnectionError):
                await cache.get_or_set(f"{key} fails", source.fail)
        assert (counter(cache, "load_seconds"), counter(cache, "failed_loads")) == (
            6,
            3,
        )


async def test_of_loads_that_are_over_nothing_is_kept():
    seconds = Seconds()
    async with cached(seconds) as cache:
        source = Source(seconds)
        for number in range(9):
            await cache.get_or_set(f"k{number}", source.load, ttl=100, stale=1000)
        with pytest.raises(ConnectionError):
            await cache.get_or_set("away", source.fail)
        seconds.now += 100
        for number in range(9):
            await cache.get_or_set(f"k{number}", source.load, ttl=100, stale=1000)
        await loaded(cache)
        await asyncio.sleep(0)
        assert source.loads == 19
        assert (cache._loader._flights, cache._loader._running) == ({}, set())


def test_blocking_code_is_given_what_it_has_loaded_itself():
    seconds = Seconds()
    manager = running_cache(
        MemoryCacheDriver(clock=seconds), CacheOptions(early=0), sleep_thread, tasks=False
    )
    cached = run(manager.__aenter__())
    cached._loader._clock = seconds
    cache = sync.Cache(cached)
    loads = itertools.count()
    assert cache.get_or_set("k", lambda: next(loads), ttl=100, stale=1000) == 0
    seconds.now += 100
    assert cache.get_or_set("k", lambda: next(loads), ttl=100, stale=1000) == 1
    assert cache.get("k") == 1
    run(manager.__aexit__(None, None, None))


@pytest.mark.parametrize("early", [1.0, 3.0])
async def test_what_is_costly_to_load_is_loaded_before_its_end_by_its_cost(monkeypatch, early):
    monkeypatch.setattr(loader.random, "random", lambda: 0.5)
    seconds = Seconds()
    async with cached(seconds, early=early) as cache:
        source = Source(seconds, cost=2.0)
        await cache.get_or_set("k", source.load, ttl=100, stale=1000)
        ahead = 2.0 * early * 0.6931  # the logarithm of 2
        seconds.now += 100 - ahead - 0.01
        assert await cache.get_or_set("k", source.load, ttl=100, stale=1000) == 1
        await loaded(cache)
        assert source.loads == 1
        seconds.now += 0.02
        assert await cache.get_or_set("k", source.load, ttl=100, stale=1000) == 1
        await loaded(cache)
        assert source.loads == 2
