"""What is known of objects, cached and forgotten."""

import dataclasses
from datetime import UTC, datetime

import pytest

from cache.states import counter
from holdfast.cache import CachedMetadata, open_cache
from holdfast.errors import InvalidValueError
from holdfast.objects import Hooks, ObjectInfo, open_bucket

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["memory", "redis"])
async def cache(request, shared_redis):
    url = "memory://" if request.param == "memory" else f"{shared_redis.url}?prefix=metadata"
    async with open_cache(url) as opened:
        await opened.invalidate(pattern="*")
        yield opened


async def test_what_is_known_is_asked_once_and_comes_back_whole(cache, tmp_path):
    known = CachedMetadata(cache, "file:///x", ttl=60)
    asked = 0
    async with open_bucket(f"file://{tmp_path}/media") as bucket:
        await bucket.put("clips/ä.txt", b"hello", metadata={"camera": "7"})

        async def load():
            nonlocal asked
            asked += 1
            return await bucket.head("clips/ä.txt")

        first = await known.get_or_set("clips/ä.txt", load)
        again = await known.get_or_set("clips/ä.txt", load)
        assert asked == 1
        assert first == again == await bucket.head("clips/ä.txt")
        await bucket.put("clips/ä.txt", b"other")
        await known.invalidate(keys=["clips/ä.txt"])
        assert (await known.get_or_set("clips/ä.txt", load)).size == 5
        assert asked == 2


async def test_a_bucket_asks_the_cache_first_and_forgets_what_it_writes(cache, tmp_path):
    url = f"file://{tmp_path}/media"
    known = CachedMetadata(cache, url, ttl=60)
    async with open_bucket(url, hooks=Hooks(metadata=known)) as bucket:
        assert not await bucket.exists("k")
        await bucket.put("k", b"one", metadata={"a": "b"})
        loads = counter(cache, "loads")
        first = await bucket.head("k")
        assert await bucket.head("k") == first
        assert (first.size, dict(first.metadata)) == (3, {"a": "b"})
        assert counter(cache, "loads") == loads + 1
        await bucket.put("k", b"three")
        assert (await bucket.head("k")).size == 5
        await bucket.delete("k")
        assert await bucket.head("k") is None


async def test_that_there_is_none_is_known_too_until_there_is(cache):
    known = CachedMetadata(cache, "b")
    info = ObjectInfo(
        key="k",
        size=1,
        content_type=None,
        metadata=None,
        etag='"e"',
        modified=datetime(2026, 1, 2, tzinfo=UTC),
        sha256=None,
    )

    async def none():
        return None

    async def there():
        return info

    assert await known.get_or_set("k", none) is None
    assert await known.get_or_set("k", there) is None
    await known.invalidate(keys=["k"])
    assert await known.get_or_set("k", there) == info
    assert await known.get_or_set("k", none) == info


async def test_keys_and_buckets_never_meet(cache):
    one, two = CachedMetadata(cache, "one"), CachedMetadata(cache, "two")
    base = ObjectInfo("k", 0, "a/b", {}, "e", datetime(2026, 1, 2, tzinfo=UTC), "00")
    keys = ["k", "a" * 1024, "a" * 1023 + "b", "ä" * 500, "k:k", "#"]

    def giving(info):
        async def load():
            return info

        return load

    for known in (one, two):
        for size, key in enumerate(keys):
            info = dataclasses.replace(base, key=key, size=size + (known is two) * 100)
            assert await known.get_or_set(key, giving(info)) == info
    await two.invalidate_all()
    for size, key in enumerate(keys):
        assert (await one.get_or_set(key, giving(None))).size == size
        assert await two.get_or_set(key, giving(None)) is None


async def test_a_load_that_an_invalidation_overtook_is_not_kept(cache):
    known = CachedMetadata(cache, "b")
    base = ObjectInfo("k", 0, "a/b", {}, "e", datetime(2026, 1, 2, tzinfo=UTC), "00")

    async def overtaken():
        await known.invalidate(keys=["k"])
        return base

    async def none():
        return None

    assert await known.get_or_set("k", overtaken) == base
    assert await known.get_or_set("k", none) is None


async def test_a_time_that_is_none_is_refused(cache):
    with pytest.raises(InvalidValueError, match="ttl"):
        CachedMetadata(cache, "b", ttl=0)
