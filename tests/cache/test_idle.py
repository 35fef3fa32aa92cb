"""A connection that the server closed while nothing was asked of it is no outage."""

import asyncio
import time

import pytest

from cache.servers import RedisServer, wait_until
from cache.states import is_up
from holdfast.cache import CacheOptions, Outcome, open_cache, sync
from holdfast.cache.drivers.redis.redis_connection import IDLE
from servers import require

pytestmark = pytest.mark.anyio

OPTIONS = [CacheOptions(timeout=20), CacheOptions(timeout=20, near=0.05)]


def closes(redis):
    """Close every connection of the server's, and wait until a client could have seen it."""
    redis.ask("CLIENT", "KILL", "TYPE", "normal")
    redis.ask("CLIENT", "KILL", "TYPE", "pubsub")
    time.sleep(2 * IDLE)  # in an async test the loop has not seen it either, as it is held up


async def value():
    return "loaded"


@pytest.mark.parametrize("options", OPTIONS, ids=["plain", "near"])
@pytest.mark.parametrize("seen", [True, False], ids=["seen", "not seen"])
async def test_every_verb_goes_on_over_another_connection(redis, options, seen):
    async with open_cache(redis.url, options=options) as cache:

        async def idle():
            closes(redis)
            if seen:
                await asyncio.sleep(0.1)

        assert await cache.get_or_set("k", value) == "loaded"
        await cache.set("n", 1)
        await idle()
        assert await cache.get("k") == "loaded"
        await idle()
        assert await cache.get_many(["k", "n"]) == {"k": "loaded", "n": 1}
        await idle()
        assert await cache.increment("n") == 2
        await idle()
        assert await cache.set("s", 1, tags=["t"]) is Outcome.APPLIED
        await idle()
        assert await cache.add("a", 1)
        await idle()
        assert await cache.invalidate(tags=["t"], pattern="a*") is Outcome.APPLIED
        await idle()
        assert await cache.expire("k", 100)
        await idle()
        assert await cache.ttl("k") > 90
        await idle()
        assert await cache.keys() == ["k", "n"]
        await idle()
        assert await cache.get_or_set("k", value) == "loaded"
        await idle()
        assert (await cache.health()).state == "up"
        counters = cache.stats().counters
        assert counters["outages"] == 0
        assert counters["pending_answers"] == 0
        assert counters["loads"] == 1


@pytest.mark.parametrize("options", OPTIONS, ids=["plain", "near"])
def test_blocking_code_too(redis, options):
    with sync.open_cache(redis.url, options=options) as cache:
        cache.set("k", 1)
        for turn in range(2, 5):
            closes(redis)
            assert cache.increment("k") == turn
            closes(redis)
            assert cache.get("k") == turn
            closes(redis)
            assert cache.set("s", turn) is Outcome.APPLIED
        assert cache.stats().counters["outages"] == 0


def connections(redis):
    said = redis.say("INFO", "stats")
    return int(said.partition("total_connections_received:")[2].split()[0])


async def test_many_tasks_at_once_share_one_new_connection(redis):
    async with open_cache(redis.url, options=OPTIONS[0]) as cache:
        await cache.set_many({f"k{number}": number for number in range(50)})
        before = int(
            redis.say("INFO", "stats").partition("total_connections_received:")[2].split()[0]
        )
        closes(redis)
        await asyncio.sleep(0.1)
        found = await asyncio.gather(*[cache.get(f"k{number}") for number in range(50)])
        assert found == [*range(50)]
        after = int(
            redis.say("INFO", "stats").partition("total_connections_received:")[2].split()[0]
        )
        assert after - before <= 5  # one of the cache's, the others of this test
        assert cache.stats().counters["outages"] == 0


async def test_a_server_that_closes_idle_connections_by_itself(tmp_path):
    require("redis-server")
    with RedisServer(tmp_path, "--timeout", "1") as redis:
        async with open_cache(redis.url, options=OPTIONS[0]) as cache:
            for _ in range(2):
                assert await cache.get_or_set("k", value) == "loaded"
                await asyncio.to_thread(
                    wait_until, lambda: "name= " not in clients(redis), "it closes nobody"
                )
            assert await cache.increment("n") == 1
            counters = cache.stats().counters
            assert counters["loads"] == 1
            assert counters["outages"] == 0


def clients(redis):
    said = redis.say("CLIENT", "LIST")
    return "\n".join(line for line in said.splitlines() if "cmd=client|list" not in line)


async def test_a_server_that_closes_each_connection_at_once_is_an_outage(redis):
    async with open_cache(redis.url, options=OPTIONS[0]) as cache:
        await cache.set("k", 1)
        for _ in range(50):
            redis.ask("CLIENT", "KILL", "TYPE", "normal")
            await asyncio.sleep(0)
            await cache.get("k")
        async with asyncio.timeout(60):
            while not is_up(cache):  # noqa: ASYNC110 - a state, not an event
                await asyncio.sleep(0.01)
        assert await cache.get("k") == 1
