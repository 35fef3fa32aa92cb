"""The decorator, locks with fencing numbers, token buckets, and times as timedeltas."""

import asyncio
import threading
from dataclasses import dataclass
from datetime import timedelta
from types import SimpleNamespace
from uuid import uuid4

import pytest

from holdfast.cache import CacheCapability, cache_lock, open_cache, sync
from holdfast.cache.cache_lock import take_lock
from holdfast.cache.token_bucket import TokenBucket
from holdfast.errors import InvalidValueError, LockTimeoutError, UnavailableError

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["memory", "redis", "near", "cluster"])
def url(request):
    if request.param == "memory":
        return "memory://"
    if request.param == "cluster":
        cluster = request.getfixturevalue("shared_cluster")
        return f"{cluster.url}?prefix=c{uuid4().hex}"
    server = request.getfixturevalue("shared_redis")
    near = "&near=0.02" if request.param == "near" else ""
    return f"{server.url}?prefix=c{uuid4().hex}{near}"


@dataclass
class Point:
    x: int
    y: int


async def test_a_decorated_function_is_called_once_for_each_arguments(url):
    calls = []
    async with open_cache(url) as cache:

        @cache.cached(ttl=timedelta(minutes=1), tags=["points"])
        async def point(x: int, y: int = 0) -> Point:
            """Return it."""
            calls.append((x, y))
            return Point(x, y)

        assert await point(1) == await point(x=1) == await point(1, y=0) == Point(1, 0)
        assert await point(2) == Point(2, 0)
        assert calls == [(1, 0), (2, 0)]
        await cache.invalidate(tags=["points"])
        assert await point(1) == Point(1, 0)
        assert calls == [(1, 0), (2, 0), (1, 0)]
        assert point.__name__ == "point"
        assert point.__doc__ == "Return it."
        with pytest.raises(TypeError):
            await point(1, 2, 3)


def test_in_blocking_code_too(url):
    calls = []
    with sync.open_cache(url) as cache:

        @cache.cached(key=lambda text, **_: f"length:{text}")
        def length(text: str, *, loud: bool = False) -> int:
            calls.append(text)
            return len(text)

        assert length("abc") == length("abc", loud=True) == 3
        assert calls == ["abc"]
        assert cache.get("length:abc") == 3


async def test_arguments_that_make_no_key_are_refused():
    async with open_cache("memory://") as cache:

        @cache.cached()
        async def odd(thing: object) -> int:
            return 1

        with pytest.raises(InvalidValueError, match="key="):
            await odd(object())
        assert await odd("x" * 5000) == 1
        assert all(len(key) < 1024 for key in await cache.keys())
        assert await odd({"b": 1, "a": 2}) == await odd({"a": 2, "b": 1}) == 1
        assert len(await cache.keys()) == 2
        with pytest.raises(InvalidValueError, match="ttl"):
            cache.cached(ttl=-1)
        with pytest.raises(InvalidValueError, match="function"):
            cache.cached()(7)


@pytest.mark.parametrize("ttl", [timedelta(seconds=90), 90])
async def test_a_time_may_be_a_timedelta(url, ttl):
    async def load():
        return 1

    async with open_cache(url) as cache:
        await cache.set("a", 1, ttl=ttl)
        await cache.set_many({"b": 1}, ttl=ttl)
        await cache.add("c", 1, ttl=ttl)
        await cache.increment("d", ttl=ttl)
        await cache.get_or_set("e", load, ttl=ttl, stale=ttl)
        await cache.set("f", 1)
        await cache.expire("f", ttl)
        for key in "abcdf":
            assert 80 < await cache.ttl(key) <= 90
        assert 170 < await cache.ttl("e") <= 180
        for bad in (timedelta(0), timedelta(days=-1), timedelta(days=4000)):
            with pytest.raises(InvalidValueError):
                await cache.set("a", 1, ttl=bad)


async def test_one_holder_at_a_time_with_rising_numbers(url):
    inside, seen = [], []
    async with open_cache(url) as cache, open_cache(url) as other:

        async def hold(which):
            async with which.lock("l", wait=60) as held:
                inside.append(1)
                assert len(inside) == 1
                seen.append(held.number)
                await asyncio.sleep(0)
                inside.pop()

        both = [cache] if url == "memory://" else [cache, other]
        await asyncio.gather(*[hold(which) for which in both for _ in range(10)])
    assert seen == sorted(set(seen))
    assert len(seen) == 10 * len(both)


async def test_a_lock_that_is_held_is_waited_for_no_longer_than_asked(url):
    async with open_cache(url) as cache:
        async with cache.lock("l") as held:
            with pytest.raises(LockTimeoutError, match="'l'"):
                async with cache.lock("l", wait=0.05):
                    raise AssertionError
            assert await held.renew()
        assert not await held.renew()
        assert not await held.release()
        async with cache.lock("l", wait=0.05) as later:
            assert later.number > held.number
        with pytest.raises(KeyError):
            async with cache.lock("l"):
                raise KeyError
        async with cache.lock("l", wait=0.05):
            pass
        for bad in ({"ttl": 0}, {"wait": -1}, {"ttl": None}):
            with pytest.raises(InvalidValueError):
                async with cache.lock("l", **bad):
                    raise AssertionError


async def test_a_holder_whose_lock_ended_before_its_number_came_is_none(url):
    """Held up between the two: another was there, so the late number is given to nobody."""
    async with open_cache(url) as cache:
        driver, steps = cache._driver, []

        class HeldUp:
            async def swap_many(self, swaps, **more):
                done = await driver.swap_many(swaps, **more)
                if not steps and done == [True]:
                    steps.append("held up")
                    await driver.delete_many(["l:x"])  # its time ended
                    async with cache.lock("x") as other:
                        steps.append(other.number)
                return done

            async def increment(self, *args, **more):
                return await driver.increment(*args, **more)

        held = await take_lock(HeldUp(), "x", ttl=30_000, wait=10, pause=asyncio.sleep)
        assert held.number > steps[1]
        assert await driver.get_many(["l:x"]) != [None]
        assert await held.renew()


async def test_a_lock_is_taken_and_renewed_in_the_store_alone_and_always_ends(url):
    """A process alone could not tell whether another has it; one without an end outlives it."""
    async with open_cache(url) as cache:
        driver, asked = cache._driver, []

        class Watched:
            async def swap_many(self, swaps, *, ttl=None, shared=False):
                asked.append((swaps[0].value is not None, ttl, shared))
                return await driver.swap_many(swaps, ttl=ttl, shared=shared)

            async def increment(self, *args, **more):
                return await driver.increment(*args, **more)

        held = await take_lock(Watched(), "x", ttl=30_000, wait=10, pause=asyncio.sleep)
        assert await held.renew()
        assert 0 < await driver.ttl("l:x") <= 30_000
        assert await held.release()
    assert {each for each in asked if each[0]} == {(True, 30_000, True)}
    assert [each for each in asked if not each[0]] == [(False, None, True)]


async def test_who_waits_pauses_longer_each_time_and_takes_what_is_let_go_of_late(monkeypatch):
    monkeypatch.setattr(cache_lock, "time", SimpleNamespace(monotonic=lambda: 0.0))
    async with open_cache("memory://") as cache:
        driver, pauses = cache._driver, []
        held = await take_lock(driver, "x", ttl=30_000, wait=1, pause=asyncio.sleep)

        async def pause(seconds):
            pauses.append(seconds)
            if len(pauses) == 3:
                await held.release()

        waited = await take_lock(driver, "x", ttl=30_000, wait=0.9, pause=pause)
        assert waited.number > held.number
    for number, seconds in enumerate(pauses):
        longest = cache_lock._FIRST_PAUSE * 2**number
        assert longest / 2 <= seconds <= longest


def test_threads_and_locks(url):
    inside, numbers = [], []
    with sync.open_cache(url) as cache:

        def hold():
            with cache.lock("l", wait=60) as held:
                inside.append(1)
                assert len(inside) == 1
                numbers.append(held.number)
                assert held.renew()
                inside.pop()

        threads = [threading.Thread(target=hold) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert numbers == sorted(numbers)
    assert len(numbers) == 8


async def test_tokens_are_taken_until_there_are_none(url):
    async with open_cache(url) as cache:
        assert CacheCapability.TOKEN_BUCKETS in cache.capabilities
        taken = [await cache.take_token("b", rate=0.01, burst=5) for _ in range(8)]
        assert taken[:5] == [0.0] * 5
        assert all(90 < wait <= 100 for wait in taken[5:])
        assert await cache.take_token("other", rate=0.01, burst=5, count=5) == 0
        assert 480 < await cache.take_token("other", rate=0.01, burst=5, count=5) <= 500
        at_once = await asyncio.gather(
            *[cache.take_token("crowd", rate=0.001, burst=10) for _ in range(50)]
        )
        assert at_once.count(0.0) == 10
        for bad in (
            {"rate": 0},
            {"burst": -1},
            {"count": 9},
            {"rate": float("nan")},
            {"rate": "1"},
        ):
            with pytest.raises(InvalidValueError):
                await cache.take_token("b", **{"rate": 1, "burst": 5, **bad})


def test_tokens_come_back_at_their_rate():
    bucket = TokenBucket(rate=2, burst=4)
    full_at, now = 0.0, 100.0
    for _ in range(4):
        full_at, wait = bucket.take(full_at, 1, now)
        assert wait == 0
    full_at, wait = bucket.take(full_at, 1, now)
    assert wait == pytest.approx(0.5)
    full_at, wait = bucket.take(full_at, 1, now + 0.5)
    assert wait == 0
    full_at, wait = bucket.take(full_at, 3, now + 0.5)
    assert wait == pytest.approx(1.5)


async def test_while_the_store_is_away_nobody_invents_an_answer(redis):
    async with open_cache(redis.url) as cache:
        await cache.set("k", 1)
        redis.kill()
        with pytest.raises(UnavailableError):
            await cache.take_token("b", rate=1, burst=1)
        with pytest.raises(UnavailableError):
            async with cache.lock("l"):
                raise AssertionError


async def test_no_namespace_holds_names_of_another(shared_redis):
    async with (
        open_cache(f"{shared_redis.url}?prefix=t1") as outer,
        open_cache(f"{shared_redis.url}?prefix=t1:k") as inner,
        open_cache(f"{shared_redis.url}?prefix=t1%253Ak") as escaped,
    ):
        await outer.set("k:b", "outer")
        await inner.set("b", "inner")
        await escaped.set("b", "escaped")
        assert await outer.get("k:b") == "outer"
        assert await inner.get("b") == "inner"
        assert await escaped.get("b") == "escaped"
        assert await outer.keys() == ["k:b"]
        await outer.invalidate(pattern="*")
        assert await inner.get("b") == "inner"
