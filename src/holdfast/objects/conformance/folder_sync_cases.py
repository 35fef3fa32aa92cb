"""Cases of erasure, filters and folder sync."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from holdfast.clock import utc_now
from holdfast.errors import (
    InvalidValueError,
    ObjectKeyError,
    ObjectNotFoundError,
    StorageError,
    UnsupportedError,
)
from holdfast.objects.bucket_settings import Versioning
from holdfast.objects.driver import BucketCapability
from holdfast.objects.filter import Filter
from holdfast.objects.object_info import CommonPrefix
from holdfast.objects.upload import PutOptions

if TYPE_CHECKING:
    from pathlib import Path

    from holdfast.objects.bucket import Bucket
    from holdfast.objects.conformance.harness import BucketHarness


async def _keys(bucket: Bucket, where: Filter | None = None, prefix: str = "") -> list[str]:
    return [info.key async for info in bucket.list(prefix, where=where)]


def _files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


class FolderSyncCases:
    """Cases of erase, of filters and of a folder kept in step."""

    async def test_an_erased_key_has_no_past(self, bucket: Bucket, harness: BucketHarness) -> None:
        versions = BucketCapability.VERSIONS in harness.capabilities
        if versions:
            await bucket.admin.set(Versioning(enabled=True))
        for body in (b"1", b"2"):
            await bucket.put("k", body)
        await bucket.delete("k")
        await bucket.put("k", b"3")
        await bucket.put("k2", b"stays")
        erased = await bucket.erase("k")
        assert erased.held == ()
        assert (erased.objects, erased.markers) == ((3, 1) if versions else (1, 0))
        assert not await bucket.exists("k")
        assert await _keys(bucket) == ["k2"]
        if versions:
            assert [found.key async for found in bucket.versions()] == ["k2"]
        again = await bucket.erase("k")
        assert (again.objects, again.markers, again.uploads, again.held) == (0, 0, 0, ())

    async def test_an_erased_prefix_takes_all_below_it(self, bucket: Bucket) -> None:
        for key in ("a/1", "a/2", "ab", "b"):
            await bucket.put(key, b"x")
        assert (await bucket.erase_prefix("a/")).objects == 2
        assert await _keys(bucket) == ["ab", "b"]
        with pytest.raises(InvalidValueError, match="whole bucket"):
            await bucket.erase_prefix("")
        with pytest.raises(ObjectKeyError):
            await bucket.erase("")
        assert await _keys(bucket) == ["ab", "b"]

    async def test_what_lies_inside_another_key_is_erased_or_refused_but_never_missed(
        self, bucket: Bucket, harness: BucketHarness
    ) -> None:
        await bucket.put("a", b"1")
        try:
            await bucket.put("a/b", b"2")
        except ObjectKeyError:
            return  # such keys can't be here
        if BucketCapability.KEY_INSIDE_KEY not in harness.capabilities:
            for call in (bucket.erase("a/b"), bucket.erase_prefix("a/")):
                with pytest.raises(UnsupportedError, match="behind a slash"):
                    await call
            assert await bucket.exists("a/b")
            assert (await bucket.erase_prefix("a")).objects >= 2
        else:
            assert (await bucket.erase("a/b")).objects == 1
            assert (await bucket.erase("a")).objects == 1
        assert not await bucket.exists("a")
        assert not await bucket.exists("a/b")

    async def test_a_filter_chooses_by_type_size_and_time(self, bucket: Bucket) -> None:
        for key, size in (("a.mp4", 5), ("b.mkv", 50), ("c.txt", 500), ("d/e.mp4", 5000)):
            await bucket.put(key, b"x" * size)
        assert await _keys(bucket, Filter()) == ["a.mp4", "b.mkv", "c.txt", "d/e.mp4"]
        assert await _keys(bucket, Filter(types=("video/*",))) == ["a.mp4", "b.mkv", "d/e.mp4"]
        assert await _keys(bucket, Filter(types=("text/plain", "video/mp4"), most=500)) == [
            "a.mp4",
            "c.txt",
        ]
        assert await _keys(bucket, Filter(least=50, most=500)) == ["b.mkv", "c.txt"]
        assert await _keys(bucket, Filter(types=("video/mp4",)), "d/") == ["d/e.mp4"]
        long_ago = utc_now() - timedelta(hours=1)
        assert len(await _keys(bucket, Filter(since=long_ago))) == 4
        assert await _keys(bucket, Filter(before=long_ago)) == []
        level = bucket.list(delimiter="/", where=Filter(least=100))
        names = [e.prefix if isinstance(e, CommonPrefix) else e.key async for e in level]
        assert names == ["c.txt", "d/"]

    async def test_a_filter_chooses_by_the_size_of_the_content(self, bucket: Bucket) -> None:
        packed = PutOptions(compression="gzip")
        await bucket.put("packed.txt", bytes(100_000), options=packed)
        await bucket.put("plain.txt", bytes(100))
        (found,) = [info async for info in bucket.list(where=Filter(least=50_000))]
        assert (found.key, found.size, found.encoding) == ("packed.txt", 100_000, "gzip")
        assert found.stored_size < 1000
        assert await _keys(bucket, Filter(most=50_000)) == ["plain.txt"]

    async def test_a_filter_looks_beyond_its_first_batch(self, bucket: Bucket) -> None:
        for number in range(70):
            kind = "text/css" if number % 10 == 0 else "text/plain"
            await bucket.put(f"{number:02}", b"x", content_type=kind)
        expected = [f"{number:02}" for number in range(0, 70, 10)]
        assert await _keys(bucket, Filter(types=("text/css",))) == expected

    async def test_a_filter_chooses_by_tags(self, bucket: Bucket, harness: BucketHarness) -> None:
        wanted = Filter(tags={"who": "me"})
        if BucketCapability.TAGS not in harness.capabilities:
            with pytest.raises(UnsupportedError, match="tags on objects"):
                await _keys(bucket, wanted)
            return
        await bucket.put("a", b"x", options=PutOptions(tags={"who": "me", "and": "more"}))
        await bucket.put("b", b"x", options=PutOptions(tags={"who": "you"}))
        await bucket.put("c", b"x")
        assert await _keys(bucket, wanted) == ["a"]

    def test_a_filter_that_means_nothing_cannot_be_made(self) -> None:
        naive = datetime(2026, 1, 1)  # noqa: DTZ001 - that is it
        wrongs: tuple[dict[str, Any], ...] = (
            {"types": "video/*"},
            {"types": ("video",)},
            {"since": naive},
            {"since": "2020"},
            {"before": 5},
            {"types": 5},
            {"types": (5,)},
            {"least": "a"},
            {"most": 1.5},
            {"tags": "a"},
            {"tags": {"": ""}},
        )
        for wrong in wrongs:
            with pytest.raises(InvalidValueError):
                Filter(**wrong)

    async def test_a_folder_goes_up_and_only_what_changed_goes_again(
        self, bucket: Bucket, tmp_path: Path
    ) -> None:
        folder = tmp_path / "local"
        (folder / "sub").mkdir(parents=True)
        for name in ("a.txt", "sub/b.txt", "sub/ü c"):
            (folder / name).write_bytes(name.encode())
        (folder / "link").symlink_to("a.txt")
        (folder / "alias").symlink_to("sub")
        os.mkfifo(folder / "pipe")
        await bucket.put("up/stale", b"x")
        await bucket.put("other", b"x")
        first = await bucket.sync_up(folder, "up/")
        assert first.transferred == ("up/a.txt", "up/sub/b.txt", "up/sub/ü c")
        assert (first.deleted, first.unchanged) == ((), 0)
        assert first.skipped == ("alias", "link", "pipe")
        assert await bucket.get("up/sub/ü c") == "sub/ü c".encode()
        os.utime(folder / "a.txt")  # another time, the same bytes
        (folder / "sub/b.txt").write_bytes(b"SUB/B.TXT")  # the same size, other bytes
        second = await bucket.sync_up(folder, "up/", delete=True)
        assert second.transferred == ("up/sub/b.txt",)
        assert (second.deleted, second.unchanged) == (("up/stale",), 2)
        assert await _keys(bucket) == ["other", "up/a.txt", "up/sub/b.txt", "up/sub/ü c"]
        assert await bucket.get("up/sub/b.txt") == b"SUB/B.TXT"

    async def test_a_prefix_comes_down_and_only_what_changed_comes_again(
        self, bucket: Bucket, tmp_path: Path
    ) -> None:
        folder = tmp_path / "local"
        for key in ("p/a", "p/sub/b", "other"):
            await bucket.put(key, key.encode())
        first = await bucket.sync_down("p/", folder)
        assert (first.transferred, first.unchanged) == (("p/a", "p/sub/b"), 0)
        assert _files(folder) == {"a": b"p/a", "sub/b": b"p/sub/b"}
        (folder / "mine").mkdir()
        (folder / "mine/file").write_bytes(b"x")
        await bucket.put("p/a", b"new")
        second = await bucket.sync_down("p/", folder)
        assert (second.transferred, second.deleted, second.unchanged) == (("p/a",), (), 1)
        assert _files(folder) == {"a": b"new", "mine/file": b"x", "sub/b": b"p/sub/b"}
        third = await bucket.sync_down("p/", folder, delete=True)
        assert (third.transferred, third.deleted, third.unchanged) == ((), ("mine/file",), 2)
        assert _files(folder) == {"a": b"new", "sub/b": b"p/sub/b"}
        assert not (folder / "mine").exists()
        back = await bucket.sync_up(folder, "p/", delete=True)
        assert (back.transferred, back.deleted) == ((), ())

    async def test_a_folder_and_its_copy_have_the_same_times(
        self, bucket: Bucket, tmp_path: Path
    ) -> None:
        folder = tmp_path / "local"
        folder.mkdir()
        (folder / "a").write_bytes(b"1")
        os.utime(folder / "a", ns=(5_000_000_007, 5_000_000_007))
        await bucket.sync_up(folder)
        await bucket.sync_down("", tmp_path / "copy")
        assert (tmp_path / "copy/a").stat().st_mtime_ns == 5_000_000_007

    async def test_a_key_that_would_leave_the_folder_stops_the_sync_before_it_writes(
        self, bucket: Bucket, tmp_path: Path
    ) -> None:
        await bucket.put("p/a", b"1")
        try:
            await bucket.put("p/../../escaped", b"x")
        except ObjectKeyError:
            return  # such keys can't be here
        with pytest.raises(ObjectKeyError, match="escaped"):
            await bucket.sync_down("p/", tmp_path / "local")
        assert not (tmp_path / "local").exists()
        assert not (tmp_path / "escaped").exists()

    async def test_a_link_in_the_folder_leads_nothing_out_of_it(
        self, bucket: Bucket, tmp_path: Path
    ) -> None:
        (tmp_path / "outside").mkdir()
        (tmp_path / "local").mkdir()
        (tmp_path / "local/sub").symlink_to(tmp_path / "outside")
        await bucket.put("sub/a", b"1")
        with pytest.raises(StorageError, match="leads out of"):
            await bucket.sync_down("", tmp_path / "local")
        assert list((tmp_path / "outside").iterdir()) == []

    async def test_a_sync_of_what_is_no_folder_changes_nothing(
        self, bucket: Bucket, tmp_path: Path
    ) -> None:
        await bucket.put("k", b"1")
        with pytest.raises(StorageError, match="expected a folder"):
            await bucket.sync_up(tmp_path / "gone", delete=True)
        assert await bucket.get("k") == b"1"
        with pytest.raises(ObjectNotFoundError):
            await bucket.get("gone")
