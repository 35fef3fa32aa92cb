"""A disk that is full, read-only, forbidden or damaged: an error that names it, nothing lost."""

import asyncio
import fcntl
import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from holdfast.errors import IntegrityError, LockTimeoutError, StorageError
from holdfast.objects import DiskOptions, Versioning, open_bucket, sync
from objects.disk_state import files_below, strays


@pytest.fixture
def small_disk():
    """A file system of 2 MiB."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    folder = Path(tempfile.mkdtemp())
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode != 0:
        folder.rmdir()
        pytest.skip(f"this system lets nobody mount: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)
    folder.rmdir()


@contextmanager
def unprivileged():
    """Root may do all; somebody else may not."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_folder():
    """A folder that everybody can reach, as pytest's own is not."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


def fill(disk, spare):
    """Leave *spare* bytes of *disk*."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
        while True:
            file.write(b"x" * 4096)
    os.truncate(filler, max(filler.stat().st_size - spare, 0))
    return filler


async def test_a_full_disk_is_named_and_keeps_what_it_has(small_disk):
    async with open_bucket(small_disk / "root") as bucket:
        await bucket.put("film.mp4", b"old" * 100_000)
        for body in (b"x" * 3_000_000, iter([b"x" * 500_000] * 6)):
            with pytest.raises(StorageError, match=f"{small_disk}.*: No space left on device"):
                await bucket.put("film.mp4", body)
        assert strays(small_disk / "root") == set()
        assert await bucket.get("film.mp4") == b"old" * 100_000
        await bucket.put("other", b"x" * 1_000_000)


async def test_a_disk_that_is_full_at_the_commit_keeps_what_it_has(small_disk):
    root = small_disk / "root"
    async with open_bucket(root) as bucket:
        await bucket.put("k", b"old")
        refused = []
        for spare in range(0, 65_536, 4096):  # room for the data, not for all that a commit makes
            filler = fill(small_disk, spare)
            try:
                await bucket.put("deep/er/k", b"new")
                break
            except StorageError as error:
                refused.append(str(error))
            filler.unlink()
            assert strays(root) == set()
        assert len(refused) > 1
        assert all("No space left on device" in reason for reason in refused)
        assert [info.key async for info in bucket.list()] == ["deep/er/k", "k"]


@pytest.mark.parametrize("verb", ["put", "delete", "restore", "configure"])
def test_a_disk_that_is_full_keeps_the_versions_that_it_has(small_disk, verb):
    root = small_disk / "root"
    with sync.open_bucket(root) as bucket:
        bucket.admin.set(Versioning(enabled=True))
        bucket.put("deep/er/k", b"first")
        bucket.put("deep/er/k", b"last")
        before = list(bucket.versions())
        write = {
            "put": lambda: bucket.put("deep/er/k", b"new"),
            "delete": lambda: bucket.delete("deep/er/k"),
            "restore": lambda: bucket.restore("deep/er/k", before[1].version),
            "configure": lambda: bucket.admin.set(Versioning(enabled=False)),
        }[verb]
        refused = []
        for spare in range(0, 65_536, 4096):
            filler = fill(small_disk, spare)
            try:
                write()
                break
            except StorageError as error:
                refused.append(str(error))
            filler.unlink()
            assert strays(root) == set()
            assert list(bucket.versions()) == before
            assert bucket.get("deep/er/k") == b"last"
            assert bucket.admin.get(Versioning) == Versioning(enabled=True)
        assert refused
        assert all("No space left on device" in reason for reason in refused)
        done = list(bucket.versions())
        assert done[-2:] == [replace(before[0], latest=len(done) == 2), before[1]]
        assert len(done) == 2 + (verb != "configure")
        assert strays(root) == set()


def test_versions_on_a_disk_without_a_free_byte_can_be_removed(small_disk):
    root = small_disk / "root"
    with sync.open_bucket(root) as bucket:
        bucket.admin.set(Versioning(enabled=True))
        infos = [bucket.put("deep/er/k", b"%d" % number * 50_000) for number in range(6)]
        fill(small_disk, 0)
        for number in (5, 0, 3):  # the newest, the oldest, one between
            assert bucket.delete("deep/er/k", version=infos[number].version)
            assert strays(root) == set()
            if number == 5:
                fill(small_disk, 0)
        left = [found.version for found in bucket.versions()]
        assert left == [infos[number].version for number in (4, 2, 1)]
        assert bucket.get("deep/er/k") == b"4" * 50_000
        fill(small_disk, 0)
        assert bucket.erase("deep/er/k").objects == 3
        assert strays(root) == set()
        assert list(bucket.versions()) == []


async def test_an_object_on_a_disk_without_a_free_byte_can_be_deleted(small_disk):
    root = small_disk / "root"
    async with open_bucket(root) as bucket:
        await bucket.put("deep/er/k", b"x" * 100_000)
        fill(small_disk, 0)
        assert await bucket.delete("deep/er/k")
        assert not await bucket.exists("deep/er/k")
        assert strays(root) == set()


async def test_a_download_to_a_full_disk_leaves_nothing_there(small_disk, tmp_path):
    async with open_bucket(tmp_path) as bucket:
        await bucket.put("k", b"x" * 3_000_000)
        with pytest.raises(StorageError, match=f"{small_disk}.*: No space left on device"):
            await bucket.download("k", small_disk / "file")
    assert files_below(small_disk) == set()


async def test_a_read_only_disk_is_read_and_refuses_writes_by_name(small_disk):
    root = small_disk / "root"
    async with open_bucket(root) as bucket:
        await bucket.put("k", b"kept")
    remount = await asyncio.create_subprocess_exec("mount", "-o", "remount,ro", small_disk)
    assert await remount.wait() == 0
    async with open_bucket(root) as bucket:
        for write in (
            lambda: bucket.put("k", b"new"),
            lambda: bucket.delete("k"),
            lambda: bucket.copy("k", "l"),
        ):
            with pytest.raises(StorageError, match=f"{root}.*: Read-only file system"):
                await write()
        assert await bucket.get("k") == b"kept"
    with pytest.raises(StorageError, match="Read-only file system"):
        async with open_bucket(small_disk / "new"):
            pass


def test_a_root_that_may_not_be_written_is_named(open_folder):
    closed = open_folder / "closed"
    closed.mkdir(mode=0o555)
    with unprivileged():
        opening = sync.open_bucket(closed / "root")
        with pytest.raises(StorageError, match=f"{closed}.*: Permission denied"):
            opening.__enter__()
        with sync.open_bucket(open_folder / "bucket") as bucket:
            bucket.put("k", b"x")
            with pytest.raises(StorageError, match=f"{closed}.*: Permission denied"):
                bucket.download("k", closed / "file")
            secret = open_folder / "secret"
            secret.write_bytes(b"x")
            secret.chmod(0)
            with pytest.raises(StorageError, match=f"{secret}: Permission denied"):
                bucket.upload(secret, "l")
            assert [info.key for info in bucket.list()] == ["k"]
    assert list(closed.iterdir()) == []


def test_a_folder_that_may_no_longer_be_written_keeps_its_objects(open_folder):
    root = open_folder / "root"
    with unprivileged(), sync.open_bucket(root) as bucket:
        bucket.put("films/k", b"old")
        (root / "films").chmod(0o555)
        with pytest.raises(StorageError, match=f"{root}/films.*: Permission denied"):
            bucket.put("films/k", b"new")
        assert bucket.get("films/k") == b"old"
        assert strays(root) == set()


def test_a_root_that_is_a_file_is_named(tmp_path):
    root = tmp_path / "file"
    root.write_bytes(b"mine")
    opening = sync.open_bucket(root)
    with pytest.raises(StorageError, match=f"{root}.*: Not a directory"):
        opening.__enter__()
    assert root.read_bytes() == b"mine"


def data_file(root):
    (path,) = (path for path in files_below(root) if ".holdfast" not in path.parts)
    path.chmod(0o644)
    return path


def test_a_flipped_bit_is_noticed_by_every_way_to_read(tmp_path):
    root = tmp_path / "root"
    with sync.open_bucket(root) as bucket:
        bucket.put("k.bin", bytes(1_000_000))
        with data_file(root).open("r+b") as file:
            file.seek(999_999)
            file.write(b"\x01")
        with pytest.raises(IntegrityError, match=r"k\.bin.*SHA-256"):
            bucket.get("k.bin")
        with bucket.open("k.bin") as reader, pytest.raises(IntegrityError, match="SHA-256"):
            list(reader)
        with pytest.raises(IntegrityError, match="SHA-256"):
            bucket.download("k.bin", tmp_path / "down.bin")
    assert not (tmp_path / "down.bin").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["root"]


@pytest.mark.parametrize("damage", ["cut", "longer", "gone"])
def test_data_of_another_size_than_recorded_is_refused(tmp_path, damage):
    with sync.open_bucket(tmp_path) as bucket:
        bucket.put("k", b"12345")
        path = data_file(tmp_path)
        if damage == "gone":
            path.unlink()
        else:
            os.truncate(path, 3 if damage == "cut" else 8)
        with pytest.raises(IntegrityError, match=f"{path}: "):
            bucket.get("k")
        bucket.put("k", b"again")
        assert bucket.get("k") == b"again"


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b"{", b"", "not the record of an object"),
        (b'"key": "k"', b'"key": "\xff"', "not the record of an object"),
        (b'"size": 5', b'"size": 5, "more": 5', "unknown field `more`"),
        (b'"size": 5', b'"size": "5"', r"Expected `int`, got `str` - at `\$.size`"),
        (b'"format": 1', b'"format": 9', "format 9, this version reads 1"),
        (b'"data": "k', b'"data": "../k', "is not a data file under the root"),
        (b'"data": "k', b'"data": "/k', "is not a data file under the root"),
        (b'"key": "k"', b'"key": "l"', "the record of 'l', not of 'k'"),
    ],
)
def test_a_record_that_was_tampered_with_is_refused_by_name(tmp_path, old, new, reason):
    with sync.open_bucket(tmp_path) as bucket:
        bucket.put("k", b"12345")
        path = tmp_path / ".holdfast" / "records" / "k.json"
        content = path.read_bytes()
        assert old in content
        path.write_bytes(content.replace(old, new, 1))
        with pytest.raises(IntegrityError, match=f"{path}: .*{reason}"):
            bucket.get("k")


def test_a_journal_of_an_unreadable_record_keeps_the_data_and_the_bucket_opens(tmp_path):
    with sync.open_bucket(tmp_path) as bucket:
        bucket.put("k", b"12345")
    path = data_file(tmp_path)
    (tmp_path / ".holdfast" / "records" / "k.json").write_bytes(b"not JSON")
    (lock,) = (tmp_path / ".holdfast" / "locks").iterdir()
    lock.write_text(f'["k", ["{path.name}", "../outside~1"]]')
    outside = tmp_path.parent / "outside~1"
    outside.write_bytes(b"mine")
    with sync.open_bucket(tmp_path):
        pass
    assert path.read_bytes() == b"12345"
    assert outside.read_bytes() == b"mine"
    assert lock.stat().st_size == 0


def test_a_lock_held_too_long_is_an_error_not_a_hang(tmp_path):
    with sync.open_bucket(tmp_path, options=DiskOptions(lock_timeout=0.05)) as bucket:
        bucket.put("k", b"old")
        (lock,) = (tmp_path / ".holdfast" / "locks").iterdir()
        with lock.open("r+b") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            with pytest.raises(LockTimeoutError, match=str(lock)):
                bucket.put("k", b"new")
        assert bucket.get("k") == b"old"
        bucket.put("k", b"new")
    assert strays(tmp_path) == set()
