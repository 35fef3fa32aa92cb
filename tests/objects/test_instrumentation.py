"""Figures, the audit of writes, the cache of metadata, and health."""

import asyncio
import re

import pytest

from holdfast.cache import CachedMetadata, open_cache
from holdfast.errors import (
    IntegrityError,
    ObjectNotFoundError,
    PreconditionFailedError,
)
from holdfast.objects import HealthState, Hooks, PutOptions, Versioning, open_bucket, sync
from holdfast.stats import OperationRecorder
from objects.faulty_s3 import BUCKET, FaultyS3, refusal

ONLY_NEW = PutOptions(if_absent=True)


async def test_every_write_is_told_with_who_what_and_how_it_ended(tmp_path):
    events = []
    async with open_bucket(tmp_path / "b", hooks=Hooks(audit=events.append)) as bucket:
        alice = bucket.acting_as("alice")
        info = await alice.put("k", b"four")
        with pytest.raises(PreconditionFailedError):
            await bucket.put("k", b"x", options=ONLY_NEW)
        await alice.copy("k", "c")
        await alice.set_tags("k", {"a": "b"})
        await alice.delete("c")
        await alice.delete_many(["k", "none"])
        with pytest.raises(ObjectNotFoundError):
            await alice.copy("gone", "c")
        await bucket.admin.set(Versioning(enabled=True))
        await alice.put("p/1", b"x")
        await alice.put("p/1", b"x")
        await alice.erase_prefix("p/")
    told = [(e.actor, e.operation, e.keys, e.error, e.size) for e in events]
    assert told == [
        ("alice", "put", ("k",), None, 4),
        (None, "put", ("k",), "PreconditionFailedError", 0),
        ("alice", "copy", ("c",), None, 4),
        ("alice", "set_tags", ("k",), None, 0),
        ("alice", "delete", ("c",), None, 0),
        ("alice", "delete_many", ("k", "none"), None, 0),
        ("alice", "copy", ("c",), "ObjectNotFoundError", 0),
        (None, "set_versioning", (), None, 0),
        ("alice", "put", ("p/1",), None, 1),
        ("alice", "put", ("p/1",), None, 1),
        ("alice", "erase", ("p/1",), None, 0),
    ]
    assert all(event.seconds > 0 and event.at.tzinfo is not None for event in events)
    assert info.key == "k"


async def test_an_audit_may_be_awaited_and_what_it_raises_escapes():
    events = []

    async def audit(event):
        await asyncio.sleep(0)
        events.append(event)
        if event.keys == ("refused",):
            raise KeyError("the journal is full")

    async with open_bucket("memory://", hooks=Hooks(audit=audit)) as bucket:
        await bucket.put("k", b"1")
        with pytest.raises(KeyError, match="journal"):
            await bucket.put("refused", b"1")
        assert await bucket.exists("refused")  # it has happened, and that is what was told
    assert len(events) == 2


def test_the_blocking_bucket_tells_too():
    events = []
    with sync.open_bucket("memory://", hooks=Hooks(audit=events.append)) as bucket:
        bucket.acting_as("bob").put("k", b"1")
    assert [(event.actor, event.operation) for event in events] == [("bob", "put")]


async def test_metadata_comes_from_the_cache_until_a_write(tmp_path):
    async with open_cache("memory://") as cache:
        hooks = Hooks(metadata=CachedMetadata(cache, "b"))
        async with open_bucket(tmp_path / "b", hooks=hooks) as bucket:
            assert await bucket.head("k") is None
            assert await bucket.head("k") is None  # that there is nothing is known too
            assert bucket.stats().counters == {"retries": 0, "cache_hits": 1, "cache_misses": 1}
            first = await bucket.put("k", b"1", metadata={"a": "1"})
            assert await bucket.head("k") == first
            assert await bucket.head("k") == first
            second = await bucket.put("k", b"2")
            assert await bucket.head("k") == second
            await bucket.copy("k", "k2")
            await bucket.delete_many(["k"])
            assert await bucket.head("k") is None
            await bucket.erase("k2")
            assert not await bucket.exists("k2")
            with pytest.raises(PreconditionFailedError):
                await bucket.put("k", b"3", options=PutOptions(if_match="other"))


async def test_figures_count_time_and_weigh_what_was_done():
    async with open_bucket("memory://") as bucket:
        for _ in range(10):
            await bucket.put("k", b"12345")
        assert await bucket.get("k") == b"12345"
        with pytest.raises(ObjectNotFoundError):
            await bucket.get("gone")
        stats = bucket.stats()
    put, get = stats.operations["put"], stats.operations["get"]
    assert (put.count, put.errors, put.bytes, put.success_rate) == (10, 0, 50, 1.0)
    assert (get.count, get.errors, get.bytes, get.success_rate) == (2, 1, 5, 0.5)
    assert 0 < put.p50 <= put.p95 <= put.p99
    assert put.bytes_per_second == 50 / put.seconds
    assert (stats.counters["retries"], "delete" in stats.operations) == (0, False)


async def test_percentiles_are_right_to_a_tenth():
    now = [0.0]
    recorder = OperationRecorder(clock=lambda: now[0])

    async def lasting(seconds):
        now[0] += seconds

    for number in range(1, 101):
        await recorder.timed("x", lasting(number / 1000))
    stats = recorder.operations()["x"]
    for found, true in ((stats.p50, 0.050), (stats.p95, 0.095), (stats.p99, 0.099)):
        assert true <= found <= true * 1.1
    assert stats.seconds == pytest.approx(5.05)
    await recorder.timed("long", lasting(1e6))
    await recorder.timed("none", lasting(0))
    assert recorder.operations()["long"].p50 > 600
    assert 0 < recorder.operations()["none"].p50 <= 1e-5


async def test_repetitions_are_counted_and_health_says_what_is_wrong():
    with FaultyS3().running() as server:
        url, options = f"s3://{BUCKET}", server.options(attempts=2)
        async with open_bucket(url, options=options) as bucket:
            server.plant("PutObject", lambda *_: refusal(503, "SlowDown"))
            await bucket.put("k", b"1")
            assert bucket.stats().counters["retries"] == 1
            assert (await bucket.health()).state is HealthState.UP
            server.plant("HeadBucket", *[lambda *_: refusal(503, "SlowDown")] * 2)
            ill = await bucket.health()
            assert ill.state is HealthState.DOWN
            assert re.search("HeadBucket .* answers 503", ill.detail)
            assert ill.latency > 0
            assert (await bucket.health()).state is HealthState.UP


async def test_a_folder_that_is_gone_is_not_healthy(tmp_path):
    async with open_bucket(tmp_path / "b") as bucket:
        assert (await bucket.health()).state is HealthState.UP
        (tmp_path / "b/.holdfast/temporary").rmdir()
        ill = await bucket.health()
        assert ill.state is HealthState.DOWN
        assert "No such file or directory" in ill.detail
        assert str(tmp_path / "b/.holdfast/temporary") in ill.detail
        (tmp_path / "b/.holdfast/temporary").mkdir()
        assert (await bucket.health()).state is HealthState.UP


async def test_a_damaged_read_counts_as_an_error(tmp_path):
    async with open_bucket(tmp_path / "b") as bucket:
        await bucket.put("k", b"1234")
        (data,) = (tmp_path / "b").glob("k~*")
        data.chmod(0o600)
        data.write_bytes(b"4321")
        with pytest.raises(IntegrityError):
            await bucket.get("k")
        assert bucket.stats().operations["get"].errors == 1
