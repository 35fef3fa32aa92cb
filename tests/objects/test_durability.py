"""What reaches the disk before a call returns, watched at the system call itself."""

import os
from pathlib import Path

import pytest

from holdfast.objects import Versioning, sync


@pytest.fixture
def synced(monkeypatch):
    """The paths that were synced, in order, by the names that they had at that moment."""
    paths = []
    real = os.fsync

    def watch(handle):
        paths.append(str(Path(f"/proc/self/fd/{handle}").readlink()))
        real(handle)

    monkeypatch.setattr(os, "fsync", watch)
    return paths


def test_a_put_syncs_bytes_then_their_folders_then_the_record_then_its_folders(tmp_path, synced):
    hidden = tmp_path / ".holdfast"
    with sync.open_bucket(tmp_path) as bucket:
        synced.clear()
        bucket.put("a/b/k", b"x")
    temporaries = [path for path in synced if path.startswith(str(hidden / "temporary"))]
    assert len(temporaries) == len(set(temporaries)) == 2
    records = hidden / "records"
    assert synced == [
        temporaries[0],
        *map(str, (tmp_path, tmp_path / "a", tmp_path / "a" / "b")),
        temporaries[1],
        *map(str, (records, records / "a", records / "a" / "b")),
    ]


def test_a_delete_syncs_the_folder_of_the_record(tmp_path, synced):
    with sync.open_bucket(tmp_path) as bucket:
        bucket.put("a/k", b"x")
        synced.clear()
        bucket.delete("a/k")
    assert synced == [str(tmp_path / ".holdfast" / "records" / "a")]


def test_a_version_is_synced_among_the_older_ones_before_another_takes_its_place(tmp_path, synced):
    hidden = tmp_path / ".holdfast"
    with sync.open_bucket(tmp_path) as bucket:
        bucket.admin.set(Versioning(enabled=True))
        bucket.put("a/k", b"1")
        synced.clear()
        last = bucket.put("a/k", b"2")
        older = hidden / "versions" / "a" / "k.json"
        place = synced.index(str(older))
        assert synced[place - 1] == str(older.parent)
        assert synced[place + 2 :] == [str(hidden / "records" / "a")]  # between: the new record
        synced.clear()
        bucket.delete("a/k", version=last.version)
    assert synced == [str(hidden / "records" / "a"), str(older)]


def test_a_download_syncs_the_file_then_its_folder(tmp_path, synced):
    with sync.open_bucket("memory://") as bucket:
        bucket.put("k", b"x")
        bucket.download("k", tmp_path / "file")
    temporary, *folders = synced
    assert Path(temporary).parent == tmp_path
    assert folders == [str(tmp_path)]
