"""Cases of keys: which are legal, and that each names one object."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from holdfast.errors import ObjectKeyError
from holdfast.objects.conformance.kept_keys import fill
from holdfast.objects.driver import BucketCapability

if TYPE_CHECKING:
    from holdfast.objects.bucket import Bucket
    from holdfast.objects.conformance.harness import BucketHarness

LEGAL = [
    ".",
    "..",
    "../escape",
    "a/../../../escape",
    "/leading",
    "//",
    "trailing/",
    "a//b",
    "a/./b",
    ".holdfast/records/x.json",
    "con",
    "nul.txt",
    "back\\slash",
    "C:\\x",
    "percent%2Fslash",
    "percent/slash",
    "%",
    "%-",
    "~",
    "new\nline",
    "\x01\x1f\x7f",
    " leading space",
    "trailing dot.",
    "é",
    "e\u0301",
    "\u202eright to left",
    "\U0001f3a5.mp4",
    "x.json",
    "x.json/y.json",
    "x.json.json",
    "/" * 31,
    "/" * 32,
    "/" * 33,
    "/" * 1024,
    "a/" * 32 + "b",
    "a/" * 32 + "b/c",
    "a/" * 32 + "b0",
    "a/" * 512,
    "\x01" * 1024,
    "é" * 512,
    "n" * 255,
    "n" * 256,
    "n" * 1024,
]


async def _at_least_one_is_kept(bucket: Bucket) -> None:
    await bucket.put("a", b"outer")
    try:
        await bucket.put("a/b", b"inner")
    except ObjectKeyError:
        assert not await bucket.exists("a/b")
    else:
        assert await bucket.get("a/b") == b"inner"
    assert await bucket.get("a") == b"outer"


class ObjectKeyCases:
    """Cases of keys."""

    async def test_every_legal_key_is_its_own_and_comes_back_as_it_went_in(
        self, bucket: Bucket, harness: BucketHarness
    ) -> None:
        kept = await fill(bucket, LEGAL, harness)
        assert [info.key async for info in bucket.list()] == sorted(kept)
        for key in kept:
            assert await bucket.get(key) == key.encode()
            assert await bucket.delete(key)
            assert not await bucket.exists(key)
        assert [info async for info in bucket.list()] == []

    async def test_a_key_may_be_the_folder_of_another(
        self, bucket: Bucket, harness: BucketHarness
    ) -> None:
        if BucketCapability.KEY_INSIDE_KEY not in harness.capabilities:
            await _at_least_one_is_kept(bucket)
            return
        for order in (("a", "a/b", "a/b/c"), ("a/b/c", "a/b", "a")):
            kept = await fill(bucket, order, harness)
            for key in kept:
                assert await bucket.get(key) == key.encode()
            await bucket.delete("a/b")
            rest = sorted({*kept} - {"a/b"})
            assert [info.key async for info in bucket.list()] == rest
            assert await bucket.delete_many(order) == len(rest)

    @pytest.mark.parametrize(
        ("key", "reason"),
        [
            ("", "empty"),
            ("a\0b", "NUL"),
            ("a\ud800", "surrogate"),
            ("n" * 1025, "1025 bytes"),
            ("é" * 513, "1026 bytes"),
            (b"bytes", "expected text"),
            (None, "expected text"),
        ],
    )
    async def test_an_illegal_key_is_refused_by_every_verb(
        self, bucket: Bucket, key: str, reason: str
    ) -> None:
        await bucket.put("k", b"kept")
        calls = (
            lambda: bucket.put(key, b""),
            lambda: bucket.get(key),
            lambda: bucket.head(key),
            lambda: bucket.exists(key),
            lambda: bucket.delete(key),
            lambda: bucket.delete_many(["k", key]),
            lambda: bucket.copy("k", key),
            lambda: bucket.copy(key, "k"),
            lambda: bucket.open(key).__aenter__(),
            lambda: bucket.as_file(key).__aenter__(),
        )
        for call in calls:
            with pytest.raises(ObjectKeyError, match=reason):
                await call()
        assert await bucket.get("k") == b"kept"
