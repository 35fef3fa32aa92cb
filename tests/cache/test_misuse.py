"""What goes wrong in a caller's own code: loads that hang, foreign things, closed caches."""

import asyncio

import pytest

from cache.states import counter
from holdfast.cache import CacheOptions, Outcome, open_cache, sync
from holdfast.errors import ConfigurationError, InvalidValueError

pytestmark = pytest.mark.anyio


async def loads(value):
    return value


@pytest.fixture(params=["memory", "redis", "near"])
def url(request):
    if request.param == "memory":
        return "memory://"
    shared_redis = request.getfixturevalue("shared_redis")
    shared_redis.say("FLUSHALL")
    return shared_redis.url + ("?near=0.01" if request.param == "near" else "")


async def test_who_waits_gives_up_on_a_load_that_never_returns(url):
    options = CacheOptions(load_timeout=1.0, early=0)
    async with asyncio.timeout(60), open_cache(url, options=options) as cache:
        never = asyncio.Event()
        began = asyncio.Event()
        second = 0

        async def hang():
            began.set()
            await never.wait()
            return "late"

        async def load():
            nonlocal second
            second += 1
            return "loaded"

        leader = asyncio.create_task(cache.get_or_set("k", hang))
        await began.wait()
        waiting = [cache.get_or_set("k", load) for _ in range(20)]
        assert await asyncio.gather(*waiting) == ["loaded"] * 20
        assert second == 1
        assert not leader.done()
        never.set()
        assert await leader == "late"
        assert await cache.get("k") == "loaded"


async def test_a_load_that_asks_for_its_own_key_is_refused_at_once(url):
    async with asyncio.timeout(60), open_cache(url) as cache:

        async def load():
            return await cache.get_or_set("k", load)

        with pytest.raises(RuntimeError, match="'k' itself"):
            await cache.get_or_set("k", load)

        async def around():
            return await cache.get_or_set("b", back)

        async def back():
            return await cache.get_or_set("a", around)

        with pytest.raises(RuntimeError, match="'a' itself"):
            await cache.get_or_set("a", around)

        async def inner():
            return await cache.get_or_set("inner", lambda: loads(1)) + 1

        assert await cache.get_or_set("outer", inner) == 2
        assert await cache.get_or_set("k", lambda: loads(3)) == 3


def test_blocking_too(url):
    with sync.open_cache(url) as cache:

        def load():
            return cache.get_or_set("k", load)

        with pytest.raises(RuntimeError, match="'k' itself"):
            cache.get_or_set("k", load)
        assert cache.get_or_set("k", lambda: cache.get_or_set("l", lambda: 2)) == 2


FOREIGN = {
    "a list": "redis.call('LPUSH', KEYS[1], 'y')",
    "an empty text": "redis.call('SET', KEYS[1], '')",
    "a torn entry": r"redis.call('SET', KEYS[1], '\193V')",
}


def put(server, what):
    assert "ERR" not in server.say("EVAL", FOREIGN[what], "1", "holdfast:k:x")


@pytest.mark.parametrize("near", ["", "?near=0.01"])
@pytest.mark.parametrize("what", FOREIGN)
async def test_a_foreign_thing_under_a_key_is_a_miss(shared_redis, what, near):
    shared_redis.say("FLUSHALL")
    async with asyncio.timeout(60), open_cache(shared_redis.url + near) as cache:
        await cache.set("mine", 1)
        put(shared_redis, what)
        assert await cache.get("x", "nothing") == "nothing"
        assert counter(cache, "unreadable") == 1
        assert await cache.get_many(["x", "mine"]) == {"mine": 1}
        with pytest.raises(InvalidValueError, match="no whole number"):
            await cache.increment("x")
        with pytest.raises(InvalidValueError, match="no whole number"):
            await cache.increment("x", ttl=5)
        assert "mine" in await cache.keys("*")
        for tags in ((), ("t",)):
            assert await cache.get_or_set("x", lambda: loads(5), ttl=60, tags=tags) == 5
            assert await cache.get("x") == 5
            await cache.delete("x")
            put(shared_redis, what)
        assert await cache.get_or_set_many(["x"], lambda _: loads({"x": 6})) == {"x": 6}
        assert await cache.get("x") == 6


@pytest.mark.parametrize("what", ["a list", "an empty text"])
def test_a_foreign_thing_has_no_time_and_gives_way(shared_redis, what):
    shared_redis.say("FLUSHALL")
    with sync.open_cache(shared_redis.url) as cache:
        put(shared_redis, what)
        assert cache.ttl("x") is None
        assert cache.expire("x", 5) is False
        assert cache.keys() == []
        assert cache.add("x", 1) is True
        assert cache.get("x") == 1
        assert cache.add("x", 2) is False


async def test_a_foreign_thing_under_a_tag_gives_way(shared_redis):
    shared_redis.say("FLUSHALL")
    shared_redis.say("LPUSH", "holdfast:t:t", "y")
    async with asyncio.timeout(60), open_cache(shared_redis.url) as cache:
        await cache.set("k", 1, tags=["t"])
        assert await cache.get("k") == 1
        await cache.invalidate(tags=["t"])
        assert await cache.get("k") is None


async def test_a_closed_cache_says_so(url):
    async with open_cache(url) as cache:
        await cache.set("k", 1)
    for call in (
        cache.get("k"),
        cache.get_many(["k", "l"]),
        cache.set("k", 2),
        cache.add("k", 2),
        cache.increment("n"),
        cache.delete("k"),
        cache.invalidate(pattern="*"),
        cache.keys(),
        cache.ttl("k"),
        cache.expire("k", 5),
        cache.get_or_set("k", lambda: loads(1)),
        cache.get_or_set_many(["k"], lambda _: loads({"k": 1})),
    ):
        with pytest.raises(RuntimeError, match="the cache is closed"):
            await call


def test_a_closed_blocking_cache_says_so_and_connects_no_more(url, shared_redis):
    with sync.open_cache(url) as cache:
        cache.set("k", 1)
    clients = shared_redis.say("CLIENT", "LIST").count("\n")
    for call in (
        lambda: cache.get("k"),
        lambda: cache.set("k", 2),
        lambda: cache.increment("n"),
        lambda: cache.delete("k"),
        lambda: cache.get_or_set("k", lambda: 1),
    ):
        with pytest.raises(RuntimeError, match="the cache is closed"):
            call()
    assert shared_redis.say("CLIENT", "LIST").count("\n") == clients


async def test_an_opening_is_entered_once(url):
    opening, blocking = open_cache(url), sync.open_cache(url)
    async with opening:
        with pytest.raises(RuntimeError, match="entered before"):
            await opening.__aenter__()
    with blocking:
        pass
    with pytest.raises(RuntimeError, match="entered before"), blocking:
        pass


async def test_a_load_of_the_wrong_kind_is_named():
    async with open_cache("memory://") as cache:
        with pytest.raises(InvalidValueError, match="expected an async function"):
            await cache.get_or_set("k", lambda: 1)
        with pytest.raises(InvalidValueError, match="expected an async function"):
            await cache.get_or_set_many(["k"], lambda _: {"k": 1})
        with pytest.raises(InvalidValueError, match="mapping of keys to values, got list"):
            await cache.get_or_set_many(["k"], lambda _: loads([1]))
        with pytest.raises(InvalidValueError, match="expected a function, got 5"):
            await cache.get_or_set("k", 5)
        assert await cache.get_or_set("k", lambda: loads(1)) == 1
    with sync.open_cache("memory://") as blocking:
        with pytest.raises(InvalidValueError, match="function that blocks"):
            blocking.get_or_set("k", lambda: loads(1))
        with pytest.raises(InvalidValueError, match="function that blocks"):
            blocking.get_or_set_many(["k"], lambda _: loads({}))
        with pytest.raises(InvalidValueError, match="mapping of keys to values, got list"):
            blocking.get_or_set_many(["k"], lambda _: [1])
        with pytest.raises(InvalidValueError, match="expected a function, got 5"):
            blocking.get_or_set("k", 5)
        assert blocking.get_or_set("k", lambda: 1) == 1


async def test_arguments_that_mean_nothing_are_named():
    async with open_cache("memory://") as cache:
        for call, reason in (
            (lambda: cache.keys(5), "expected a glob"),
            (lambda: cache.invalidate(tags=3), "several tags, got 3"),
            (lambda: cache.invalidate(keys=5), "several keys, got 5"),
            (lambda: cache.invalidate(keys=""), "one text"),
            (lambda: cache.invalidate(keys=0), "several keys, got 0"),
            (lambda: cache.invalidate(pattern=5), "expected a glob"),
            (lambda: cache.set("k", 1, tags=None), "several tags, got None"),
            (lambda: cache.set("k", 1, tags=[[]]), "expected text"),
            (lambda: cache.get_many(None), "several keys, got None"),
            (lambda: cache.get_many([[]]), "expected text"),
            (lambda: cache.set_many([1]), "expected a mapping"),
        ):
            with pytest.raises(InvalidValueError, match=reason):
                await call()
    for opener in (open_cache, sync.open_cache):
        for url in (None, 5, b"memory://"):
            with pytest.raises(ConfigurationError, match="expected text"):
                opener(url)


@pytest.mark.parametrize(
    "error", [TimeoutError, KeyError, asyncio.CancelledError, InvalidValueError]
)
async def test_what_is_raised_in_the_block_comes_out_of_it(url, error):
    raised = error("a", "b", "c") if error is InvalidValueError else error()
    with pytest.raises(error) as caught:
        async with open_cache(url):
            raise raised
    assert caught.value is raised
    with pytest.raises(error) as caught, sync.open_cache(url):
        raise raised
    assert caught.value is raised


@pytest.mark.parametrize("blocking", [False, True])
async def test_a_close_that_its_store_refuses_hides_no_error(redis, caplog, blocking):
    """The user may not come back in: what waits is lost, and said to be."""
    options = CacheOptions(timeout=0.3)
    with pytest.raises(KeyError, match="mine"):
        if blocking:
            with sync.open_cache(redis.url, options=options) as cache:
                refuse(redis)
                assert cache.delete("k") is Outcome.PENDING
                raise KeyError("mine")
        async with open_cache(redis.url, options=options) as cache:
            refuse(redis)
            assert await cache.delete("k") is Outcome.PENDING
            raise KeyError("mine")
    assert "never heard of" in caplog.text


def refuse(server):
    server.ask("CONFIG", "SET", "requirepass", "changed")
    server.say("-a", "changed", "CLIENT", "KILL", "TYPE", "normal")
