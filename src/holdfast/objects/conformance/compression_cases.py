"""Cases of compression: readers get the content."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from holdfast.errors import InvalidValueError
from holdfast.objects.upload import PutOptions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from holdfast.objects.bucket import Bucket
    from holdfast.objects.compression import Compression

LINES = b"".join(b'{"frame": %d, "label": "person", "score": 0.5}\n' % n for n in range(20_000))
every = pytest.mark.parametrize("compression", ["zstd", "lz4", "gzip"])


class CompressionCases:
    """Cases of transparent compression."""

    @every
    async def test_what_shrinks_is_kept_small_and_read_as_it_was(
        self, bucket: Bucket, tmp_path: Path, compression: Compression
    ) -> None:
        seen: list[tuple[int, int]] = []
        options = PutOptions(
            compression=compression, progress=lambda done, total: seen.append((done, total))
        )
        info = await bucket.put("a.jsonl", LINES, options=options)
        assert seen[-1] == (len(LINES), len(LINES))
        assert (info.size, info.encoding) == (len(LINES), compression)
        assert info.stored is not None
        assert info.stored_size == info.stored < len(LINES) / 4
        assert info.sha256 == hashlib.sha256(LINES).hexdigest()
        head = await bucket.head("a.jsonl")
        assert head is not None
        assert replace(head, modified=info.modified) == info
        assert await bucket.get("a.jsonl") == LINES
        async with bucket.open("a.jsonl") as reader:
            assert reader.info.size == len(LINES)
            assert await reader.read(5) == LINES[:5]
            windows = [window async for window in reader]
            assert max(map(len, windows)) <= 262_144
            assert b"".join(windows) == LINES[5:]
        got = await bucket.download("a.jsonl", tmp_path / "down")
        assert got.size == len(LINES)
        assert (tmp_path / "down").read_bytes() == LINES
        async with bucket.as_file("a.jsonl") as path:
            assert path.suffix == ".jsonl"
            assert path.read_bytes() == LINES

    @every
    async def test_ranges_are_those_of_the_content(
        self, bucket: Bucket, compression: Compression
    ) -> None:
        await bucket.put("k", LINES, options=PutOptions(compression=compression))
        size = len(LINES)
        for start, end in (
            (0, 0),
            (0, 1),
            (5, 300_000),
            (262_144, 262_145),
            (size - 1, size),
            (size - 7, None),
            (None, 9),
            (size, size),
        ):
            assert await bucket.get("k", start=start, end=end) == LINES[start:end]
        with pytest.raises(InvalidValueError, match=f"has {size} bytes"):
            await bucket.get("k", end=size + 1)

    async def test_media_and_what_does_not_shrink_stay_as_they_are(self, bucket: Bucket) -> None:
        noise = os.urandom(100_000)
        for key, body in (
            ("film.mp4", LINES),
            ("photo.jpg", LINES),
            ("table.parquet", LINES),
            ("noise.bin", noise),
            ("short.txt", b"a" * 100),
            ("empty.txt", b""),
        ):
            info = await bucket.put(key, body, options=PutOptions(compression="gzip"))
            assert (info.encoding, info.stored, info.size) == (None, None, len(body))
            assert await bucket.get(key) == body
        drawn = await bucket.put("plan.svg", LINES, options=PutOptions(compression="gzip"))
        assert drawn.encoding == "gzip"

    @every
    async def test_a_body_in_pieces_is_compressed_too(
        self, bucket: Bucket, tmp_path: Path, compression: Compression
    ) -> None:
        def pieces() -> Iterator[bytes]:
            yield from (LINES[start : start + 777] for start in range(0, len(LINES), 777))

        options = PutOptions(compression=compression)
        info = await bucket.put("k", pieces(), options=options)
        assert (info.size, info.encoding) == (len(LINES), compression)
        assert await bucket.get("k") == LINES
        (tmp_path / "up.txt").write_bytes(LINES)
        info = await bucket.upload(tmp_path / "up.txt", "k", options=options)
        assert (info.encoding, info.content_type) == (compression, "application/octet-stream")
        assert await bucket.get("k") == LINES

    async def test_a_copy_is_compressed_as_its_source_is(self, bucket: Bucket) -> None:
        info = await bucket.put("k", LINES, options=PutOptions(compression="gzip"))
        copied = await bucket.copy("k", "to")
        assert (copied.size, copied.encoding, copied.stored) == (info.size, "gzip", info.stored)
        assert await bucket.get("to") == LINES
        await bucket.put("k", b"plain again")
        assert await bucket.get("k") == b"plain again"

    async def test_a_body_that_fails_leaves_nothing_compressed(self, bucket: Bucket) -> None:
        def broken() -> Iterator[bytes]:
            yield LINES
            raise KeyError("the camera is gone")

        with pytest.raises(KeyError, match="camera"):
            await bucket.put("k", broken(), options=PutOptions(compression="zstd"))
        assert not await bucket.exists("k")

    def test_an_unknown_compression_is_refused(self) -> None:
        with pytest.raises(InvalidValueError, match="expected one of zstd, lz4, gzip"):
            PutOptions(compression="brotli")  # type: ignore[arg-type]
