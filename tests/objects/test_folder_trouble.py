"""Folders and prefixes that were synchronized by others, and names that are in the way."""

import asyncio
import os
import threading
import time

import pytest

from holdfast.errors import ObjectKeyError, StorageError
from holdfast.objects import open_bucket, sync
from holdfast.objects.folder_files import mtime_of, mtime_text
from objects.faulty_s3 import BUCKET, FaultyS3

NANOSECONDS = 1_700_000_000_123_456_789


@pytest.fixture
def bucket():
    with sync.open_bucket("memory://") as opened:
        yield opened


def described(bucket, text):
    return bucket.put("k", b"x", metadata={"mtime": text})


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("1700000000.123456789", NANOSECONDS),
        ("1700000000", 1_700_000_000 * 10**9),
        ("1700000000.5", 1_700_000_000_500_000_000),
        ("1700000000.1234567891", NANOSECONDS),
        ("1700000000123456789", NANOSECONDS),
        ("-1.5", -1_500_000_000),
        ("0", 0),
        ("yesterday", None),
        ("", None),
        ("9" * 19, None),
        ("1e9", None),
        ("99999999999", None),
    ],
)
def test_the_times_of_other_programs_are_read(bucket, text, nanoseconds):
    assert mtime_of(described(bucket, text)) == nanoseconds


@pytest.mark.parametrize("nanoseconds", [NANOSECONDS, 0, 1, -1, -1_500_000_000, 10**18])
def test_a_time_is_read_as_it_was_written(bucket, nanoseconds):
    assert mtime_of(described(bucket, mtime_text(nanoseconds))) == nanoseconds


def test_times_are_kept_in_both_directions(bucket, tmp_path):
    (tmp_path / "up").mkdir()
    path = tmp_path / "up/file"
    path.write_bytes(b"v")
    os.utime(path, ns=(NANOSECONDS, NANOSECONDS))
    bucket.sync_up(tmp_path / "up", "p/")
    assert bucket.head("p/file").metadata["mtime"] == "1700000000.123456789"
    bucket.sync_down("p/", tmp_path / "down")
    assert (tmp_path / "down/file").stat().st_mtime_ns == NANOSECONDS
    bucket.put("q/old", b"v", metadata={"mtime": str(NANOSECONDS)})  # as Holdfast wrote it before
    bucket.sync_down("q/", tmp_path / "old")
    assert (tmp_path / "old/old").stat().st_mtime_ns == NANOSECONDS
    assert bucket.sync_up(tmp_path / "old", "q/").unchanged == 1


@pytest.mark.parametrize("delete", [False, True])
def test_a_key_that_would_be_a_folder_of_another_is_refused_before_anything(
    bucket, tmp_path, delete
):
    for key in ("p/0", "p/a", "p/a/b", "p/z"):
        bucket.put(key, b"v")
    with pytest.raises(ObjectKeyError, match="'p/a'"):
        bucket.sync_down("p/", tmp_path / "down", delete=delete)
    assert not (tmp_path / "down").exists()


@pytest.mark.parametrize("kind", ["link", "dangling link", "pipe", "folder", "link to a folder"])
def test_what_is_in_the_way_is_refused_before_anything(bucket, tmp_path, kind):
    down, outside = tmp_path / "down", tmp_path / "outside"
    down.mkdir()
    outside.mkdir()
    (outside / "precious").write_bytes(b"precious")
    place = down / "b"
    if kind == "pipe":
        os.mkfifo(place)
    elif kind == "folder":
        place.mkdir()
        (place / "in it").write_bytes(b"kept")
    elif kind == "link to a folder":
        place.symlink_to(outside)
    else:
        place.symlink_to(outside / ("precious" if kind == "link" else "new"))
    bucket.put("p/a", b"v")
    bucket.put("p/b/c/d" if kind == "link to a folder" else "p/b", b"v")
    with pytest.raises(StorageError, match=r"in the way|leads out"):
        bucket.sync_down("p/", down)
    assert not (down / "a").exists()
    assert [path.name for path in outside.iterdir()] == ["precious"]
    assert (outside / "precious").read_bytes() == b"precious"


def test_a_link_between_makes_no_folder_outside(bucket, tmp_path):
    down, outside = tmp_path / "down", tmp_path / "outside"
    down.mkdir()
    outside.mkdir()
    (down / "x").symlink_to(outside)
    bucket.put("p/x/new/folder/file", b"v")
    with pytest.raises(StorageError):
        bucket.sync_down("p/", down)
    assert list(outside.iterdir()) == []


def test_with_delete_files_make_way_for_folders_and_folders_for_files(bucket, tmp_path):
    down = tmp_path / "down"
    (down / "folder/deep").mkdir(parents=True)
    (down / "folder/deep/file").write_bytes(b"old")
    (down / "file").write_bytes(b"old")
    bucket.put("p/folder", b"now a file")
    bucket.put("p/file/below", b"now in a folder")
    with pytest.raises(StorageError, match="in the way"):
        bucket.sync_down("p/", down)
    report = bucket.sync_down("p/", down, delete=True)
    assert (down / "folder").read_bytes() == b"now a file"
    assert (down / "file/below").read_bytes() == b"now in a folder"
    assert report.deleted == ("file", "folder/deep/file")
    assert bucket.sync_down("p/", down, delete=True).unchanged == 2


@pytest.mark.parametrize("way", ["async", "blocking"])
def test_many_files_go_at_once(tmp_path, way):
    """Each request waits until 16 are under way: one after another none would end."""
    folder = tmp_path / "up"
    folder.mkdir()
    for number in range(60):
        (folder / f"{number:02}").write_bytes(b"v" * number)
    together = threading.Barrier(16)
    passed = threading.Event()

    def waits(_request, proceed):
        if not passed.is_set():
            together.wait(60)
            passed.set()
        return proceed()

    with FaultyS3().running() as server:
        plain = server.handle

        def handle(operation, request):
            return plain(operation, request)

        server.handle = handle
        server.plant("PutObject", *[waits] * 16)
        server.plant("GetObject", *[waits] * 16)
        options = server.options()
        if way == "blocking":
            with sync.open_bucket(f"s3://{BUCKET}", options=options) as bucket:
                assert len(bucket.sync_up(folder).transferred) == 60
                passed.clear()
                together.reset()
                assert len(bucket.sync_down("", tmp_path / "down").transferred) == 60
        else:

            async def main():
                async with open_bucket(f"s3://{BUCKET}", options=options) as bucket:
                    assert len((await bucket.sync_up(folder)).transferred) == 60
                    passed.clear()
                    together.reset()
                    report = await bucket.sync_down("", tmp_path / "down")
                    assert len(report.transferred) == 60

            asyncio.run(main())
    for number in range(60):
        assert (tmp_path / f"down/{number:02}").read_bytes() == b"v" * number


def test_a_transfer_that_fails_ends_the_run(bucket, tmp_path, monkeypatch):
    for number in range(200):
        bucket.put(f"p/{number:03}", b"v")
    (tmp_path / "down").mkdir()
    inner = bucket.asynchronous
    plain, begun = inner.download, []

    async def download(key, path):
        begun.append(key)
        if key == "p/003":
            raise StorageError("planted")
        time.sleep(0.001)  # noqa: ASYNC251 - on a thread of its own
        return await plain(key, path)

    monkeypatch.setattr(inner, "download", download)
    with pytest.raises(StorageError, match="planted"):
        bucket.sync_down("p/", tmp_path / "down")
    assert len(begun) < 200
