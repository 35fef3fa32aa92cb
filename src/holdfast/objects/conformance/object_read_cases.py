"""Cases of `get` and `open`."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from holdfast.errors import (
    IntegrityError,
    InvalidValueError,
    ObjectNotFoundError,
    PreconditionFailedError,
)
from holdfast.objects.conformance.object_write_cases import LARGE
from holdfast.objects.driver import BucketCapability

if TYPE_CHECKING:
    from holdfast.objects.bucket import Bucket
    from holdfast.objects.conformance.harness import BucketHarness


async def _never_a_mixture(bucket: Bucket) -> None:
    async with bucket.open("replaced") as first, bucket.open("deleted") as second:
        start = await first.read(10), await second.read(10)
        await bucket.put("replaced", LARGE[::-1])
        await bucket.delete("deleted")
        for head, reader in zip(start, (first, second), strict=True):
            with suppress(IntegrityError):  # refused, where it is no longer there
                assert head + await reader.read() == LARGE


class ObjectReadCases:
    """Cases of reading."""

    async def test_what_is_not_there_is_an_error_or_none(self, bucket: Bucket) -> None:
        await bucket.put("k/inside", b"")
        for key in ("k", "k/", "k/inside/more", "other"):
            with pytest.raises(ObjectNotFoundError) as caught:
                await bucket.get(key)
            assert caught.value.key == key
            with pytest.raises(ObjectNotFoundError):
                async with bucket.open(key):
                    pass
            assert await bucket.head(key) is None
            assert await bucket.exists(key) is False

    @pytest.mark.parametrize(
        ("start", "end"), [(None, None), (0, 0), (2, None), (None, 3), (1, 4), (5, 5), (5, None)]
    )
    async def test_a_range_is_half_open_like_a_slice(
        self, bucket: Bucket, start: int | None, end: int | None
    ) -> None:
        await bucket.put("k", b"01234")
        assert await bucket.get("k", start=start, end=end) == b"01234"[start:end]

    @pytest.mark.parametrize(("start", "end"), [(-1, None), (None, -1), (3, 2), (6, None), (0, 6)])
    async def test_a_range_outside_the_object_is_refused(
        self, bucket: Bucket, start: int | None, end: int | None
    ) -> None:
        await bucket.put("k", b"01234")
        with pytest.raises(InvalidValueError, match="has 5 bytes"):
            await bucket.get("k", start=start, end=end)

    async def test_an_offset_that_is_no_whole_number_is_refused(self, bucket: Bucket) -> None:
        await bucket.put("k", b"01234")
        wrongs: tuple[Any, ...] = (1.5, "1", b"1")
        for wrong in wrongs:
            with pytest.raises(InvalidValueError, match=r"object\.start"):
                await bucket.get("k", start=wrong)
            with pytest.raises(InvalidValueError, match=r"object\.end"):
                await bucket.get("k", end=wrong)

    async def test_pieces_of_another_object_are_refused(self, bucket: Bucket) -> None:
        first = await bucket.put("k", b"01234")
        assert await bucket.get("k", start=0, end=2, if_match=first.etag) == b"01"
        await bucket.put("k", b"56789")
        for start, end in ((2, 5), (None, None)):
            with pytest.raises(PreconditionFailedError):
                await bucket.get("k", start=start, end=end, if_match=first.etag)

    async def test_a_stream_of_a_range_gives_its_bytes_alone(self, bucket: Bucket) -> None:
        info = await bucket.put("k", LARGE)
        for start, end in ((1, len(LARGE) - 1), (None, 5), (len(LARGE) - 5, None), (7, 7)):
            async with bucket.open("k", start=start, end=end, if_match=info.etag) as reader:
                assert reader.info.size == len(LARGE)
                assert b"".join([window async for window in reader]) == LARGE[start:end]
                assert await reader.read(1) == b""

    async def test_a_stream_of_a_wrong_range_or_object_is_refused(self, bucket: Bucket) -> None:
        info = await bucket.put("k", b"01234")
        with pytest.raises(InvalidValueError, match="has 5 bytes"):
            async with bucket.open("k", start=2, end=6):
                pass
        await bucket.put("k", b"56789")
        with pytest.raises(PreconditionFailedError):
            async with bucket.open("k", start=1, if_match=info.etag):
                pass

    async def test_a_range_of_an_empty_object_is_empty(self, bucket: Bucket) -> None:
        await bucket.put("k", b"")
        assert await bucket.get("k", start=0, end=0) == b""
        with pytest.raises(InvalidValueError):
            await bucket.get("k", end=1)

    async def test_a_stream_gives_all_bytes_in_order(self, bucket: Bucket) -> None:
        info = await bucket.put("k", LARGE)
        async with bucket.open("k") as reader:
            assert replace(reader.info, modified=info.modified) == info
            assert await reader.read(3) == LARGE[:3]
            assert await reader.read(0) == b""
            windows = [window async for window in reader]
            assert max(map(len, windows)) <= 262_144
            assert b"".join(windows) == LARGE[3:]
            assert await reader.read(1) == b""
            assert await reader.read() == b""

    async def test_read_without_a_size_gives_the_rest(self, bucket: Bucket) -> None:
        await bucket.put("k", b"0123456789")
        async with bucket.open("k") as reader:
            assert await reader.read(4) == b"0123"
            assert await reader.read() == b"456789"

    async def test_an_open_stream_stays_with_its_object(
        self, bucket: Bucket, harness: BucketHarness
    ) -> None:
        await bucket.put("replaced", LARGE)
        await bucket.put("deleted", LARGE)
        if BucketCapability.STABLE_READS not in harness.capabilities:
            await _never_a_mixture(bucket)
            return
        async with bucket.open("replaced") as first, bucket.open("deleted") as second:
            start = await first.read(10), await second.read(10)
            await bucket.put("replaced", b"new")
            await bucket.delete("deleted")
            assert (start[0] + await first.read(), start[1] + await second.read()) == (LARGE, LARGE)
        assert await bucket.get("replaced") == b"new"
        assert not await bucket.exists("deleted")

    async def test_an_error_inside_an_open_stream_escapes_as_it_is(self, bucket: Bucket) -> None:
        await bucket.put("k", b"x")
        with pytest.raises(KeyError, match="mine"):
            async with bucket.open("k"):
                raise KeyError("mine")
