"""Loads that take longer than their lock lives are cached all the same."""

import asyncio
import threading
from contextlib import asynccontextmanager, contextmanager

import pytest

from holdfast.blocking import run
from holdfast.cache import CacheOptions
from holdfast.cache.connect import running_cache
from holdfast.cache.driver import LOAD_LOCK
from holdfast.cache.drivers.memory import MemoryCacheDriver
from holdfast.cache.sync import Cache
from holdfast.clock import sleep_thread

pytestmark = pytest.mark.anyio

OPTIONS = CacheOptions(load_timeout=0.3, early=0)


class Heart(MemoryCacheDriver):
    """Time stands still but for renewals, each of which takes nearly as long as a lock lives."""

    def __init__(self):
        self.now = 1000.0
        super().__init__(clock=lambda: self.now)
        self.beats = 0
        self.paces = None  # the name whose renewals let time go on, None for any
        self.beaten = threading.Condition()

    async def swap_many(self, swaps, *, ttl, shared=False):
        done = await super().swap_many(swaps, ttl=ttl, shared=shared)
        if any(swap.over and swap.value and swap.value.startswith(swap.over) for swap in swaps):
            with self.beaten:
                self.beats += 1
                if self.paces in (None, swaps[0].name):
                    self.now += 0.29
                self.beaten.notify_all()
        return done

    def wait(self, beats):
        target = self.beats + beats
        with self.beaten:
            assert self.beaten.wait_for(lambda: self.beats >= target, 60)

    async def wait_async(self, beats):
        await asyncio.to_thread(self.wait, beats)


@asynccontextmanager
async def cached():
    heart = Heart()
    async with running_cache(heart, OPTIONS, asyncio.sleep, tasks=True) as cache:
        yield cache, heart


@contextmanager
def cached_blocking():
    heart = Heart()
    manager = running_cache(heart, OPTIONS, sleep_thread, tasks=False)
    try:
        yield Cache(run(manager.__aenter__())), heart
    finally:
        run(manager.__aexit__(None, None, None))


async def test_a_slow_load_is_cached():
    async with cached() as (cache, heart):

        async def slow():
            await heart.wait_async(4)
            return "slow"

        assert await cache.get_or_set("k", slow) == "slow"
        assert await cache.get("k") == "slow"
        assert await cache.get_or_set("t", slow, tags=["tag"], ttl=1000) == "slow"
        assert await cache.get("t") == "slow"
        assert cache.stats().counters["void_loads"] == 0


async def test_a_slow_batch_is_cached():
    async with cached() as (cache, heart):

        async def slow(keys):
            await heart.wait_async(4)
            return dict.fromkeys(keys, "slow")

        await cache.get_or_set_many(["a", "b"], slow)
        assert await cache.get_many(["a", "b"]) == {"a": "slow", "b": "slow"}


async def test_a_slow_refresh_is_done_once():
    async with cached() as (cache, heart):
        refreshed = asyncio.Event()

        async def first():
            return "old"

        async def slow():
            await heart.wait_async(4)
            refreshed.set()
            return "new"

        await cache.get_or_set("k", first, ttl=1000, stale=1000)
        raw = (await heart.get_many(["k:k"]))[0]
        request = cache._loader
        header = request._is_due
        request._is_due = lambda _header: True
        try:
            assert await cache.get_or_set("k", slow, ttl=1000, stale=1000) == "old"
            await refreshed.wait()
        finally:
            request._is_due = header
        while (await heart.get_many(["k:k"]))[0] == raw:  # noqa: ASYNC110 - a state
            await asyncio.sleep(0)
        assert await cache.get("k") == "new"


def test_in_blocking_code_too():
    with cached_blocking() as (cache, heart):

        def slow():
            heart.wait(4)
            return "slow"

        assert cache.get_or_set("k", slow) == "slow"
        assert cache.get("k") == "slow"
        heart.paces = "k:t0"
        threads = [
            threading.Thread(target=cache.get_or_set, args=(f"t{number}", slow))
            for number in range(5)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert cache.get_many([f"t{number}" for number in range(5)]).keys() == {
            f"t{number}" for number in range(5)
        }
        names = {thread.name for thread in threading.enumerate()}
        assert len([name for name in names if name == "holdfast-cache-leases"]) <= 1


async def test_an_invalidation_takes_the_lock_away_for_good():
    async with cached() as (cache, heart):

        async def slow():
            await heart.wait_async(2)
            await cache.invalidate(keys=["k"])
            await asyncio.sleep(0.3)
            return "void"

        assert await cache.get_or_set("k", slow) == "void"
        assert await cache.get("k") is None
        assert (await heart.get_many(["k:k"])) == [None]
        assert cache.stats().counters["void_loads"] == 1


async def test_who_waited_long_loads_too_and_the_first_that_ends_is_cached():
    async with cached() as (cache, heart):
        never = asyncio.Event()
        hanging = asyncio.Event()

        async def hangs():
            hanging.set()
            await never.wait()

        async def quick():
            return "quick"

        first = asyncio.create_task(cache.get_or_set("k", hangs))
        await hanging.wait()
        lock = (await heart.get_many(["k:k"]))[0]
        assert lock.startswith(LOAD_LOCK)
        quickly = cache.get_or_set("k", quick, tags=["tag"])
        assert await quickly == "quick"  # after load_timeout
        assert await cache.get("k") == "quick"
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        assert await cache.get("k") == "quick"
        await cache.invalidate(tags=["tag"])
        assert await cache.get("k") is None


class Answering(MemoryCacheDriver):
    """Answers to the first swap only when somebody gives up on it."""

    def __init__(self):
        super().__init__()
        self.done = asyncio.Event()

    async def swap_many(self, swaps, *, ttl, shared=False):
        found = await super().swap_many(swaps, ttl=ttl, shared=shared)
        if not self.done.is_set():
            self.done.set()
            await asyncio.Event().wait()
        return found


async def test_who_gives_up_while_the_lock_is_put_leaves_none_there():
    driver = Answering()
    async with running_cache(driver, OPTIONS, asyncio.sleep, tasks=True) as cache:

        async def load():
            return "loaded"

        caller = asyncio.create_task(cache.get_or_set("k", load))
        await driver.done.wait()
        assert (await driver.get_many(["k:k"]))[0].startswith(LOAD_LOCK)
        (work,) = cache._loader._running
        caller.cancel()
        await asyncio.wait([caller, work])
        assert await driver.get_many(["k:k"]) == [None]
        assert await cache.get_or_set("k", load) == "loaded"


async def test_a_load_that_fails_beside_another_leaves_that_one_its_lock():
    async with cached() as (cache, _):
        go_on = asyncio.Event()
        waiting = asyncio.Event()

        async def slow():
            waiting.set()
            await go_on.wait()
            return "slow"

        async def fails():
            raise KeyError("planted")

        first = asyncio.create_task(cache.get_or_set("k", slow))
        await waiting.wait()
        with pytest.raises(KeyError):
            await cache.get_or_set("k", fails)
        go_on.set()
        assert await first == "slow"
        assert await cache.get("k") == "slow"
