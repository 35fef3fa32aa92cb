"""A cache in the child of a fork: it never reads what its parent was answered."""

import pytest

from cache.servers import RedisCluster
from forking import forked
from servers import require

_BLOCKING = """
from holdfast.cache import CacheOptions, sync
options = CacheOptions(timeout=30, near=arguments[1])
with sync.open_cache(arguments[0], options=options) as cache:
    names = [f"k{number}" for number in range(40)]
    cache.set_many({name: name * 50 for name in names})

    def right(some):
        found = [cache.get(name) == name * 50 for name in some * 20]
        return all(found) and cache.get_or_set(some[0] + "new", lambda: some[0]) == some[0]

    def child():
        return [right(names[:20]), cache.increment("n"), cache.stats().counters["outages"]]

    wait = in_child(child)
    assert right(names[20:])
    assert wait() == [True, 1, 0]
    assert right(names)
    assert cache.increment("n") == 2
    assert cache.stats().counters["outages"] == 0
"""

_ASYNC = """
import asyncio
from holdfast.cache import CacheOptions, open_cache
options = CacheOptions(timeout=30, near=arguments[1])

async def main():
    async with open_cache(arguments[0], options=options) as cache:
        names = [f"k{number}" for number in range(40)]
        await cache.set_many({name: name * 50 for name in names})

        async def right(some):
            found = [await cache.get(name) == name * 50 for name in some * 5]
            found += await asyncio.gather(*[cache.get(name) for name in some])

            async def load():
                return some[0]

            return all(found) and await cache.get_or_set(some[0] + "new", load) == some[0]

        async def child():
            return [await right(names[:20]), await cache.increment("n")]

        wait = in_child(lambda: asyncio.run(child()))
        assert await right(names[20:])
        assert await asyncio.to_thread(wait) == [True, 1]
        assert await right(names)
        assert await cache.increment("n") == 2
        assert cache.stats().counters["outages"] == 0

asyncio.run(main())
"""


@pytest.mark.parametrize("near", [0, 0.05])
@pytest.mark.parametrize("program", [_BLOCKING, _ASYNC], ids=["blocking", "async"])
def test_parent_and_child_read_their_own_answers(redis, program, near):
    forked(program, redis.url, near)


@pytest.mark.parametrize("program", [_BLOCKING, _ASYNC], ids=["blocking", "async"])
def test_on_a_cluster_too(tmp_path, program):
    require("redis-server")
    with RedisCluster(tmp_path) as cluster:
        forked(program, cluster.url, 0)


def test_a_fork_while_a_thread_asks_leaves_no_lock_held(redis):
    forked(
        """
import threading
from holdfast.cache import CacheOptions, sync
with sync.open_cache(arguments[0], options=CacheOptions(timeout=30)) as cache:
    cache.set("k", "v")
    fallback = cache.asynchronous._driver
    connection = fallback._remote._commands
    ready, done = threading.Event(), threading.Event()

    def hold():
        with connection._turn, fallback._mutex, fallback._local._mutex:
            ready.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    ready.wait()
    wait = in_child(lambda: [cache.get("k"), cache.increment("n")])
    assert wait() == ["v", 1]
    done.set()
    thread.join()
    assert cache.get("k") == "v"
""",
        redis.url,
    )


def test_a_child_tries_a_store_that_went_away_again(redis):
    """The task that does so in the parent is not in the child."""
    forked(
        """
import asyncio
from holdfast.cache import CacheOptions, open_cache

async def main():
    async with open_cache(arguments[0], options=CacheOptions(timeout=30)) as cache:
        await cache.set("k", 1)

        async def child():
            driver = cache._driver
            assert await cache.get("k") == 1
            driver._up = False
            driver._go_away()
            while not cache.stats().gauges["up"]:
                await cache.get("k")
            return await cache.get("k")

        wait = in_child(lambda: asyncio.run(child()))
        assert await asyncio.to_thread(wait) == 1

asyncio.run(main())
""",
        redis.url,
    )


def test_entries_in_memory_are_copied_and_a_load_under_way_stays_the_parents():
    forked(
        """
import asyncio
from holdfast.cache import open_cache

async def main():
    async with open_cache("memory://") as cache:
        await cache.set("k", 1)
        go_on = asyncio.Event()

        async def slow():
            await go_on.wait()
            return "parent"

        async def quick():
            return "child"

        loading = asyncio.create_task(cache.get_or_set("loading", slow))
        await asyncio.sleep(0.05)

        async def child():
            return [await cache.get("k"), await cache.typed(str).get_or_set("other", quick)]

        wait = in_child(lambda: asyncio.run(child()))
        assert await asyncio.to_thread(wait) == [1, "child"]
        go_on.set()
        assert await loading == "parent"

asyncio.run(main())
"""
    )
