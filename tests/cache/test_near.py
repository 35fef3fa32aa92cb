"""Copies in this process: what they save, what ends them, and what they never serve."""

import asyncio
import time
from contextlib import contextmanager
from dataclasses import replace

import pytest

from cache.lines import Line
from cache.servers import RedisServer
from cache.states import counter, is_settled, is_up, pending
from holdfast.cache import CacheOptions, Outcome, open_cache, sync
from holdfast.cache.near.copies import NearCopies
from holdfast.errors import ConfigurationError
from servers import require

pytestmark = pytest.mark.anyio

VALIDITY = 0.1
NEAR = CacheOptions(timeout=1.0, early=0, fallback=0, near=VALIDITY)


@pytest.fixture(params=["RESP3", "RESP2"])
def server(request, tmp_path):
    """A server of the test's own, that speaks RESP3 or knows of none."""
    require("redis-server")
    if request.param == "RESP2":
        with without_resp3(tmp_path) as running:
            yield running
    else:
        with RedisServer(tmp_path) as running:
            assert running.ask("HELLO", "3").startswith("%")
            yield running


@contextmanager
def without_resp3(folder):
    require("redis-server")
    with RedisServer(folder, "--rename-command", "HELLO", "") as running:  # no ACL takes it away
        assert running.ask("HELLO", "3").startswith("-ERR unknown command")
        yield running


def reads(server):
    """How many GET and MGET the server has answered."""
    lines = server.say("INFO", "commandstats").splitlines()
    wanted = ("cmdstat_get:", "cmdstat_mget:")
    return sum(
        int(line.partition("calls=")[2].partition(",")[0])
        for line in lines
        if line.startswith(wanted)
    )


def stop_the_clock(cache):
    """Let no time pass for the copies of *cache*; return a list with the time to be changed."""
    near = cache._driver._remote
    now = [time.monotonic()]
    near._clock = near._copies._clock = lambda: now[0]
    return now


def pauses_of(cache):
    """Return a list of the seconds that writes of *cache* wait for the copies of others."""
    seconds = []
    driver = cache._driver._remote
    honest = driver._pause

    async def pause(long):
        seconds.append(long)
        await honest(long)

    driver._pause = pause
    return seconds


async def becomes(look, expected):
    async with asyncio.timeout(60):
        while look() != expected:  # noqa: ASYNC110 - a state, not an event
            await asyncio.sleep(0.002)


async def never():
    raise AssertionError("it was there")


async def test_reads_within_the_validity_ask_nobody(server):
    async with open_cache(server.url, options=NEAR) as cache:
        await cache.set("k", {"a": [1]}, tags=["t"])
        assert await cache.get("k") == {"a": [1]}
        now = stop_the_clock(cache)
        now[0] += VALIDITY  # the copies from before are over
        assert await cache.get("k") == {"a": [1]}
        before, hits = reads(server), counter(cache, "near_hits")
        for _ in range(60):
            assert await cache.get("k") == {"a": [1]}
            assert await cache.get_or_set("k", never, tags=["t"]) == {"a": [1]}
        assert reads(server) == before
        assert counter(cache, "near_hits") - hits > 120
        got = await cache.get("k")
        got["a"].append(2)
        assert await cache.get("k") == {"a": [1]}
        now[0] += VALIDITY
        assert await cache.get("k") == {"a": [1]}
        assert reads(server) > before


async def test_what_another_process_changed_is_not_read_once_it_was_told_applied(server):
    async with (
        open_cache(server.url, options=NEAR) as cache,
        open_cache(server.url, options=CacheOptions(timeout=1.0)) as other,
    ):
        for change in (
            lambda: other.invalidate(keys=["k"]),
            lambda: other.invalidate(tags=["t"]),
            lambda: other.invalidate(pattern="k*"),
            lambda: other.delete("k"),
            lambda: other.set("k", "new"),
            lambda: other.set_many({"k": "new", "l": "new"}),
            lambda: other.set_many({"k": "new", "l": "new"}, ttl=60),
        ):
            await cache.set("k", "old", tags=["t"])
            assert await cache.get("k") == "old"
            assert await change() is Outcome.APPLIED
            assert await cache.get("k") != "old"


@pytest.mark.parametrize(
    "change",
    [
        lambda other: other.delete("k"),
        lambda other: other.set("k", "new"),
        lambda other: other.set_many({"k": "new", "l": "new"}),
        lambda other: other.set_many({"k": "new", "l": "new"}, ttl=60),
        lambda other: other.invalidate(pattern="k*"),
        lambda other: other.invalidate(tags=["t"]),
        lambda other: other.expire("k", 0.001) and Outcome.APPLIED,
    ],
    ids=["delete", "set", "set_many", "set_many ttl", "pattern", "tag", "expire"],
)
async def test_who_changes_something_waits_for_the_copies_of_others(server, change):
    """A process whose loop is busy hears of nothing; its copies must be over by then."""
    async with open_cache(server.url, options=NEAR) as cache:
        await cache.set("k", "old", tags=["t"])
        with sync.open_cache(server.url) as other:
            assert await cache.get("k") == "old"
            asked = time.monotonic()
            assert change(other) is Outcome.APPLIED
            assert time.monotonic() - asked >= VALIDITY
            assert await cache.get("k") in {None, "new"}  # though nothing ran in this loop


async def test_a_replay_is_not_done_before_the_copies_of_others_are_over(redis):
    near = replace(NEAR, near=0.5, timeout=30.0)
    async with (
        Line(redis.port) as line,
        Line(redis.port) as deaf_line,
        open_cache(line.url, options=replace(NEAR, near=0)) as cache,
        open_cache(deaf_line.url, options=near) as deaf,
    ):
        await cache.set("k", "old")
        assert await deaf.get("k") == "old"
        answers = deaf_line.hold("answers")
        line.cut()
        assert await cache.delete("k") is Outcome.PENDING
        line.mend()
        await becomes(lambda: is_settled(cache), True)
        reading = asyncio.create_task(deaf.get("k"))
        await asyncio.sleep(0)
        answers()
        assert await reading is None


@pytest.fixture
def split(tmp_path):
    """A server that tells of changes on a connection of their own."""
    with without_resp3(tmp_path) as running:
        yield running


async def test_validity_begins_with_the_question_and_not_with_its_answer(split):
    """The answer comes late, and what is told of changes later still."""
    near = replace(NEAR, near=0.3, timeout=30.0)
    async with (
        Line(split.port) as line,
        open_cache(line.url, options=near) as cache,
        open_cache(split.url) as other,
    ):
        await other.set("k", "old")
        await cache.get("anything")  # so that the namespace is marked
        driver = cache._driver._remote
        await becomes(lambda: time.monotonic() > driver._valid_until, expected=True)
        answer = line.hold("answers", 0)
        before = reads(split)
        reading = asyncio.create_task(cache.get("k"))
        await becomes(lambda: reads(split) > before, expected=True)
        messages = line.hold("answers", 1)
        assert await other.delete("k") is Outcome.APPLIED
        answer()
        assert await reading == "old"
        again = asyncio.create_task(cache.get("k"))
        await asyncio.sleep(0)
        messages()
        assert await again is None


async def test_answers_alone_prolong_nothing_where_changes_are_told_apart(split):
    near = replace(NEAR, near=0.3, timeout=30.0)
    async with (
        Line(split.port) as line,
        open_cache(line.url, options=near) as cache,
        open_cache(split.url) as other,
    ):
        await other.set("k", "old")
        assert await cache.get("k") == "old"
        stop = False

        async def read_others():
            number = 0
            while not stop:
                number += 1
                await cache.get(f"other{number}")

        messages = line.hold("answers", 1)
        reading = asyncio.create_task(read_others())
        assert await other.delete("k") is Outcome.APPLIED
        again = asyncio.create_task(cache.get("k"))
        await asyncio.wait({again}, timeout=0.05)
        stop = True
        messages()
        assert await again is None
        await reading


async def test_nobody_waits_where_nobody_keeps_copies(redis):
    async with open_cache(redis.url, options=CacheOptions(timeout=1.0)) as cache:
        pauses = pauses_of(cache)
        for number in range(20):
            assert await cache.set(f"k{number}", 1) is Outcome.APPLIED
            assert await cache.delete(f"k{number}") is Outcome.APPLIED
        assert pauses == []


async def test_a_change_is_heard_of_at_once(server):
    async with (
        open_cache(server.url, options=NEAR) as cache,
        open_cache(server.url, options=CacheOptions(timeout=1.0)) as other,
    ):
        copies = cache._driver._remote._copies
        told = asyncio.Event()

        async def pause(_):
            await told.wait()

        other._driver._remote._pause = pause
        await cache.set_many({"a": "x", "b": "x"})
        await cache.get_many(["a", "b"])
        assert copies.entries == 2
        changing = asyncio.create_task(other.delete("a"))
        await becomes(lambda: copies.entries, 1)
        assert not changing.done()  # it waits for those who might not have heard
        told.set()
        await changing
        await cache.get("b")
        server.ask("FLUSHALL")
        await becomes(lambda: copies.entries, 0)


async def test_a_value_is_gone_after_its_time_also_here(server):
    validity, ttl = 0.5, 3.0
    assert server.ask("CONFIG", "SET", "hz", "1") == "+OK"  # or it would tell of the end itself
    async with open_cache(server.url, options=replace(NEAR, near=validity)) as cache:
        await cache.set("k", "v", ttl=ttl)
        ends = (
            time.monotonic() - validity + ttl
        )  # at the latest: so long passed since it was stored
        assert await cache.get("k") == "v"
        asked = time.monotonic()
        while await cache.get("k") is not None:
            assert asked < ends + 0.002  # both ends are in whole milliseconds
            asked = time.monotonic()
            await asyncio.sleep(0)


async def test_numbers_that_others_add_to_are_always_asked_for(server):
    async with open_cache(server.url, options=NEAR) as cache:
        with sync.open_cache(server.url) as other:  # while it works, this loop hears of nothing
            await cache.increment("n")
            await cache.get("n")
            pauses = pauses_of(other.asynchronous)
            for expected in range(2, 20):
                assert await cache.get("n") == expected - 1
                assert other.increment("n") == expected
                assert await cache.get("n") == expected
            assert pauses == []
            assert other.set("n", 1) is Outcome.APPLIED
            assert len(pauses) == 1  # so waits would have been seen


async def test_a_read_that_a_change_overtook_is_not_kept(redis):
    """The answer is on its way when the change is told."""
    async with open_cache(redis.url, options=NEAR) as cache, open_cache(redis.url) as other:
        near = cache._driver._remote
        honest = near._remote.read_tracked
        await cache.set("k", "old")

        async def slow(names, *, validity):
            found = await honest(names, validity=validity)
            if names == ("k:k",):
                await other.delete("k")
            return found

        near._remote.read_tracked = slow
        assert await cache.get("k") == "old"
        near._remote.read_tracked = honest
        assert await cache.get("k") is None


async def test_a_lost_connection_ends_every_copy_until_changes_are_told_again(server):
    async with open_cache(server.url, options=NEAR) as cache, open_cache(server.url) as other:
        near = cache._driver._remote
        await cache.set_many({"a": "old", "b": "old"})
        for kind in ("normal", "pubsub"):
            assert await cache.get("a") == "old"
            told_apart = near._remote.separate_messages
            server.ask("CLIENT", "KILL", "TYPE", kind)
            if kind == "normal" or told_apart:
                await becomes(lambda: near._remote.alive, expected=False)
                hits = counter(cache, "near_hits")
                await cache.get("a")
                assert counter(cache, "near_hits") == hits
            await other.get("anything")
            await becomes(lambda: is_up(other), expected=True)
            await other.set("a", "new")
            async with asyncio.timeout(60):
                while not is_up(cache) or await cache.get("a") is None:  # noqa: ASYNC110
                    await asyncio.sleep(0)
            assert await cache.get("a") == "new"
            await cache.set("a", "old")
            assert await other.delete("b") is Outcome.APPLIED
            assert await cache.get("b") is None


async def test_a_store_comes_back_into_use_while_much_is_written(redis):
    """Each write that is replayed must not wait for the copies of others by itself."""
    async with open_cache(redis.url, options=NEAR) as cache, open_cache(redis.url) as other:
        await cache.set("k", "old")
        await other.get("k")
        redis.freeze()
        writing = True

        async def write():
            number = 0
            while writing:
                number += 1
                await cache.delete(f"k{number}")
                await asyncio.sleep(0.001)

        task = asyncio.create_task(write())
        await becomes(lambda: is_up(cache), expected=False)
        assert await cache.delete("k") is Outcome.PENDING
        redis.thaw()
        async with asyncio.timeout(60):
            await becomes(lambda: is_up(cache), expected=True)
        writing = False
        await becomes(lambda: pending(cache), 0)
        assert await other.get("k") is None
        await task


async def test_a_frozen_server_ends_the_validity(server):
    async with open_cache(server.url, options=NEAR) as cache:
        await cache.set("k", "old")
        assert await cache.get("k") == "old"
        server.freeze()
        asked = frozen = time.monotonic()
        while await cache.get("k") == "old":
            assert asked < frozen + VALIDITY
            asked = time.monotonic()
            await asyncio.sleep(0.001)
        assert not is_up(cache)
        server.thaw()
        await becomes(lambda: is_up(cache), expected=True)
        assert await cache.get("k") == "old"


async def test_without_its_mark_in_the_store_nothing_is_served_from_here(redis):
    async with open_cache(redis.url, options=NEAR) as cache, open_cache(redis.url) as other:
        await cache.set("k", "old")
        await cache.get("k")
        await cache.get("k")
        near = cache._driver._remote
        redis.ask("DEL", "holdfast:near")
        await becomes(lambda: near._valid_until, 0)
        before = reads(redis)
        for _ in range(3):  # nothing is valid until the mark is there again
            near._remote._mark_again = time.monotonic() + 60
            assert await cache.get("k") == "old"
        assert reads(redis) - before >= 3
        near._remote._mark_again = 0
        await cache.get("k")
        assert redis.ask("EXISTS", "holdfast:near") == ":1"
        now = stop_the_clock(cache)
        now[0] += VALIDITY
        await cache.get("k")
        before = reads(redis)
        for _ in range(20):
            await cache.get("k")
        assert reads(redis) == before
        start = time.monotonic()
        await other.delete("k")
        assert time.monotonic() - start >= VALIDITY
        assert await cache.get("k") is None


def test_blocking_code_keeps_copies_as_long(server):
    with sync.open_cache(server.url, options=NEAR) as cache, sync.open_cache(server.url) as other:
        cache.set("k", "old")
        assert cache.get("k") == "old"
        near = cache.asynchronous._driver._remote
        stop_the_clock(cache.asynchronous)
        near._valid_until = 0.0
        assert cache.get("k") == "old"
        before = reads(server)
        for _ in range(100):
            assert cache.get("k") == "old"
        assert reads(server) == before
        near._clock = near._copies._clock = time.monotonic
        assert other.delete("k") is Outcome.APPLIED
        assert cache.get("k") is None
        assert cache.set("k", "new") is Outcome.APPLIED
        assert cache.get("k") == other.get("k") == "new"


def test_the_copies_are_bounded():
    now = [0.0]
    store = NearCopies(entries=3, size=2000, largest=500, clock=lambda: now[0])

    def put(name, value, end=None):
        store.keep(store.announce([name]), [(name, value, end)])

    for name in "abcd":
        put(name, b"x")
    assert store.find("abcd") == [None, b"x", b"x", b"x"]
    put("large", b"x" * 501)
    assert store.find(["large"]) == [None]
    for name in "efg":
        put(name, b"x" * 490)
    assert store.entries == 2
    assert store.size <= 2000
    put("h", b"x", end=5.0)
    assert store.find("h") == [b"x"]
    now[0] = 5.0
    assert store.find("h") == [None]
    store.clear()
    assert (store.entries, store.size) == (0, 0)


def test_what_changes_while_it_is_read_is_not_kept():
    store = NearCopies(entries=3, size=2000, largest=500, clock=time.monotonic)
    overtaken = store.announce(["a", "b"])
    beside = store.announce(["a"])
    store.drop(["a"])
    later = store.announce(["a"])
    store.keep(overtaken, [("a", b"old", None), ("b", b"b", None)])
    store.keep(beside, [("a", b"old", None)])
    assert store.find("ab") == [None, b"b"]
    store.keep(later, [("a", b"new", None)])
    assert store.find("a") == [b"new"]
    given_up = store.announce(["c"])
    store.give_up(given_up)
    store.keep(given_up, [("c", b"x", None)])
    assert store.find("c") == [None]
    assert store._announced == {}


def test_of_many_who_read_a_name_at_once_the_first_keeps_it():
    store = NearCopies(entries=3, size=2000, largest=500, clock=time.monotonic)
    one, two = store.announce(["a", "a"]), store.announce(["a"])
    store.keep(one, [("a", b"x", None), ("a", b"x", None)])
    assert store.find("a") == [b"x"]
    store.keep(two, [("a", b"x", None)])
    assert store._announced == {}


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("memory://?near=0.1", "near copies"),
        ("redis+cluster://h?near=0.1", "near copies"),
        ("redis://h?near=1.5", "0 to 1"),
        ("redis://h?near=-1", "0 to 1"),
        ("redis://h?near_largest=0", "1 or more"),
    ],
)
def test_near_copies_of_what_tells_nothing_are_refused(url, reason):
    for opening in (open_cache, sync.open_cache):
        with pytest.raises(ConfigurationError, match=reason):
            opening(url)
