"""Faults of the network at each step, through a proxy that makes them."""

import asyncio
import itertools
import re

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from cache.servers import RedisServer, wait_until
from cache.states import is_settled, is_up, pending
from holdfast.cache import CacheOptions, Outcome, open_cache, sync
from holdfast.errors import UnavailableError
from holdfast.health import HealthState
from holdfast.metrics import MetricsCollector

pytestmark = pytest.mark.anyio

QUICK = CacheOptions(timeout=0.4, early=0, fallback=0)

FAULTS = {
    "cut": lambda toxic: toxic.cut(),
    "reset": lambda toxic: toxic.add("reset_peer", timeout=0),
    "frozen questions": lambda toxic: toxic.add("timeout", "upstream", timeout=0),
    "frozen answers": lambda toxic: toxic.add("timeout", timeout=0),
    "late questions": lambda toxic: toxic.add("latency", "upstream", latency=1500),
    "late answers": lambda toxic: toxic.add("latency", latency=1500),
    "half a question": lambda toxic: toxic.add("limit_data", "upstream", bytes=20),
    "half an answer": lambda toxic: toxic.add("limit_data", bytes=3),
    "lost after one question": lambda toxic: toxic.add("limit_data", "upstream", bytes=60),
}


@pytest.fixture(params=FAULTS)
def fault(request):
    return FAULTS[request.param]


async def up(*caches):
    async with asyncio.timeout(60):
        while not all(is_settled(cache) for cache in caches):  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def once_well(toxic, *caches):
    toxic.heal()
    for cache in caches:
        await cache.get("anything")  # a fault that nobody met yet is met now
    await up(*caches)


async def answer(value):
    return value


async def test_a_read_is_right_or_a_miss(redis, toxic, fault):
    async with open_cache(toxic.url, options=QUICK) as cache, open_cache(redis.url) as other:
        await cache.set_many({"k": "v" * 100, "l": "w"})
        fault(toxic)
        assert await cache.get("k") in {"v" * 100, None}
        found = await cache.get_many(["k", "l"])
        assert found.items() <= {"k": "v" * 100, "l": "w"}.items()
        await once_well(toxic, cache)
        assert await cache.get_many(["k", "l"]) == {"k": "v" * 100, "l": "w"}
        assert await other.get("l") == "w"


async def test_an_invalidation_is_applied_or_pending_and_then_applied(redis, toxic, fault):
    async with open_cache(toxic.url, options=QUICK) as cache, open_cache(redis.url) as other:
        await cache.set_many({"key": 1, "p1": 1, "p2": 1, "stays": 1})
        await cache.set("tagged", 1, tags=["tag"])
        fault(toxic)
        told = await cache.invalidate(keys=["key"], tags=["tag"], pattern="p*")
        gone = ["key", "p1", "p2", "tagged"]
        if told is Outcome.APPLIED:
            assert await other.get_many(gone) == {}
        assert await cache.get_many(gone) == {}
        await once_well(toxic, cache)
        assert pending(cache) == 0
        assert await cache.get_many(gone) == await other.get_many(gone) == {}
        assert await other.get("stays") == 1


async def test_a_set_is_seen_by_all_or_in_the_end_by_none(redis, toxic, fault):
    async with open_cache(toxic.url, options=QUICK) as cache, open_cache(redis.url) as other:
        await cache.set("k", "old")
        fault(toxic)
        told = await cache.set("k", "new", tags=["tag"])
        if told is Outcome.APPLIED:
            assert await other.get("k") == "new"
        await once_well(toxic, cache)
        expected = "new" if told is Outcome.APPLIED else None
        assert await cache.get("k") == await other.get("k") == expected


async def test_a_load_counts_and_what_was_invalidated_meanwhile_is_not_stored(redis, toxic, fault):
    async with open_cache(toxic.url, options=QUICK) as cache, open_cache(redis.url) as other:

        async def load():
            fault(toxic)
            assert await other.invalidate(keys=["k"]) is Outcome.APPLIED
            return "old"

        assert await cache.get_or_set("k", load) == "old"
        assert await cache.get_or_set("k", lambda: answer("new")) == "new"
        await once_well(toxic, cache)
        for each in (cache, other):
            assert await each.get_or_set("k", lambda: answer("new")) == "new"


async def test_a_number_is_added_once_or_the_caller_is_told(redis, toxic, fault):
    async with open_cache(toxic.url, options=QUICK) as cache, open_cache(redis.url) as other:
        await cache.set("n", 0)
        told = 0
        fault(toxic)
        lost = 0
        for _ in range(3):
            try:
                told = await cache.increment("n")
            except UnavailableError:
                lost += 1
        await once_well(toxic, cache)
        there = await other.get("n")
        assert there is not None
        assert told <= there <= 3
        assert there - told <= lost
        assert await cache.increment("n") == there + 1


@pytest.mark.parametrize(
    ("stream", "after"),
    [
        *(("upstream", after) for after in (30, 120, 180, 500, 870, 1000, 1130)),
        *(("downstream", after) for after in (3, 900, 957, 1005, 1012, 1100, 1243)),
    ],
)
async def test_a_replay_that_is_cut_anywhere_is_done_before_the_first_read(
    redis, toxic, stream, after
):
    async with open_cache(toxic.url, options=QUICK) as cache, open_cache(redis.url) as other:
        names = [f"k{number}" for number in range(40)]
        await cache.set_many(dict.fromkeys(names, 1))
        redis.freeze()
        assert await cache.invalidate(keys=names[:30], pattern="k3*") is Outcome.PENDING
        toxic.add("limit_data", stream, bytes=after)
        redis.thaw()
        attempts = counted_attempts(cache)
        while len(attempts) < 2 and not is_settled(cache):  # several attempts end half way
            assert await cache.get_many(names) == {}
            await asyncio.sleep(0)
        await once_well(toxic, cache)
        assert await cache.get_many(names) == await other.get_many(names) == {}
        assert pending(cache) == 0


def counted_attempts(cache):
    """Return a list that grows with every attempt of *cache* to use its store again."""
    attempts = []
    honest = cache._driver.recover

    async def recover():
        done = await honest()
        attempts.append(done)
        return done

    cache._driver.recover = recover
    return attempts


async def test_answers_in_slices_are_answers(toxic):
    for stream in ("upstream", "downstream"):
        toxic.add("slicer", stream, average_size=3, size_variation=2, delay=0)
    async with open_cache(toxic.url) as cache:
        values = {f"k{number}": ["x" * number, number, None] for number in range(200)}
        assert await cache.set_many(values, ttl=60, tags=["t"]) is Outcome.APPLIED
        assert await cache.get_many(values) == values
        assert await cache.get_or_set("big", lambda: answer("y" * 20_000)) == "y" * 20_000
        assert await cache.get("big") == "y" * 20_000
        assert await cache.invalidate(pattern="k*") is Outcome.APPLIED
        assert await cache.keys() == ["big"]
        assert is_up(cache)
    with sync.open_cache(toxic.url) as cache:
        assert cache.get("big") == "y" * 20_000
        assert is_up(cache)


@pytest.mark.parametrize("fault", ["cut", "frozen answers", "half a question"])
def test_blocking_code_meets_the_same_faults(redis, toxic, fault):
    with sync.open_cache(toxic.url, options=QUICK) as cache, sync.open_cache(redis.url) as other:
        cache.set_many({"a": 1, "b": 1, "c": 1})
        FAULTS[fault](toxic)
        assert cache.get("a") in {1, None}
        told = [cache.delete("a"), cache.invalidate(pattern="b*")]
        assert told[-1] is Outcome.PENDING
        assert cache.get_or_set("c", lambda: 1) == 1
        toxic.heal()
        wait_until(lambda: cache.get("x") or is_up(cache), "it stays away")
        assert cache.get_many(["a", "b"]) == other.get_many(["a", "b"]) == {}


async def test_a_server_that_comes_back_empty_is_an_empty_one(redis, toxic):
    async with open_cache(toxic.url, options=QUICK) as cache:
        await cache.set("k", 1, tags=["t"])
        redis.kill()
        assert await cache.get("k") is None
        redis.start()
        await up(cache)
        assert await cache.get("k") is None
        assert await cache.set("k", 2, tags=["t"]) is Outcome.APPLIED
        assert await cache.get("k") == 2


async def test_a_replica_that_lags_and_a_primary_that_was_deposed_are_not_believed(
    tmp_path, redis, toxic
):
    """The address leads to a replica without the last invalidation, and then back again."""
    (tmp_path / "replica").mkdir()
    replicaof = ("--replicaof", "127.0.0.1", str(redis.port))
    with RedisServer(tmp_path / "replica", *replicaof) as replica:
        async with (
            open_cache(toxic.url, options=QUICK) as cache,
            open_cache(toxic.url, options=QUICK) as other,
        ):
            await cache.set("k", "old")
            wait_until(lambda: replica.ask("EXISTS", "holdfast:k:k") == ":1", "it never follows")
            replica.freeze()
            assert await cache.invalidate(keys=["k"]) is Outcome.APPLIED
            await cache.set("gone", "old")
            lead(toxic, replica)
            replica.thaw()
            assert replica.ask("REPLICAOF", "NO", "ONE") == "+OK"
            if replica.ask("EXISTS", "holdfast:k:k") == ":0":  # what lay in its buffer came in time
                replica.ask("SET", "holdfast:k:k", "\xa3old")
            for each in (cache, other):
                assert await each.get("k") is None
            await up(cache, other)
            assert await cache.get("k") is None
            assert await other.get("k") is None
            assert await cache.invalidate(keys=["gone"]) is Outcome.APPLIED
            assert redis.ask("EXISTS", "holdfast:k:gone") == ":1"
            lead(toxic, redis)
            for each in (cache, other):
                await each.get("anything")
            await up(cache, other)
            assert await cache.get("gone") is None
            assert await other.get("gone") is None


def lead(toxic, server):
    toxic.cut()
    toxic._call("POST", f"/proxies/{toxic.name}", upstream=f"127.0.0.1:{server.port}", enabled=True)


async def test_health_and_stats_say_state_since_when_and_what_is_pending(redis, toxic):
    async with open_cache(toxic.url, options=QUICK) as cache:
        begun = await cache.health()
        assert (begun.state, begun.detail) == (HealthState.UP, "")
        assert begun.latency > 0
        figures = cache.stats()
        assert (figures.gauges["up"], figures.gauges["pending"]) == (1, 0)
        assert (figures.counters["hits"], figures.counters["misses"]) == (0, 0)
        await cache.set("k", 1)
        for key in ("k", "k", "k", "none"):
            await cache.get(key)
        toxic.cut()
        for number in itertools.count(1):
            await cache.delete(f"k{number}")
            if pending(cache) == 2:
                break
        health = await cache.health()
        assert health.state is HealthState.DOWN
        assert re.search(
            r"away since 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC \(redis .+\)", health.detail
        )
        assert "2 invalidations wait for it" in health.detail
        lost = cache.stats()
        assert lost.gauges["since"] > figures.gauges["since"]
        assert (lost.counters["hits"], lost.counters["misses"]) == (3, 1)
        await once_well(toxic, cache)
        assert cache.stats().gauges["since"] > lost.gauges["since"]
        found = await cache.health()
        assert (found.state, found.detail) == (HealthState.UP, "")


async def test_metrics_tell_what_each_cache_did(toxic):
    async with open_cache(toxic.url, options=QUICK) as one, open_cache("memory://") as two:
        await one.set("k", 1)
        await one.get("k")
        await one.get("none")
        await one.get_or_set("l", lambda: asyncio.sleep(0.01, "loaded"))
        toxic.cut()
        assert await one.delete("k") is Outcome.PENDING
        registry = CollectorRegistry()
        registry.register(MetricsCollector({"cache": {"one": one, 'two "of" 2': two}}, None))

        def sample(figure, name="one", backend="redis"):
            labels = {"name": name, "backend": backend}
            return registry.get_sample_value(f"holdfast_cache_{figure}", labels)

        assert sample("hits_total") == 1
        assert sample("misses_total") == 2
        assert sample("load_seconds_total") >= 0.01
        assert sample("outages_total") == 1
        assert sample("pending_answers_total") == 1
        assert sample("pending") == 1
        assert sample("up") == 0
        assert sample("up", 'two "of" 2', "memory") == 1
        assert b'name="two \\"of\\" 2"' in generate_latest(registry)
