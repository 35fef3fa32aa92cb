"""Large values over a slow line: what moves is waited for, what does not is given up."""

import asyncio
import threading

import pytest

from cache.servers import RedisServer, Toxic
from holdfast.cache import CacheOptions, Outcome, open_cache, sync
from servers import require, url_of

pytestmark = pytest.mark.anyio

LARGE = b"v" * 6_000_000
QUICK = CacheOptions(timeout=0.5, early=0)


@pytest.fixture
def slow(tmp_path):
    """A line on which the value takes six times as long as the store may be silent."""
    require("redis-server")
    with RedisServer(tmp_path) as redis, Toxic(url_of("toxiproxy"), redis) as proxy:
        yield proxy


def pace(proxy):
    proxy.add("bandwidth", "upstream", rate=2000)
    proxy.add("bandwidth", "downstream", rate=2000)


async def test_a_large_value_is_stored_and_read(slow):
    async with open_cache(slow.url, options=QUICK) as cache:
        pace(slow)
        assert await cache.set("k", LARGE) is Outcome.APPLIED
        assert await cache.get("k") == LARGE

        async def load():
            return LARGE

        assert await cache.get_or_set("l", load) == LARGE
        assert cache.stats().counters["outages"] == 0


def test_in_blocking_code_while_other_threads_wait_their_turn(slow):
    with sync.open_cache(slow.url, options=QUICK) as cache:
        cache.set("small", 1)
        pace(slow)
        ended = {}

        def run(name, call):
            ended[name] = call()

        threads = [
            threading.Thread(target=run, args=("set", lambda: cache.set("k", LARGE))),
            *[
                threading.Thread(target=run, args=(number, lambda: cache.get("small")))
                for number in range(4)
            ],
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert ended == {"set": Outcome.APPLIED, 0: 1, 1: 1, 2: 1, 3: 1}
        assert cache.get("k") == LARGE
        assert cache.stats().counters["outages"] == 0


@pytest.mark.parametrize("way", ["async", "blocking"])
async def test_a_line_on_which_nothing_moves_is_given_up(slow, way):
    if way == "async":
        async with open_cache(slow.url, options=QUICK) as cache:
            slow.add("timeout", "upstream", timeout=0)
            assert await cache.set("k", LARGE) is Outcome.PENDING
    else:

        def use():
            with sync.open_cache(slow.url, options=QUICK) as cache:
                slow.add("timeout", "upstream", timeout=0)
                return cache.set("k", LARGE)

        assert await asyncio.to_thread(use) is Outcome.PENDING


@pytest.mark.parametrize("large", ["set", "get"])
async def test_what_is_small_does_not_wait_behind_what_is_large(slow, large):
    async with open_cache(slow.url, options=CacheOptions(timeout=20)) as cache:
        await cache.set("small", 1)
        await cache.set("large", LARGE)
        pace(slow)
        ended = []

        async def use(name, call):
            await call
            ended.append(name)

        calls = cache.set("k", LARGE) if large == "set" else cache.get("large")
        task = asyncio.create_task(use("large", calls))
        driver = cache._driver._remote
        while not driver._commands.busy:  # noqa: ASYNC110 - a state, not an event
            await asyncio.sleep(0.001)
        for _ in range(3):
            await use("small", cache.get("small"))
            await use("small", cache.set("other", 1))
        assert ended == ["small"] * 6
        await task
        assert cache.stats().counters["outages"] == 0


def test_in_blocking_code_neither(slow):
    with sync.open_cache(slow.url, options=CacheOptions(timeout=20)) as cache:
        cache.set("small", 1)
        pace(slow)
        ended = []
        thread = threading.Thread(target=lambda: ended.append(cache.set("k", LARGE)))
        thread.start()
        driver = cache.asynchronous._driver._remote
        while not driver._commands.busy:
            pass
        assert cache.get("small") == 1
        assert ended == []
        thread.join()
        assert ended == [Outcome.APPLIED]


async def test_nothing_overtakes_a_large_value_whose_caller_was_cancelled(slow):
    async with open_cache(slow.url, options=CacheOptions(timeout=20)) as cache:
        pace(slow)
        task = asyncio.create_task(cache.set("k", LARGE))
        driver = cache._driver._remote
        while not driver._commands.busy:  # noqa: ASYNC110 - a state, not an event
            await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await cache.set("k", "later")
        assert await cache.get("k") == "later"
        slow.heal()
        await cache.get("k")
        assert await cache.get("k") == "later"
