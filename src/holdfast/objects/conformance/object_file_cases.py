"""Cases of uploads, downloads, borrowed files and presigned URLs."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from holdfast.clock import utc_now
from holdfast.errors import (
    IntegrityError,
    InvalidValueError,
    ObjectNotFoundError,
    StorageError,
    UnsupportedError,
)
from holdfast.objects.conformance.object_write_cases import LARGE
from holdfast.objects.driver import BucketCapability
from holdfast.objects.presign import PresignOptions

if TYPE_CHECKING:
    from pathlib import Path

    from holdfast.objects.bucket import Bucket
    from holdfast.objects.conformance.harness import BucketHarness
    from holdfast.objects.presign import PresignedURL


async def _asked(granted: PresignedURL, body: bytes | None) -> tuple[bytes | None, int]:
    """Use the URL as a stranger would; return the body, sent or received, and the status."""

    def ask() -> tuple[bytes | None, int]:
        request = Request(  # noqa: S310 - what the server gave
            granted.url, data=body, headers=dict(granted.headers), method=granted.method
        )
        try:
            with urlopen(request, timeout=10) as answer:  # noqa: S310 - the same
                return answer.read() or body, answer.status
        except HTTPError as error:
            with error:
                return None, error.status or 0

    return await asyncio.to_thread(ask)


class ObjectFileCases:
    """Cases of upload, download and as_file."""

    @pytest.mark.parametrize("size", [0, 1, 262_144, 1_048_576])
    async def test_a_file_goes_up_and_comes_down_as_it_was(
        self, bucket: Bucket, tmp_path: Path, size: int
    ) -> None:
        local = tmp_path / "up.mp4"
        local.write_bytes(LARGE[:size])
        up: list[tuple[int, int]] = []
        down: list[tuple[int, int]] = []
        info = await bucket.upload(local, "v.mp4", progress=lambda *now: up.append(now))
        assert (info.size, info.content_type) == (size, "video/mp4")
        target = tmp_path / "down.mp4"
        got = await bucket.download("v.mp4", str(target), progress=lambda *now: down.append(now))
        assert replace(got, modified=info.modified) == info
        assert target.read_bytes() == LARGE[:size]
        steps = [(done, size) for done in range(262_144, size, 262_144)]
        assert up == down == [*steps, (size, size)]

    async def test_a_download_replaces_and_leaves_nothing_else(
        self, bucket: Bucket, tmp_path: Path
    ) -> None:
        folder = tmp_path / "downloads"
        folder.mkdir()
        target = folder / "file"
        target.write_bytes(b"before")
        await bucket.put("k", b"after")
        await bucket.download("k", target)
        assert target.read_bytes() == b"after"
        assert list(folder.iterdir()) == [target]

    async def test_a_download_that_fails_leaves_the_local_file_alone(
        self, bucket: Bucket, tmp_path: Path
    ) -> None:
        folder = tmp_path / "downloads"
        folder.mkdir()
        target = folder / "file"
        target.write_bytes(b"before")
        await bucket.put("k", LARGE)

        def refuse(done: int, total: int) -> None:
            if done == total:
                raise KeyError("enough")

        with pytest.raises(KeyError, match="enough"):
            await bucket.download("k", target, progress=refuse)
        with pytest.raises(ObjectNotFoundError):
            await bucket.download("nothing", target)
        with pytest.raises(StorageError, match="folder"):
            await bucket.download("k", folder)
        with pytest.raises(StorageError, match="No such file or directory"):
            await bucket.download("k", tmp_path / "missing" / "file")
        assert target.read_bytes() == b"before"
        assert list(folder.iterdir()) == [target]
        assert not (tmp_path / "missing").exists()

    async def test_a_local_file_that_cannot_be_read_is_named(
        self, bucket: Bucket, tmp_path: Path
    ) -> None:
        os.mkfifo(tmp_path / "pipe")
        for name, reason in (("gone", "No such file"), ("pipe", "regular file"), ("", "regular")):
            path = tmp_path / name
            with pytest.raises(StorageError, match=f"{path}: .*{reason}"):
                await bucket.upload(path, "k")
        assert not await bucket.exists("k")

    @pytest.mark.parametrize(
        "change", ["grows", "shrinks", "is rewritten", "vanishes", "is replaced"]
    )
    async def test_a_local_file_that_changes_while_it_is_read_is_refused(
        self, bucket: Bucket, tmp_path: Path, change: str
    ) -> None:
        local = tmp_path / "file"
        local.write_bytes(LARGE)
        os.utime(local, (1, 1))

        def meddle(done: int, total: int) -> None:
            if done == total // 4:
                match change:
                    case "grows":
                        with local.open("ab") as file:
                            file.write(b"more")
                    case "shrinks":
                        os.truncate(local, 300_000)
                    case "is rewritten":
                        local.write_bytes(LARGE[::-1])
                    case "vanishes":
                        local.unlink()
                    case _:
                        other = tmp_path / "other"
                        other.write_bytes(LARGE)
                        os.utime(other, (1, 1))
                        other.replace(local)

        with pytest.raises(IntegrityError, match=f"{local}: the file (changed|vanished)"):
            await bucket.upload(local, "k", progress=meddle)
        assert [info async for info in bucket.list()] == []

    async def test_an_object_is_lent_as_a_file_with_its_extension(self, bucket: Bucket) -> None:
        await bucket.put("a/clip.mp4", LARGE)
        async with bucket.as_file("a/clip.mp4") as path:
            assert path.suffix == ".mp4"
            assert path.read_bytes() == LARGE
        assert not path.exists()
        assert await bucket.get("a/clip.mp4") == LARGE

    async def test_a_lent_file_stays_when_its_object_does_not(self, bucket: Bucket) -> None:
        await bucket.put("replaced", b"old")
        await bucket.put("deleted", b"old")
        async with bucket.as_file("replaced") as first, bucket.as_file("deleted") as second:
            await bucket.put("replaced", b"new")
            await bucket.delete("deleted")
            await bucket.sweep()
            assert (first.read_bytes(), second.read_bytes()) == (b"old", b"old")
        assert await bucket.get("replaced") == b"new"

    async def test_nothing_cannot_be_lent(self, bucket: Bucket) -> None:
        with pytest.raises(ObjectNotFoundError):
            async with bucket.as_file("k"):
                pass

    async def test_two_may_borrow_one_object(self, bucket: Bucket) -> None:
        await bucket.put("k", b"bytes")
        async with bucket.as_file("k") as first:
            async with bucket.as_file("k") as second:
                assert first != second
            assert first.read_bytes() == b"bytes"

    async def test_a_presigned_url_is_good_for_what_it_grants(
        self, bucket: Bucket, harness: BucketHarness
    ) -> None:
        if BucketCapability.PRESIGN not in harness.capabilities:
            with pytest.raises(UnsupportedError, match="presigned"):
                await bucket.presign("k")
            return
        options = PresignOptions(
            method="PUT", content_type="text/css", expires=timedelta(minutes=5)
        )
        upload = await bucket.presign("ü k.css", options)
        before = utc_now()
        assert before < upload.expires <= before + timedelta(minutes=5)
        assert await _asked(upload, b"body {}") == (b"body {}", 200)
        download = await bucket.presign("ü k.css", PresignOptions(filename="größe.css"))
        assert await _asked(download, None) == (b"body {}", 200)
        head = await bucket.head("ü k.css")
        assert head is not None
        assert head.content_type == "text/css"
        other = replace(download, url=download.url.replace("k.css", "x.css"))
        assert (await _asked(other, None))[1] == 403

    @pytest.mark.parametrize(
        "wrong",
        [{"method": "POST"}, {"expires": timedelta(0)}, {"expires": timedelta(days=8)}],
    )
    async def test_a_grant_that_no_server_honours_is_refused(
        self, bucket: Bucket, wrong: dict[str, Any]
    ) -> None:
        with pytest.raises(InvalidValueError, match="presign"):
            await bucket.presign("k", PresignOptions(**wrong))

    async def test_an_age_below_zero_sweeps_nothing(self, bucket: Bucket) -> None:
        with pytest.raises(InvalidValueError, match=r"sweep\.older_than"):
            await bucket.sweep_incomplete(timedelta(seconds=-1))
        assert await bucket.sweep_incomplete(timedelta(days=1)) == 0

    async def test_there_is_nothing_to_sweep_while_all_is_well(self, bucket: Bucket) -> None:
        await bucket.put("k", b"bytes")
        async with bucket.open("k"), bucket.as_file("k"):
            assert await bucket.sweep() == 0
        assert await bucket.get("k") == b"bytes"
