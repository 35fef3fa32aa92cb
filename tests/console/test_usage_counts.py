"""Counts of what lies below folders of a bucket."""

import asyncio
from types import SimpleNamespace

import pytest

from clock import Clock
from holdfast.console.buckets.usage_counts import UsageCount, UsageCounts
from holdfast.errors import UnavailableError

pytestmark = pytest.mark.anyio


async def test_a_count_keeps_to_a_bound(monkeypatch):
    monkeypatch.setattr("holdfast.console.buckets.usage_counts._PLACES", 2)
    count = UsageCount("a/")
    for key in ("a/1", "a/2", "a/b/3", "a/4", "a/c/5", "a/b/6"):
        count.add(key, 10)
    found = [(each.prefix, each.objects, each.size) for each in count.by_size()]
    assert found == [("a/b/", 2, 20), ("a/1", 1, 10), ("a/2", 1, 10)]
    assert (count.others, count.sizes.total()) == (2, 60)


async def test_a_count_that_broke_off_says_so_and_is_made_anew_after_a_minute():
    class Broken:
        async def list(self, _prefix):
            yield SimpleNamespace(key="a/1", stored_size=1)
            raise UnavailableError("the server is away")

    class Endless:
        async def list(self, _prefix):
            while True:
                await asyncio.sleep(0)
                yield SimpleNamespace(key="a/1", stored_size=1)

    clock = Clock()
    counts = UsageCounts(clock)
    broken = await counts.below("main", Broken(), "a/")
    assert (broken.sizes.total(), broken.failed) == (1, "the server is away")
    assert await counts.below("main", Broken(), "a/") is broken
    clock.forward(minutes=1)
    assert await counts.below("main", Broken(), "a/") is not broken
    endless = await counts.below("main", Endless(), "b/")
    assert (endless.ended, endless.sizes.total() > 0) == (None, True)
    await counts.aclose()
    assert endless.failed == "the server was stopped"
