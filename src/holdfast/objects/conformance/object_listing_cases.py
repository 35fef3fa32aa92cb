"""Cases of listings."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from holdfast.errors import InvalidValueError, ObjectKeyError
from holdfast.objects.conformance.kept_keys import fill
from holdfast.objects.object_info import CommonPrefix

if TYPE_CHECKING:
    from holdfast.objects.bucket import Bucket
    from holdfast.objects.conformance.harness import BucketHarness

KEYS = [
    "a",
    "a!",
    "a-",
    "a.txt",
    "a/",
    "a//",
    "a/b",
    "a/b/c",
    "a/b0",
    "a0",
    "b/" + "x" * 79,
    "b/" + "x" * 80,
    "b/" + "x" * 80 + "!",
    "b/" + "x" * 80 + "/y",
    "b/" + "x" * 80 + "é",
    "b/" + "x" * 81,
    "d/" * 40,
    "d/" * 40 + "!",
    "d/" * 40 + "/",
    "d/" * 40 + "0",
    "d/" * 39 + "d",
    "d/" * 80,
    "m\ud7ff1",  # the last before the surrogates
    "m\ud7ff2",
    "m\ue000",
    "é",
    "\uffff/x",
    "\U0001f3a5",
    "\U0010ffff/\U0010ffff",
]


async def _names(bucket: Bucket, prefix: str, delimiter: str, after: str | None) -> list[str]:
    return [
        entry.prefix if isinstance(entry, CommonPrefix) else entry.key
        async for entry in bucket.list(prefix, delimiter=delimiter, start_after=after)
    ]


def _expected(keys: list[str], prefix: str, delimiter: str, after: str | None) -> list[str]:
    names = set()
    for key in keys:
        if key.startswith(prefix):
            end = key.find(delimiter, len(prefix))
            names.add(key if end < 0 else key[: end + len(delimiter)])
    return sorted(name for name in names if after is None or name > after)


class ObjectListingCases:
    """Cases of listing."""

    async def test_keys_come_in_code_point_order_with_their_infos(
        self, bucket: Bucket, harness: BucketHarness
    ) -> None:
        kept = await fill(bucket, reversed(KEYS), harness)
        infos = [info async for info in bucket.list()]
        assert [info.key for info in infos] == sorted(kept)
        assert [info.size for info in infos] == [len(key.encode()) for key in sorted(kept)]

    async def test_an_empty_bucket_lists_nothing(self, bucket: Bucket) -> None:
        assert [info async for info in bucket.list()] == []

    async def test_a_prefix_is_text_not_a_folder(
        self, bucket: Bucket, harness: BucketHarness
    ) -> None:
        kept = await fill(bucket, reversed(KEYS), harness)
        for prefix in ("a", "a/", "a/b", "b/x", "b/" + "x" * 80, "\U0001f3a5", "nothing"):
            listed = [info.key async for info in bucket.list(prefix)]
            assert listed == [key for key in sorted(kept) if key.startswith(prefix)]

    async def test_start_after_continues_where_another_listing_ended(
        self, bucket: Bucket, harness: BucketHarness
    ) -> None:
        kept = await fill(bucket, reversed(KEYS), harness)
        for after in [*kept, "", "a/b/", "between", "\U0010ffff" * 3]:
            listed = [info.key async for info in bucket.list(start_after=after)]
            assert listed == [key for key in sorted(kept) if key > after]

    @pytest.mark.parametrize("delimiter", ["/", "b", "x", "/b", "\ud7ff", "\U0010ffff"])
    async def test_a_delimiter_gathers_keys_into_common_prefixes(
        self, bucket: Bucket, harness: BucketHarness, delimiter: str
    ) -> None:
        kept = await fill(bucket, reversed(KEYS), harness)
        for prefix in ("", "a", "a/", "a/b", "b/", "\U0010ffff"):
            for after in (None, "a", "a/", "a/b", "a/b/", "a0", "b/"):
                listed = await _names(bucket, prefix, delimiter, after)
                assert listed == _expected(kept, prefix, delimiter, after), (prefix, after)

    async def test_an_empty_delimiter_is_refused(self, bucket: Bucket) -> None:
        with pytest.raises(InvalidValueError, match=r"listing\.delimiter"):
            [entry async for entry in bucket.list(delimiter="")]

    async def test_a_prefix_that_no_key_may_have_is_refused(self, bucket: Bucket) -> None:
        with pytest.raises(ObjectKeyError, match="NUL"):
            [entry async for entry in bucket.list("a\0")]

    async def test_a_listing_that_is_changed_meanwhile_lists_the_rest_once(
        self, bucket: Bucket, harness: BucketHarness
    ) -> None:
        keys = [f"{number:04}" for number in range(600)]  # more than any batch
        await fill(bucket, keys, harness)
        listed = []
        async for info in bucket.list():
            listed.append(info.key)
            if info.key == "0010":
                await bucket.delete_many(["0005", "0599"])
                await bucket.put("0300", b"changed")
        assert all(earlier < later for earlier, later in pairwise(listed))
        assert set(keys) - {"0599"} <= set(listed)

    async def test_a_listing_may_be_left_early(
        self, bucket: Bucket, harness: BucketHarness
    ) -> None:
        await fill(bucket, reversed(KEYS), harness)
        first = None
        async for info in bucket.list():
            first = info.key
            break
        assert first is not None
        assert await bucket.delete(first)
