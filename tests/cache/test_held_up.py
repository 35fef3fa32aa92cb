"""What is delivered late, cut off alone or cancelled on its way."""

import asyncio
from dataclasses import replace

import pytest

from cache.lines import Line
from cache.servers import RedisServer
from cache.states import is_settled, is_up, overflowed, pending
from holdfast.cache import CacheOptions, Outcome, open_cache
from holdfast.errors import LockTimeoutError

pytestmark = pytest.mark.anyio

QUICK = CacheOptions(timeout=1.0, early=0, fallback=0)
PATIENT = replace(QUICK, timeout=30.0)


@pytest.fixture
async def line(redis):
    async with Line(redis.port) as opened:
        yield opened


async def becomes(look):
    async with asyncio.timeout(60):
        while not look():  # noqa: ASYNC110 - a state, not an event
            await asyncio.sleep(0.002)


async def up(cache):
    await becomes(lambda: is_settled(cache))


async def test_a_write_that_arrives_after_the_next_connection_is_not_carried_out(redis, line):
    async with open_cache(line.url, options=QUICK) as cache, open_cache(redis.url) as other:
        release = line.hold("asks")
        assert await cache.set("k", "late") is Outcome.PENDING
        await up(cache)
        assert await cache.invalidate(keys=["k"]) is Outcome.APPLIED
        release()
        for _ in range(50):
            assert await cache.get("k") is None
            assert await other.get("k") is None


def hold_after_the_look(cache, line):
    """Hold what *cache* asks after its next look; return a list, for what will end that."""
    releases = []
    looked = cache._driver.get_many

    async def look_and_hold(names):
        found = await looked(names)
        if not releases:
            releases.append(line.hold("asks"))
        return found

    cache._driver.get_many = look_and_hold
    return releases


async def test_a_load_lock_that_arrives_after_its_load_began_admits_nothing(redis, line):
    """Between them somebody may have changed what was loaded, and found no load lock to replace."""
    async with open_cache(line.url, options=QUICK) as cache, open_cache(redis.url) as other:

        async def load():
            line.refuse()
            assert await other.invalidate(keys=["k"]) is Outcome.APPLIED
            releases[0]()
            await becomes(lambda: redis.ask("EXISTS", "holdfast:k:k") == ":1")
            line.mend()
            await up(cache)
            return "old"

        releases = hold_after_the_look(cache, line)
        assert await cache.get_or_set("k", load) == "old"
        assert await other.get("k") is None


async def test_what_was_loaded_while_the_store_was_away_is_not_promoted(line):
    async with open_cache(line.url, options=replace(QUICK, fallback=5)) as cache:
        line.cut()

        async def load():
            line.mend()
            await up(cache)
            return "loaded"

        assert await cache.get("k") is None
        assert await cache.get_or_set("k", load) == "loaded"
        assert await cache.get("k") is None
        assert await cache.get_or_set_many(["k"], lambda _: loaded({"k": 1})) == {"k": 1}
        assert await cache.get("k") == 1


async def loaded(value):
    return value


async def test_an_old_primary_that_is_back_is_not_believed(redis, line, tmp_path):
    """It knows its own life; how often the namespace was emptied since, it does not."""
    (tmp_path / "promoted").mkdir()
    async with open_cache(line.url, options=QUICK) as cache:
        await cache.set("k", "old")
        with RedisServer(tmp_path / "promoted") as promoted:
            line.lead_to(promoted.port)
            line.cut()
            line.mend()
            assert await cache.get("k") is None
            await up(cache)
            assert await cache.invalidate(keys=["k"]) is Outcome.APPLIED
            assert redis.ask("EXISTS", "holdfast:k:k") == ":1"
            line.lead_to(redis.port)
            line.cut()
            line.mend()
            assert await cache.get("k") is None
            await up(cache)
            assert await cache.get("k") is None
            assert redis.ask("EXISTS", "holdfast:k:k") == ":0"


async def test_an_overflowed_journal_whose_replay_fails_still_empties_the_namespace(redis, line):
    async with open_cache(line.url, options=replace(QUICK, journal=3)) as cache:
        await cache.set_many({f"k{number}": 1 for number in range(10)})
        line.cut()
        for number in range(5):
            assert await cache.delete(f"k{number}") is Outcome.PENDING
        assert overflowed(cache)
        line.mend()
        await cut_in_the_replay(cache, line)
        assert overflowed(cache)
        line.mend()
        await up(cache)
        assert await cache.keys() == []


async def cut_in_the_replay(cache, line):
    """Cut *line* when the journal was taken, and return when *cache* has noticed."""
    async with asyncio.timeout(60):
        while not cache._driver._settling:  # noqa: ASYNC110
            await asyncio.sleep(0)
    line.cut()
    await becomes(lambda: not cache._driver._recovering.locked())


async def test_what_one_outage_left_here_is_not_read_in_the_next(line):
    async with open_cache(line.url, options=replace(QUICK, fallback=60)) as cache:
        line.cut()
        assert await cache.set("k", "old") is Outcome.PENDING
        line.mend()
        await up(cache)
        assert await cache.invalidate(keys=["k"]) is Outcome.APPLIED
        line.cut()
        assert await cache.get("k") is None
        assert not is_up(cache)


@pytest.mark.parametrize("journal", [10_000, 10], ids=["names", "overflowed"])
async def test_a_long_replay_is_done_before_the_first_read_whatever_is_added_to_it(
    redis, line, journal
):
    options = replace(QUICK, journal=journal)
    names = [f"k{number}" for number in range(5000)]
    async with open_cache(line.url, options=options) as cache, open_cache(redis.url) as other:
        await cache.set_many(dict.fromkeys(names, "old"))
        await cache.set_many({f"late{number}": "old" for number in range(5000)})
        line.cut()
        assert await cache.invalidate(keys=names) is Outcome.PENDING
        line.mend()
        added = 0
        async with asyncio.timeout(120):
            while not is_settled(cache):
                assert await cache.get_many([names[0], names[-1]]) == {}
                await cache.invalidate(keys=[f"late{added}"])
                added += 1
                await asyncio.sleep(0.0005)
        assert added > 3
        assert await other.get_many(names) == {}
        assert await other.get_many([f"late{number}" for number in range(added)]) == {}


@pytest.mark.parametrize("lost", [False, True], ids=["answered", "connection lost"])
async def test_an_invalidation_that_is_cancelled_on_its_way_is_carried_out(redis, line, lost):
    async with open_cache(line.url, options=PATIENT) as cache, open_cache(redis.url) as other:
        await cache.set_many({"a": 1, "b": 1})
        release = line.hold("asks")
        task = asyncio.create_task(cache.invalidate(keys=["a"], pattern="b*"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        if lost:
            line.cut()
            line.mend()
        release()
        await up(cache)
        await becomes(lambda: redis.ask("EXISTS", "holdfast:k:a", "holdfast:k:b") == ":0")
        assert await other.get_many(["a", "b"]) == {}
        assert pending(cache) == 0


@pytest.mark.parametrize("many", [False, True], ids=["one", "many"])
async def test_a_load_that_is_cancelled_on_its_way_to_a_load_lock_leaves_none(redis, line, many):
    """Or everybody else would wait for it, as long as a load may take."""
    async with open_cache(line.url, options=PATIENT) as cache, open_cache(redis.url) as other:

        async def never(*_):
            raise AssertionError("cancelled before")

        releases = hold_after_the_look(cache, line)
        if many:
            task = asyncio.create_task(cache.get_or_set_many(["k"], never))
        else:
            task = asyncio.create_task(cache.get_or_set("k", never))
        await becomes(lambda: releases)
        for _ in range(5):
            await asyncio.sleep(0)
        task.cancel()
        releases[0]()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(60):
            assert await other.get_or_set("k", lambda: loaded("loaded")) == "loaded"


async def test_a_load_lock_ends_with_the_time_that_a_load_may_take(redis):
    """So that the load lock of a process that died is not there forever."""
    async with open_cache(redis.url, options=replace(QUICK, load_timeout=7.0)) as cache:
        left = {}

        async def load():
            left["one"] = redis.ask("PTTL", "holdfast:k:one")
            return 1

        async def load_many(keys):
            left["many"] = redis.ask("PTTL", "holdfast:k:many")
            return dict.fromkeys(keys, 1)

        await cache.get_or_set("one", load)
        await cache.get_or_set_many(["many"], load_many)
        assert all(0 < int(said.removeprefix(":")) <= 7000 for said in left.values())
        assert len(left) == 2


async def test_who_empties_late_removes_nothing_that_was_stored_since(redis):
    """Two find the server started anew; one of them is held up between its look and the removal."""
    async with open_cache(redis.url, options=QUICK) as late, open_cache(redis.url) as first:
        scanned, go_on = asyncio.Event(), asyncio.Event()
        honest = late._driver._remote.scan

        async def scan_and_hold(prefix):
            scanned.set()
            await go_on.wait()
            async for batch in honest(prefix):
                yield batch

        late._driver._remote.scan = scan_and_hold
        redis.kill()
        redis.start()
        held_up = asyncio.create_task(late.get("k"))
        await asyncio.wait_for(scanned.wait(), 60)
        await first.get("k")
        await up(first)
        assert await first.increment("counter") == 1
        async with first.lock("lock", ttl=60) as held:
            go_on.set()
            await up(late)
            assert await first.increment("counter") == 2
            with pytest.raises(LockTimeoutError):
                async with late.lock("lock", ttl=60, wait=0.01):
                    pass
            assert await held.renew()
        await held_up


async def test_a_lock_outlives_a_server_that_is_back_on_its_data(redis, line, tmp_path):
    """Who holds it is not told of the way back, nor is the next number lower than its own."""
    async with open_cache(line.url, options=QUICK) as cache:
        async with cache.lock("lock", ttl=60) as held:
            await cache.set("k", 1)
            redis.ask("SET", "holdfast:life", "another-run 7")
            line.cut()
            line.mend()
            assert await cache.get("k") is None
            await up(cache)
            assert await cache.get("k") is None
            assert await held.renew()
        async with cache.lock("lock", ttl=60) as again:
            assert again.number > held.number


async def test_an_overflowed_journal_leaves_the_locks_of_others(redis, line):
    options = replace(QUICK, journal=3)
    async with open_cache(line.url, options=options) as cache, open_cache(redis.url) as other:
        async with other.lock("lock", ttl=60) as held:
            line.cut()
            for number in range(5):
                assert await cache.delete(f"k{number}") is Outcome.PENDING
            assert overflowed(cache)
            line.mend()
            await up(cache)
            assert await held.renew()
