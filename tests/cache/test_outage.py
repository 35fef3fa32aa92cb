"""What happens when Redis goes away, and when it comes back."""

import asyncio

import pytest

from cache.servers import wait_until
from cache.states import is_settled, is_up, overflowed, pending
from holdfast.cache import CacheOptions, Outcome, open_cache, sync
from holdfast.errors import ConfigurationError, StorageError, UnavailableError
from holdfast.health import HealthState

pytestmark = pytest.mark.anyio

QUICK = CacheOptions(timeout=1.0, early=0)


async def until(look):
    async with asyncio.timeout(60):
        while not look():  # noqa: ASYNC110 - a state, not an event
            await asyncio.sleep(0.005)


async def up(*caches):
    await until(lambda: all(is_settled(cache) for cache in caches))


async def noticed(cache):
    await cache.get("anything")
    assert not is_up(cache)


async def loads(value):
    return value


async def test_an_invalidation_during_an_outage_is_carried_out_before_the_first_read(redis):
    async with open_cache(redis.url, options=QUICK) as cache, open_cache(redis.url) as other:
        await cache.set_many({"a": 1, "b": 1, "c1": 1, "c2": 1, "kept": 1})
        await cache.set("tagged", 1, tags=["t"])
        redis.freeze()
        assert await cache.delete("a") is Outcome.PENDING
        assert await cache.invalidate(keys=["b"], tags=["t"], pattern="c*") is Outcome.PENDING
        assert not is_up(cache)
        assert pending(cache) == 4
        health = await cache.health()
        assert health.state is HealthState.DOWN
        assert "no " in health.detail
        assert "4 invalidations wait for it" in health.detail
        assert await cache.get_many(["a", "b", "c1", "tagged", "kept"]) == {}
        redis.thaw()
        await up(cache, other)
        assert await cache.keys() == ["kept"]
        assert await other.get_many(["a", "b", "c1", "c2", "tagged", "kept"]) == {"kept": 1}
        assert pending(cache) == 0


async def test_what_is_set_during_an_outage_is_read_here_and_gone_afterwards(redis):
    async with open_cache(redis.url, options=QUICK) as cache:
        await cache.set("k", "old")
        redis.freeze()
        assert await cache.set("k", "new") is Outcome.PENDING
        assert await cache.get("k") == "new"
        assert await cache.set_many({"m": 1}) is Outcome.PENDING
        assert await cache.keys() == ["k", "m"]
        assert await cache.delete("m") is Outcome.PENDING
        assert await cache.get("m") is None
        redis.thaw()
        await up(cache)
        assert await cache.get_many(["k", "m"]) == {}


async def test_a_write_that_timed_out_is_never_carried_out_later(redis):
    """The frozen server has it in its buffer; the next connection ends the one that sent it."""
    async with open_cache(redis.url, options=QUICK) as cache:
        await cache.set("k", "first")
        redis.freeze()
        assert await cache.set("k", "late") is Outcome.PENDING
        assert await cache.invalidate(keys=["k"]) is Outcome.PENDING
        redis.thaw()
        await up(cache)
        for _ in range(50):
            assert await cache.get("k") is None


async def test_what_must_be_true_for_everybody_is_refused_during_an_outage(redis):
    async with open_cache(redis.url, options=QUICK) as cache:
        await cache.set("n", 5)
        redis.freeze()
        await noticed(cache)
        for call in (cache.increment("n"), cache.add("k", 1), cache.increment("n", ttl=5)):
            with pytest.raises(UnavailableError, match="invented"):
                await call
        await cache.set("here", 1)
        with pytest.raises(UnavailableError):
            await cache.expire("here", 5)
        assert await cache.ttl("here") <= QUICK.fallback
        redis.thaw()
        await up(cache)
        assert await cache.increment("n") == 6


async def test_an_operation_that_meets_the_outage_says_so(redis):
    async with open_cache(redis.url, options=QUICK) as cache:
        redis.freeze()
        with pytest.raises(UnavailableError, match=r"no answer in 1\.0 s"):
            await cache.increment("n")
        assert not is_up(cache)


async def test_a_journal_that_overflowed_empties_the_namespace(redis):
    options = CacheOptions(timeout=1.0, journal=3)
    async with open_cache(redis.url, options=options) as cache:
        await cache.set_many({f"k{number}": number for number in range(1500)})
        async with open_cache(f"{redis.url}?prefix=other") as other:
            await other.set("k", 1)
        redis.freeze()
        for number in range(5):
            assert await cache.delete(f"k{number}") is Outcome.PENDING
        assert overflowed(cache)
        assert pending(cache) == 1
        redis.thaw()
        await up(cache)
        assert await cache.keys() == []
        assert not overflowed(cache)
        async with open_cache(f"{redis.url}?prefix=other") as other:
            assert await other.get("k") == 1


async def test_a_server_that_comes_back_with_old_data_is_not_believed(redis):
    """A snapshot or a replica that lags may hold what was invalidated since."""
    async with open_cache(redis.url, options=QUICK) as cache, open_cache(redis.url) as other:
        await cache.set("k", "old")
        redis.ask("SAVE")
        assert await cache.invalidate(keys=["k"]) is Outcome.APPLIED
        redis.kill()
        redis.start()
        assert redis.ask("EXISTS", "holdfast:k:k") == ":1"
        for each in (cache, other):
            assert await each.get("k") is None
        await up(cache, other)
        assert await cache.get("k") is None
        assert await other.get("k") is None
        assert redis.ask("EXISTS", "holdfast:k:k") == ":0"


async def test_a_flushed_server_is_an_empty_one(redis):
    async with open_cache(redis.url, options=QUICK) as cache:
        await cache.set("k", 1, tags=["t"])
        assert await cache.get_or_set("l", lambda: loads(1), tags=["t"]) == 1
        redis.ask("FLUSHALL")
        assert await cache.get_many(["k", "l"]) == {}
        assert await cache.get_or_set("l", lambda: loads(2), tags=["t"]) == 2
        assert is_up(cache)


async def test_a_fill_across_a_flush_is_void(redis):
    async with open_cache(redis.url, options=QUICK) as cache:

        async def load():
            redis.ask("FLUSHALL")
            return "loaded"

        assert await cache.get_or_set("k", load) == "loaded"
        assert await cache.get("k") is None


@pytest.mark.parametrize("keep", [5.0, 0.0])
async def test_loads_go_on_during_an_outage(redis, keep):
    options = CacheOptions(timeout=1.0, fallback=keep)
    async with open_cache(redis.url, options=options) as cache:
        redis.kill()
        count = 0

        async def load():
            nonlocal count
            count += 1
            await asyncio.sleep(0)
            return count

        assert await cache.get_or_set("k", load, tags=["t"]) == 1
        assert await cache.get_or_set("k", load, tags=["t"]) == (1 if keep else 2)
        assert await cache.invalidate(tags=["t"]) is Outcome.PENDING
        assert await cache.get("k") is None
        found = await asyncio.gather(*[cache.get_or_set("k", load, tags=["t"]) for _ in range(9)])
        assert found == [2 if keep else 3] * 9


async def test_a_load_across_the_outage_is_not_stored_when_it_was_invalidated(redis):
    async with open_cache(redis.url, options=QUICK) as cache:

        async def load():
            redis.freeze()
            assert await cache.invalidate(keys=["k"]) is Outcome.PENDING
            redis.thaw()
            await up(cache)
            return "old"

        assert await cache.get_or_set("k", load) == "old"
        assert await cache.get("k") is None


async def test_a_value_in_this_process_lives_a_short_time(redis):
    options = CacheOptions(timeout=1.0, fallback=0.05)
    async with open_cache(redis.url, options=options) as cache:
        redis.freeze()
        await cache.set("k", 1, ttl=60)
        assert await cache.ttl("k") <= 0.05
        async with asyncio.timeout(60):
            while await cache.get("k") is not None:  # noqa: ASYNC110 - time must pass
                await asyncio.sleep(0)


async def test_a_cache_opens_without_its_server_and_finds_it_later(redis):
    redis.kill()
    async with open_cache(redis.url, options=QUICK) as cache:
        assert not is_up(cache)
        assert await cache.get("k") is None
        assert await cache.set("k", 1) is Outcome.PENDING
        redis.start()
        await up(cache)
        assert await cache.set("k", 2) is Outcome.APPLIED
        assert await cache.get("k") == 2


async def test_closing_carries_out_what_is_pending(redis, monkeypatch):
    monkeypatch.setattr("holdfast.cache.connect.LAST_TRY", 60.0)
    async with open_cache(redis.url, options=QUICK) as cache:
        await cache.set("k", 1)
        redis.freeze()
        assert await cache.delete("k") is Outcome.PENDING
        redis.thaw()
    assert redis.ask("EXISTS", "holdfast:k:k") == ":0"


async def test_a_caller_that_is_cancelled_takes_no_answer_from_another(redis):
    async with open_cache(redis.url, options=QUICK) as cache:
        await cache.set_many({str(number): number for number in range(200)})
        tasks = [asyncio.create_task(cache.get(str(number))) for number in range(200)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert ended[1::2] == list(range(200))[1::2]


async def test_requests_that_wait_are_bounded(redis, monkeypatch):
    monkeypatch.setattr("holdfast.cache.drivers.redis.async_connection._MOST_WAITING", 10)
    async with open_cache(redis.url, options=CacheOptions(timeout=1.0)) as cache:
        redis.freeze()
        tasks = [asyncio.create_task(cache.increment("n")) for _ in range(30)]
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(error, UnavailableError) for error in ended)
        assert any("10 requests wait" in str(error) for error in ended)


async def test_a_full_server_refuses_and_what_was_loaded_still_counts(redis):
    redis.ask("CONFIG", "SET", "maxmemory", "1")
    async with open_cache(redis.url, options=QUICK) as cache:
        assert is_up(cache)
        for write in (cache.set("k", 1), cache.set_many({"k": 1, "l": 2}, ttl=5)):
            with pytest.raises(StorageError, match="OOM"):
                await write
        assert await cache.get_or_set("k", lambda: loads(1), tags=["t"]) == 1
        assert await cache.get_or_set("k", lambda: loads(2)) == 2
        assert await cache.delete("k") is Outcome.APPLIED
        redis.ask("CONFIG", "SET", "maxmemory", "0")
        assert await cache.get_or_set("k", lambda: loads(3), tags=["t"]) == 3
        assert await cache.get("k") == 3


def test_blocking_code_goes_on_without_redis_and_returns_to_it(redis):
    with sync.open_cache(redis.url, options=QUICK) as cache:
        assert cache.set("k", "old") is Outcome.APPLIED
        redis.freeze()
        assert cache.set("k", "late") is Outcome.PENDING
        assert cache.delete("k") is Outcome.PENDING
        with pytest.raises(UnavailableError):
            cache.increment("n")
        redis.thaw()
        wait_until(lambda: is_settled(cache), "it stays away")
        assert cache.get("k") is None
        assert pending(cache) == 0
        assert cache.set("k", "new") is Outcome.APPLIED
        redis.kill()
        assert cache.get("k") is None
        assert cache.get_or_set("k", lambda: "loaded") == "loaded"
        assert cache.get("k") == "loaded"
        redis.start()
        wait_until(lambda: is_settled(cache), "it stays away")
        assert cache.get("k") is None


async def test_a_wrong_password_is_said_at_the_opening_and_never_shown(redis):
    redis.ask("CONFIG", "SET", "requirepass", "right")
    for url, reason in (
        (redis.url, "NOAUTH"),
        (redis.url.replace("//", "//:hunter2@"), "WRONGPASS"),
        (redis.url.replace("//", "//nobody:hunter2@"), "WRONGPASS"),
    ):
        with pytest.raises(ConfigurationError, match=reason) as caught:
            async with open_cache(url):
                pass
        assert "hunter2" not in str(caught.value)
    async with open_cache(redis.url.replace("//", "//:right@")) as cache:
        await cache.set("k", 1)


async def test_a_user_with_the_documented_rights_and_no_more_is_enough(redis):
    rights = "~app:* -@all +get +mget +set +mset +getrange +unlink +del +exists +incrby +persist"
    more = "+pexpire +pttl +scan +evalsha +eval +multi +exec +select +info +client|id +client|kill"
    redis.ask("ACL", "SETUSER", "app", "on", ">pw", *rights.split(), *more.split())
    url = redis.url.replace("//", "//app:pw@") + "?prefix=app"
    async with open_cache(url) as cache:
        await cache.set_many({"a": 1, "b": 2}, ttl=60, tags=["t"])
        await cache.get_or_set("c", lambda: loads(1), ttl=5, stale=5)
        await cache.increment("n", ttl=5)
        assert await cache.expire("n", None)
        assert await cache.add("d", 1)
        assert await cache.keys() == ["a", "b", "c", "d", "n"]
        await cache.invalidate(keys=["a"], tags=["t"], pattern="c*")
        assert await cache.keys() == ["d", "n"]
    with pytest.raises(ConfigurationError, match="NOPERM"):
        async with open_cache(url.replace("prefix=app", "prefix=other")) as cache:
            await cache.get("k")


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("memcached://x", "unknown scheme"),
        ("redis", "not a URL"),
        ("memory://x", "memory:// alone"),
        ("memory://?limit=5", "unknown parameter 'limit'"),
        ("memory://?max_entries=x", "expected a number"),
        ("memory://?max_entries=0", "1 or more"),
        ("redis://h/x", "number of a database"),
        ("redis://h/0/1", "number of a database"),
        ("redis://h:99999", "Port"),
        ("redis://a,b/0", "one host"),
        ("redis://user@h", "no password"),
        ("redis://:secret@h?nope=1", "unknown parameter"),
        ("redis+sentinel://h:1", "host:port/name"),
        ("redis://h?timeout=0", "timeout"),
        ("redis://h?prefix=", "prefix"),
        ("redis://h#x", "%23"),
        ("redis://h?ca=/nowhere", "rediss:// alone"),
        ("redis+sentinel://h/name?ca=/nowhere", "rediss:// alone"),
        ("redis+cluster://h?ca=/nowhere", "rediss:// alone"),
        ("memory://?ca=/nowhere", "rediss:// alone"),
    ],
)
async def test_a_url_that_means_nothing_is_refused(url, reason):
    for opening in (open_cache, sync.open_cache):
        with pytest.raises(ConfigurationError, match=reason) as caught:
            opening(url)
        assert "secret" not in str(caught.value)


async def test_a_value_larger_than_the_whole_memory_is_refused():
    async with open_cache("memory://?max_bytes=1000") as cache:
        with pytest.raises(StorageError, match="whole cache"):
            await cache.set("k", b"x" * 2000)
        assert await cache.keys() == []
