"""Copies in this process: what they save, what ends them, and what they never serve."""

import asyncio
import time
from contextlib import contextmanager
from dataclasses import replace

import pytest

from cache.lines import Line
from cache.servers import RedisServer, require
from holdfast.cache import CacheOptions, Outcome, State, open_cache, sync
from holdfast.cache.nearstore import NearStore
from holdfast.errors import ConfigurationError

pytestmark = pytest.mark.anyio

LEASE = 0.1
NEAR = CacheOptions(timeout=0.3, early=0, fallback=0, near=LEASE)


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


async def becomes(look, expected):
    async with asyncio.timeout(10):
        while look() != expected:  # noqa: ASYNC110 - a state, not an event
            await asyncio.sleep(0.002)


async def never():
    raise AssertionError("it was there")


async def test_reads_within_the_lease_ask_nobody(server):
    async with open_cache(server.url, options=NEAR) as cache:
        await cache.set("k", {"a": [1]}, tags=["t"])
        assert await cache.get("k") == {"a": [1]}
        before, hits = reads(server), cache.statistics.near_hits
        until = time.monotonic() + LEASE / 3
        count = 0
        while time.monotonic() < until:
            assert await cache.get("k") == {"a": [1]}
            assert await cache.get_or_set("k", never, tags=["t"]) == {"a": [1]}
            count += 2
        assert count > 100
        assert reads(server) - before <= 6
        assert cache.statistics.near_hits - hits > count
        got = await cache.get("k")
        got["a"].append(2)
        assert await cache.get("k") == {"a": [1]}


async def test_what_another_process_changed_is_not_read_once_it_was_told_applied(server):
    async with (
        open_cache(server.url, options=NEAR) as cache,
        open_cache(server.url, options=CacheOptions(timeout=0.4)) as other,
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
async def test_who_changes_something_waits_for_the_leases_of_others(server, change):
    """A process whose loop is busy hears of nothing; its lease must be over by then."""
    async with open_cache(server.url, options=NEAR) as cache:
        await cache.set("k", "old", tags=["t"])
        with sync.open_cache(server.url) as other:
            assert await cache.get("k") == "old"
            asked = time.monotonic()
            assert change(other) is Outcome.APPLIED
            assert time.monotonic() - asked >= LEASE
            assert await cache.get("k") in {None, "new"}  # though nothing ran in this loop


async def test_a_replay_is_not_done_before_the_leases_of_others_are_over(redis):
    near = replace(NEAR, near=0.5, timeout=5.0)
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
        await becomes(lambda: cache.health().state is State.UP and not cache.health().pending, True)
        reading = asyncio.create_task(deaf.get("k"))
        await asyncio.sleep(0)
        answers()
        assert await reading is None


@pytest.fixture
def split(tmp_path):
    """A server that tells of changes on a connection of their own."""
    with without_resp3(tmp_path) as running:
        yield running


async def test_a_lease_begins_with_the_question_and_not_with_its_answer(split):
    """The answer comes late, and what is told of changes later still."""
    near = replace(NEAR, near=0.3, timeout=5.0)
    async with (
        Line(split.port) as line,
        open_cache(line.url, options=near) as cache,
        open_cache(split.url) as other,
    ):
        await other.set("k", "old")
        await cache.get("anything")  # so that the namespace is marked
        driver = cache._driver._remote
        await becomes(lambda: time.monotonic() > driver._until, expected=True)
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


async def test_answers_alone_prolong_no_lease_where_changes_are_told_apart(split):
    near = replace(NEAR, near=0.3, timeout=5.0)
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
    async with open_cache(redis.url, options=CacheOptions(timeout=0.4)) as cache:
        start = time.monotonic()
        for number in range(20):
            await cache.set(f"k{number}", 1)
            await cache.delete(f"k{number}")
        assert time.monotonic() - start < 20 * LEASE  # half of what the waits would be


async def test_a_change_is_heard_of_at_once(server):
    async with (
        open_cache(server.url, options=NEAR) as cache,
        open_cache(server.url, options=CacheOptions(timeout=0.4)) as other,
    ):
        store = cache._driver._remote._store
        await cache.set_many({"a": "x", "b": "x"})
        await cache.get_many(["a", "b"])
        assert store.entries == 2
        changing = asyncio.create_task(other.delete("a"))
        await becomes(lambda: store.entries, 1)
        assert not changing.done()  # it waits for the lease of who might not have heard
        await changing
        await cache.get("b")
        server.ask("FLUSHALL")
        await becomes(lambda: store.entries, 0)


async def test_a_value_is_gone_after_its_time_also_here(server):
    lease, ttl = 0.5, 0.8
    assert server.ask("CONFIG", "SET", "hz", "1") == "+OK"  # or it would tell of the end itself
    async with open_cache(server.url, options=replace(NEAR, near=lease)) as cache:
        await cache.set("k", "v", ttl=ttl)
        ends = time.monotonic() - lease + ttl  # at the latest: a lease passed since it was stored
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
            start = time.monotonic()
            for expected in range(2, 20):
                assert await cache.get("n") == expected - 1
                assert other.increment("n") == expected
                assert await cache.get("n") == expected
            assert time.monotonic() - start < 9 * LEASE  # half of what the waits would be


async def test_a_read_that_a_change_overtook_is_not_kept(redis):
    """The answer is on its way when the change is told."""
    async with open_cache(redis.url, options=NEAR) as cache, open_cache(redis.url) as other:
        near = cache._driver._remote
        honest = near._remote.read
        await cache.set("k", "old")

        async def slow(names, *, lease):
            found = await honest(names, lease=lease)
            if names == ("k:k",):
                await other.delete("k")
            return found

        near._remote.read = slow
        assert await cache.get("k") == "old"
        near._remote.read = honest
        assert await cache.get("k") is None


async def test_a_lost_connection_ends_every_copy_until_changes_are_told_again(server):
    async with open_cache(server.url, options=NEAR) as cache, open_cache(server.url) as other:
        near = cache._driver._remote
        await cache.set_many({"a": "old", "b": "old"})
        for kind in ("normal", "pubsub"):
            assert await cache.get("a") == "old"
            told_apart = near._remote.tells_apart
            server.ask("CLIENT", "KILL", "TYPE", kind)
            if kind == "normal" or told_apart:
                await becomes(lambda: near._remote.alive, expected=False)
                hits = cache.statistics.near_hits
                await cache.get("a")
                assert cache.statistics.near_hits == hits
            await other.get("anything")
            await becomes(lambda: other.health().state, State.UP)
            await other.set("a", "new")
            async with asyncio.timeout(5):
                while cache.health().state is State.DOWN or await cache.get("a") is None:  # noqa: ASYNC110
                    await asyncio.sleep(0)
            assert await cache.get("a") == "new"
            await cache.set("a", "old")
            assert await other.delete("b") is Outcome.APPLIED
            assert await cache.get("b") is None


async def test_a_store_comes_back_into_use_while_much_is_written(redis):
    """Each write that is replayed must not wait for the leases by itself."""
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
        await becomes(lambda: cache.health().state, State.DOWN)
        assert await cache.delete("k") is Outcome.PENDING
        redis.thaw()
        async with asyncio.timeout(4):
            await becomes(lambda: cache.health().state, State.UP)
        writing = False
        await becomes(lambda: cache.health().pending, 0)
        assert await other.get("k") is None
        await task


async def test_a_frozen_server_ends_the_lease(server):
    async with open_cache(server.url, options=NEAR) as cache:
        await cache.set("k", "old")
        assert await cache.get("k") == "old"
        server.freeze()
        asked = frozen = time.monotonic()
        while await cache.get("k") == "old":
            assert asked < frozen + LEASE
            asked = time.monotonic()
            await asyncio.sleep(0.001)
        assert cache.health().state is State.DOWN
        server.thaw()
        await becomes(lambda: cache.health().state, State.UP)
        assert await cache.get("k") == "old"


async def test_without_its_mark_in_the_store_nothing_is_served_from_here(redis):
    async with open_cache(redis.url, options=NEAR) as cache, open_cache(redis.url) as other:
        await cache.set("k", "old")
        await cache.get("k")
        await cache.get("k")
        near = cache._driver._remote
        redis.ask("DEL", "holdfast:near")
        await becomes(lambda: near._until, 0)
        before = reads(redis)
        for _ in range(3):  # no lease until the mark is there again
            near._remote._mark_again = time.monotonic() + 60
            assert await cache.get("k") == "old"
        assert reads(redis) - before >= 3
        near._remote._mark_again = 0
        await cache.get("k")
        assert redis.ask("EXISTS", "holdfast:near") == ":1"
        before = reads(redis)
        for _ in range(20):
            await cache.get("k")
        assert reads(redis) - before < 10
        start = time.monotonic()
        await other.delete("k")
        assert time.monotonic() - start >= LEASE
        assert await cache.get("k") is None


def test_blocking_code_keeps_copies_under_the_same_lease(server):
    with sync.open_cache(server.url, options=NEAR) as cache, sync.open_cache(server.url) as other:
        cache.set("k", "old")
        assert cache.get("k") == "old"
        before = reads(server)
        until = time.monotonic() + LEASE / 3
        while time.monotonic() < until:
            assert cache.get("k") == "old"
        assert reads(server) - before <= 3
        assert other.delete("k") is Outcome.APPLIED
        assert cache.get("k") is None
        assert cache.set("k", "new") is Outcome.APPLIED
        assert cache.get("k") == other.get("k") == "new"


def test_the_copies_are_bounded():
    now = [0.0]
    store = NearStore(entries=3, size=2000, largest=500, clock=lambda: now[0])

    def put(name, value, end=None):
        store.keep(store.fetching([name]), [(name, value, end)])

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
    store = NearStore(entries=3, size=2000, largest=500, clock=time.monotonic)
    overtaken = store.fetching(["a", "b"])
    beside = store.fetching(["a"])
    store.drop(["a"])
    later = store.fetching(["a"])
    store.keep(overtaken, [("a", b"old", None), ("b", b"b", None)])
    store.keep(beside, [("a", b"old", None)])
    assert store.find("ab") == [None, b"b"]
    store.keep(later, [("a", b"new", None)])
    assert store.find("a") == [b"new"]
    given_up = store.fetching(["c"])
    store.give_up(given_up)
    store.keep(given_up, [("c", b"x", None)])
    assert store.find("c") == [None]
    assert store._fetching == {}


def test_of_many_who_read_a_name_at_once_the_first_keeps_it():
    store = NearStore(entries=3, size=2000, largest=500, clock=time.monotonic)
    one, two = store.fetching(["a", "a"]), store.fetching(["a"])
    store.keep(one, [("a", b"x", None), ("a", b"x", None)])
    assert store.find("a") == [b"x"]
    store.keep(two, [("a", b"x", None)])
    assert store._fetching == {}


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("memory://?near=0.1", "near copies"),
        ("redis+cluster://h?near=0.1", "near copies"),
        ("redis://h?near=1.5", "from 0 to 1"),
        ("redis://h?near=-1", "from 0 to 1"),
        ("redis://h?near_largest=0", "1 or more"),
    ],
)
def test_near_copies_of_what_tells_nothing_are_refused(url, reason):
    for opening in (open_cache, sync.open_cache):
        with pytest.raises(ConfigurationError, match=reason):
            opening(url)
