"""get_or_set under many callers, in one process and in several."""

import asyncio
import subprocess
import sys
import threading
import time

import pytest

from cache.states import counter
from holdfast.cache import CacheOptions, open_cache, sync
from holdfast.cache.conformance.expiry_cases import becomes
from holdfast.cache.drivers.memory import MemoryCacheDriver

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["memory", "redis"])
def url(request):
    if request.param == "memory":
        return "memory://"
    return request.getfixturevalue("redis").url


class Gate:
    """A load that goes on when it is told to."""

    def __init__(self, value="loaded"):
        self.value = value
        self.loads = 0
        self.started = asyncio.Event()
        self.open = asyncio.Event()

    @classmethod
    def opened(cls, value):
        gate = cls(value)
        gate.open.set()
        return gate

    async def load(self):
        self.loads += 1
        self.started.set()
        await self.open.wait()
        return self.value


async def waiting(cache, key):
    """How many wait for the load of *key*."""
    flight = cache._loader._flights.get(f"k:{key}")
    return flight.waiting if flight else 0


async def test_a_thousand_callers_load_once(url):
    async with open_cache(url) as cache:
        gate = Gate()
        tasks = [asyncio.create_task(cache.get_or_set("k", gate.load)) for _ in range(1000)]
        await gate.started.wait()
        tasks += [asyncio.create_task(cache.get_or_set("k", gate.load)) for _ in range(100)]
        await asyncio.sleep(0)
        gate.open.set()
        assert await asyncio.gather(*tasks) == ["loaded"] * 1100
        assert gate.loads == 1
        assert await cache.get("k") == "loaded"


async def test_cancelling_one_who_waits_cancels_nobody_else(url):
    async with open_cache(url) as cache:
        gate = Gate()
        first, second = (asyncio.create_task(cache.get_or_set("k", gate.load)) for _ in range(2))
        await gate.started.wait()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        gate.open.set()
        assert await second == "loaded"
        assert gate.loads == 1


async def test_a_load_that_nobody_waits_for_any_more_ends_and_frees_the_key(url):
    async with open_cache(url) as cache:
        gate = Gate()
        only = asyncio.create_task(cache.get_or_set("k", gate.load))
        await gate.started.wait()
        only.cancel()
        with pytest.raises(asyncio.CancelledError):
            await only
        other = Gate("other")
        other.open.set()
        async with asyncio.timeout(5):
            assert await cache.get_or_set("k", other.load) == "other"
        assert await cache.get("k") == "other"


async def test_a_flight_that_was_overtaken_is_not_joined_again(monkeypatch):
    """A cache in memory never lets others run: joining what has ended already would never end."""
    honest = MemoryCacheDriver.swap_many
    claims = []

    async def swap_many(self, swaps, **how):
        claims.append(swaps)
        return [False] * len(swaps) if len(claims) == 1 else await honest(self, swaps, **how)

    monkeypatch.setattr(MemoryCacheDriver, "swap_many", swap_many)
    async with open_cache("memory://") as cache:
        gate = Gate()
        gate.open.set()
        first = asyncio.create_task(cache.get_or_set("k", gate.load))
        await asyncio.sleep(0)
        second = asyncio.create_task(cache.get_or_set("k", gate.load))
        assert await asyncio.gather(first, second) == ["loaded"] * 2
        assert gate.loads == 1


async def test_what_a_load_raises_goes_to_all_who_wait(url):
    async with open_cache(url) as cache:
        release = asyncio.Event()

        async def fail():
            await release.wait()
            raise LookupError("mine")

        tasks = [asyncio.create_task(cache.get_or_set("k", fail)) for _ in range(10)]
        await becomes(lambda: waiting(cache, "k"), 10)
        release.set()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(error) for error in ended} == {LookupError}
        assert counter(cache, "failed_loads") == 1


@pytest.mark.parametrize("how", ["key", "tag"])
async def test_whoever_calls_after_an_invalidation_does_not_get_the_load_from_before(url, how):
    async with open_cache(url) as cache:
        old, new = Gate("old"), Gate("new")
        before = asyncio.create_task(cache.get_or_set("k", old.load, tags=["t"]))
        await old.started.wait()
        joined = asyncio.create_task(cache.get_or_set("k", old.load, tags=["t"]))
        await becomes(lambda: waiting(cache, "k"), 2)
        await cache.invalidate(**({"keys": ["k"]} if how == "key" else {"tags": ["t"]}))
        new.open.set()
        assert await cache.get_or_set("k", new.load, tags=["t"]) == "new"
        old.open.set()
        assert await before == "old"
        assert await joined == "old"
        assert await cache.get("k") == "new"
        assert counter(cache, "loads") == 2
        assert counter(cache, "void_loads") == 1


async def test_a_stale_value_is_served_while_one_loads_anew(url):
    async with open_cache(url, options=CacheOptions(early=0)) as cache:
        first, again = Gate("first"), Gate("again")
        first.open.set()
        await cache.get_or_set("k", first.load, ttl=0.01, stale=60)
        async with asyncio.timeout(5):
            while not again.loads:
                assert await cache.get_or_set("k", again.load, ttl=60, stale=60) == "first"
                await asyncio.sleep(0)
        found = await asyncio.gather(
            *[cache.get_or_set("k", again.load, ttl=60, stale=60) for _ in range(50)]
        )
        assert found == ["first"] * 50
        again.open.set()
        await becomes(lambda: cache.get("k"), "again")
        assert again.loads == 1


async def test_a_stale_value_is_loaded_anew_by_one_process(redis):
    options = CacheOptions(early=0)
    async with (
        open_cache(redis.url, options=options) as one,
        open_cache(redis.url, options=options) as two,
    ):
        how = {"ttl": 0.05, "stale": 60}
        assert await one.get_or_set("k", Gate.opened("old").load, **how) == "old"
        until = time.monotonic() + 0.05
        await becomes(lambda: passed(until), expected=True)
        gate = Gate("new")
        assert await one.get_or_set("k", gate.load, **how) == "old"
        await gate.started.wait()
        assert await two.get_or_set("k", gate.load, **how) == "old"
        await becomes(lambda: all_done(two), expected=True)
        assert gate.loads == 1
        gate.open.set()


async def passed(until):
    return time.monotonic() > until


async def all_done(cache):
    return not cache._loader._running


async def test_an_invalidation_during_a_new_load_of_a_stale_value_makes_it_void(url):
    async with open_cache(url) as cache:
        first, again = Gate("first"), Gate("again")
        first.open.set()
        await cache.get_or_set("k", first.load, ttl=0.01, stale=60)
        async with asyncio.timeout(5):
            while not again.loads:
                await cache.get_or_set("k", again.load, ttl=60, stale=60)
                await asyncio.sleep(0)
        await cache.delete("k")
        again.open.set()

        async def void_loads():
            return counter(cache, "void_loads")

        await becomes(void_loads, 1)
        assert await cache.get("k") is None


async def test_a_costly_value_is_loaded_before_it_ends():
    """With early=1e4 chance picks a caller soon; without, nobody loads before the end."""
    for early, expected in ((10_000.0, 2), (0.0, 1)):
        async with open_cache("memory://", options=CacheOptions(early=early)) as cache:
            loads = 0

            async def load():
                nonlocal loads
                loads += 1
                await asyncio.sleep(0.01 if loads == 1 else 0)
                return loads

            await cache.get_or_set("k", load, ttl=60)
            for _ in range(200):
                await cache.get_or_set("k", load, ttl=60)
                await asyncio.sleep(0)
                if loads > 1:
                    break
            assert min(loads, 2) == expected


async def test_a_loaded_none_has_a_time_of_its_own():
    async with open_cache("memory://?negative_ttl=7") as cache:

        async def nothing():
            return None

        await cache.get_or_set("none", nothing, ttl=60)
        assert await cache.ttl("none") <= 7
        gate = Gate()
        gate.open.set()
        await cache.get_or_set("some", gate.load, ttl=60)
        assert await cache.ttl("some") > 7


async def test_the_load_lock_of_a_loader_that_died_ends(redis):
    async with open_cache(redis.url, options=CacheOptions(load_timeout=0.2)) as cache:
        script = (
            "import os, sys\n"
            "from holdfast.cache import CacheOptions, sync\n"
            "with sync.open_cache(sys.argv[1], options=CacheOptions(load_timeout=0.2)) as cache:\n"
            "    cache.get_or_set('k', lambda: os._exit(3))\n"
        )
        loader = await asyncio.create_subprocess_exec(sys.executable, "-c", script, redis.url)
        assert await loader.wait() == 3
        gate = Gate()
        gate.open.set()
        assert await cache.get_or_set("k", gate.load) == "loaded"


def test_processes_load_once_between_them(redis, tmp_path):
    script = (
        "import os, sys, time\n"
        "from holdfast.cache import sync\n"
        "def load():\n"
        "    os.open(sys.argv[2], os.O_CREAT | os.O_EXCL)\n"  # a second load fails here
        "    time.sleep(0.2)\n"
        "    return 'loaded'\n"
        "with sync.open_cache(sys.argv[1]) as cache:\n"
        "    assert cache.get_or_set('k', load) == 'loaded'\n"
    )
    command = [sys.executable, "-c", script, redis.url, str(tmp_path / "loaded")]
    processes = [subprocess.Popen(command) for _ in range(4)]
    assert [process.wait(600) for process in processes] == [0] * 4


def test_threads_load_once_between_them(redis):
    loads = []
    with sync.open_cache(redis.url) as cache:

        def load():
            loads.append(1)
            time.sleep(0.05)
            return "loaded"

        found = []
        threads = [
            threading.Thread(target=lambda: found.append(cache.get_or_set("k", load)))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert (len(loads), found) == (1, ["loaded"] * 8)


async def test_counters_add_up_across_callers(redis):
    async with open_cache(redis.url) as cache, open_cache(redis.url) as other:
        await asyncio.gather(*[each.increment("n") for each in (cache, other) * 250])
        assert await cache.get("n") == 500
        won = await asyncio.gather(*[each.add("lock", 1) for each in (cache, other) * 50])
        assert sum(won) == 1


async def test_commands_of_one_turn_share_a_round_trip(redis):
    async with open_cache(redis.url) as cache:
        await cache.set("k", 1)
        before = int(_info(redis, "total_reads_processed"))
        await asyncio.gather(*[cache.get("k") for _ in range(500)])
        reads = int(_info(redis, "total_reads_processed")) - before
        assert reads < 10


def _info(server, name):
    ended = subprocess.run(
        ["redis-cli", "-p", str(server.port), "INFO", "stats"],
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(line.split(":") for line in ended.stdout.split() if ":" in line)[name]
