"""Cases of `put`, `copy` and `delete`."""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from holdfast.clock import utc_now
from holdfast.errors import (
    InvalidValueError,
    ObjectNotFoundError,
    PreconditionFailedError,
    UnsupportedError,
)
from holdfast.objects.driver import BucketCapability
from holdfast.objects.upload import PutOptions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from holdfast.objects.body import Body
    from holdfast.objects.bucket import Bucket
    from holdfast.objects.conformance.harness import BucketHarness

LARGE = bytes(range(256)) * 4096  # 1 MiB, in four windows


class ObjectWriteCases:
    """Cases of writing."""

    async def test_put_returns_what_head_returns(
        self, bucket: Bucket, harness: BucketHarness
    ) -> None:
        before = utc_now() - timedelta(seconds=2)
        info = await bucket.put("a.txt", b"hello", metadata={"Camera": "Süd 3"})
        head = await bucket.head("a.txt")
        assert head is not None
        assert replace(head, modified=info.modified) == info
        assert abs(head.modified - info.modified) <= timedelta(seconds=1)
        if BucketCapability.EXACT_TIMES in harness.capabilities:
            assert head.modified == info.modified
        assert (info.key, info.size, info.content_type) == ("a.txt", 5, "text/plain")
        assert info.metadata == {"camera": "Süd 3"}
        assert info.sha256 == hashlib.sha256(b"hello").hexdigest()
        assert before <= info.modified <= utc_now()
        assert info.modified.utcoffset() == timedelta(0)

    @pytest.mark.parametrize("size", [0, 1, 262_143, 262_144, 262_145, 1_048_576])
    async def test_every_kind_of_body_is_stored_alike(self, bucket: Bucket, size: int) -> None:
        content = LARGE[:size]

        async def asynchronous() -> AsyncIterator[bytes]:
            for start in range(0, size, 100_000):
                yield content[start : start + 100_000]

        def pieces() -> Iterator[bytes]:
            yield from (content[start : start + 100_000] for start in range(0, size, 100_000))

        views: list[Body] = [content, bytearray(content), memoryview(content)]
        for body in (*views, io.BytesIO(content), pieces(), asynchronous()):
            info = await bucket.put("k", body)
            assert info.size == size
            assert await bucket.get("k") == content

    async def test_a_file_is_put_from_where_it_stands(self, bucket: Bucket) -> None:
        file = io.BytesIO(b"skipped kept")
        file.seek(8)
        await bucket.put("k", file)
        assert await bucket.get("k") == b"kept"

    async def test_a_put_replaces_bytes_type_and_metadata(self, bucket: Bucket) -> None:
        first = await bucket.put("k", b"1", content_type="text/html", metadata={"a": "1"})
        second = await bucket.put("k", b"22", metadata={"b": "2"})
        assert second.etag != first.etag
        assert (second.content_type, second.metadata) == ("application/octet-stream", {"b": "2"})
        assert await bucket.get("k") == b"22"

    async def test_the_same_bytes_again_have_another_etag(
        self, bucket: Bucket, harness: BucketHarness
    ) -> None:
        first = await bucket.put("k", b"same")
        again = await bucket.put("k", b"same")
        assert (again.etag != first.etag) == (
            BucketCapability.ETAG_PER_WRITE in harness.capabilities
        )
        assert (await bucket.put("k", b"other")).etag != first.etag

    async def test_what_a_caller_does_to_a_result_stays_with_the_caller(
        self, bucket: Bucket
    ) -> None:
        given = {"a": "1"}
        body = bytearray(b"abc")
        info = await bucket.put("k", body, metadata=given)
        given["a"] = "2"
        body[:] = b"xyz"
        assert isinstance(info.metadata, dict)
        info.metadata["a"] = "3"
        head = await bucket.head("k")
        assert head is not None
        assert head.metadata == {"a": "1"}
        assert await bucket.get("k") == b"abc"

    async def test_a_body_that_fails_stores_nothing(self, bucket: Bucket) -> None:
        await bucket.put("old", b"old")

        def broken() -> Iterator[bytes]:
            yield LARGE
            raise OSError(5, "the camera is gone")

        for key in ("new", "old"):
            with pytest.raises(OSError, match="the camera is gone"):
                await bucket.put(key, broken())
        assert [info.key async for info in bucket.list()] == ["old"]
        assert await bucket.get("old") == b"old"

    @pytest.mark.parametrize("body", ["text", 5, None, [1, 2], ["text"], io.StringIO("text")])
    async def test_a_body_of_no_bytes_is_refused(self, bucket: Bucket, body: object) -> None:
        with pytest.raises(InvalidValueError, match=r"object\.body: expected .*bytes"):
            await bucket.put("k", body)  # type: ignore[arg-type]
        assert not await bucket.exists("k")

    async def test_if_absent_stores_once(self, bucket: Bucket, harness: BucketHarness) -> None:
        only_new = PutOptions(if_absent=True)
        if BucketCapability.CONDITIONAL_CREATE not in harness.capabilities:
            with pytest.raises(UnsupportedError, match="conditional create"):
                await bucket.put("k", b"1", options=only_new)
            assert not await bucket.exists("k")
            return
        await bucket.put("k", b"1", options=only_new)
        with pytest.raises(PreconditionFailedError):
            await bucket.put("k", b"2", options=only_new)
        assert await bucket.get("k") == b"1"
        await bucket.delete("k")
        await bucket.put("k", b"3", options=only_new)
        assert await bucket.get("k") == b"3"

    async def test_if_match_replaces_that_object_alone(
        self, bucket: Bucket, harness: BucketHarness
    ) -> None:
        first = await bucket.put("k", b"1")
        over_first = PutOptions(if_match=first.etag)
        if BucketCapability.CONDITIONAL_REPLACE not in harness.capabilities:
            with pytest.raises(UnsupportedError, match="conditional replace"):
                await bucket.put("k", b"2", options=over_first)
            assert await bucket.get("k") == b"1"
            return
        await bucket.put("k", b"2", options=over_first)
        for key in ("k", "nothing there"):
            with pytest.raises(PreconditionFailedError):
                await bucket.put(key, b"3", options=over_first)
        assert await bucket.get("k") == b"2"
        assert not await bucket.exists("nothing there")

    @pytest.mark.parametrize(
        "metadata",
        [
            {"": "x"},
            {"a b": "x"},
            {"ä": "x"},
            {"\u212a": "x"},  # the Kelvin sign, whose lower case is ASCII
            {"a": "line\nline"},
            {"a": "\x00"},
            {"a": "\ud800"},
            {"a": 1},
            {"a": "x", "A": "y"},
            {"a": "x" * 2048},
        ],
    )
    async def test_bad_metadata_is_refused(self, bucket: Bucket, metadata: dict[str, str]) -> None:
        with pytest.raises(InvalidValueError, match=r"object\.metadata"):
            await bucket.put("k", b"", metadata=metadata)
        assert not await bucket.exists("k")

    async def test_two_kibibytes_of_metadata_are_kept(
        self, bucket: Bucket, harness: BucketHarness
    ) -> None:
        metadata = {"a": "x" * 2047}
        if BucketCapability.FULL_METADATA not in harness.capabilities:
            with pytest.raises(InvalidValueError, match=r"object\.metadata"):
                await bucket.put("k", b"", metadata=metadata)
            assert not await bucket.exists("k")
            metadata = {"a": "x" * 1023}
        await bucket.put("k", b"", metadata=metadata)
        head = await bucket.head("k")
        assert head is not None
        assert head.metadata == metadata

    @pytest.mark.parametrize("kind", ["", "text", "text/", "a/b/c", "text/plain\r\nx: y", "a/ü"])
    async def test_a_bad_content_type_is_refused(self, bucket: Bucket, kind: str) -> None:
        with pytest.raises(InvalidValueError, match=r"object\.content_type"):
            await bucket.put("k", b"", content_type=kind)
        assert not await bucket.exists("k")

    @pytest.mark.parametrize(
        ("key", "kind"),
        [
            ("a/film.MP4", "video/mp4"),
            ("scan.mkv", "video/matroska"),
            ("page.html", "text/html"),
            ("backup.tar.gz", "application/gzip"),
            ("data:text/html,x", "application/octet-stream"),
            ("noextension", "application/octet-stream"),
        ],
    )
    async def test_the_content_type_is_guessed_from_the_key(
        self, bucket: Bucket, key: str, kind: str
    ) -> None:
        assert (await bucket.put(key, b"")).content_type == kind

    async def test_progress_rises_to_the_total_and_ends_there(self, bucket: Bucket) -> None:
        seen: list[tuple[int, int]] = []
        options = PutOptions(progress=lambda done, total: seen.append((done, total)))
        await bucket.put("k", LARGE, options=options)
        assert seen == [(done, len(LARGE)) for done in range(262_144, len(LARGE) + 1, 262_144)]
        seen.clear()
        await bucket.put("k", b"", options=options)
        assert seen == [(0, 0)]

    async def test_progress_that_raises_stores_nothing(self, bucket: Bucket) -> None:
        def refuse(done: int, total: int) -> None:
            if done == total:
                raise KeyError("enough")

        with pytest.raises(KeyError, match="enough"):
            await bucket.put("k", LARGE, options=PutOptions(progress=refuse))
        assert [info async for info in bucket.list()] == []

    async def test_delete_says_whether_it_was_there(self, bucket: Bucket) -> None:
        await bucket.put("k", b"1")
        assert await bucket.delete("k") is True
        assert await bucket.delete("k") is False
        assert await bucket.head("k") is None

    async def test_delete_many_counts_what_was_there(self, bucket: Bucket) -> None:
        for key in ("a", "b", "c"):
            await bucket.put(key, b"1")
        assert await bucket.delete_many(iter(["a", "c", "d", "a"])) == 2
        assert [info.key async for info in bucket.list()] == ["b"]

    async def test_a_copy_is_an_object_of_its_own(
        self, bucket: Bucket, harness: BucketHarness
    ) -> None:
        source = await bucket.put("from", b"bytes", content_type="text/css", metadata={"a": "1"})
        copied = await bucket.copy("from", "to/here")
        assert (copied.key, copied.size, copied.sha256) == ("to/here", 5, source.sha256)
        assert (copied.content_type, copied.metadata) == ("text/css", {"a": "1"})
        assert (copied.etag != source.etag) == (
            BucketCapability.ETAG_PER_WRITE in harness.capabilities
        )
        await bucket.delete("from")
        assert await bucket.get("to/here") == b"bytes"

    async def test_a_copy_replaces_and_may_be_onto_itself(self, bucket: Bucket) -> None:
        await bucket.put("a", b"new")
        await bucket.put("b", b"old")
        await bucket.copy("a", "b")
        await bucket.copy("a", "a")
        assert [await bucket.get(key) for key in ("a", "b")] == [b"new", b"new"]

    async def test_a_copy_of_nothing_is_an_error(self, bucket: Bucket) -> None:
        await bucket.put("to", b"kept")
        with pytest.raises(ObjectNotFoundError) as caught:
            await bucket.copy("from", "to")
        assert caught.value.key == "from"
        assert await bucket.get("to") == b"kept"
