"""A folder in which somebody else put pipes, links and broken records."""

import os

import pytest

from holdfast.errors import IntegrityError, PreconditionFailedError, StorageError
from holdfast.objects import PutOptions, Versioning, sync


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "bucket"
    with sync.open_bucket(folder) as bucket:
        bucket.put("k", b"kept")
    return folder


def record_of(root, key):
    return root / f".holdfast/records/{key}.json"


@pytest.mark.parametrize("place", ["temporary/planted", "locks/00", "locks/planted"])
@pytest.mark.parametrize("kind", ["pipe", "link", "link to nothing", "folder"])
def test_what_no_writer_made_does_not_hold_up_an_opening(root, tmp_path, place, kind):
    path = root / ".holdfast" / place
    path.unlink(missing_ok=True)
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(victim if kind == "link" else tmp_path / "nothing")
    with sync.open_bucket(root) as bucket:
        assert bucket.get("k") == b"kept"
    assert victim.read_bytes() == b"precious"
    assert path.is_symlink() or path.exists()


@pytest.mark.parametrize("kind", ["pipe", "link"])
def test_a_lock_that_is_no_file_is_refused_by_name(root, tmp_path, kind):
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    with sync.open_bucket(root) as bucket:
        locks = root / ".holdfast/locks"
        for number in range(256):
            path = locks / f"{number:02x}"
            path.unlink(missing_ok=True)
            os.mkfifo(path) if kind == "pipe" else path.symlink_to(victim)
        with pytest.raises(StorageError, match="locks"):
            bucket.put("k", b"new")
    assert victim.read_bytes() == b"precious"


def test_data_that_is_a_pipe_is_an_error_and_hangs_nobody(root):
    with sync.open_bucket(root) as bucket:
        (data,) = [path for path in root.iterdir() if "~" in path.name]
        data.unlink()
        os.mkfifo(data)
        with pytest.raises(IntegrityError):
            bucket.get("k")


@pytest.mark.parametrize("broken", ["empty", "garbage", "pipe", "link"])
@pytest.mark.parametrize("versioned", [False, True])
def test_a_broken_record_hides_no_other_and_can_be_removed(root, caplog, broken, versioned):
    with sync.open_bucket(root) as bucket:
        if versioned:
            bucket.admin.set(Versioning(enabled=True))
        for key in ("a", "b", "c"):
            bucket.put(key, b"1")
            bucket.put(key, b"2")
        path = record_of(root, "b")
        path.unlink()
        if broken == "pipe":
            os.mkfifo(path)
        elif broken == "link":
            path.symlink_to(record_of(root, "a"))
        else:
            path.write_bytes(b"{" if broken == "garbage" else b"")
        assert [info.key for info in bucket.list()] == ["a", "c", "k"]
        assert "b.json" in caplog.text
        for refused in (bucket.get, bucket.head):
            with pytest.raises(IntegrityError, match=r"b\.json"):
                refused("b")
        with pytest.raises(PreconditionFailedError):
            bucket.put("b", b"3", options=PutOptions(if_absent=True))
        assert bucket.delete("b")
        assert bucket.head("b") is None
        assert not bucket.delete("b")
        bucket.put("b", b"4")
        assert bucket.get("b") == b"4"
        assert [info.key for info in bucket.list()] == ["a", "b", "c", "k"]
        if versioned:
            found = [each.version for each in bucket.versions("b")]
            assert len(found) == len(set(found)) >= 3  # the older one is there still
            assert bucket.get("b", version=found[-1]) == b"1"


def test_a_broken_record_is_replaced_by_a_put(root):
    with sync.open_bucket(root) as bucket:
        record_of(root, "k").write_bytes(b"not a record")
        bucket.put("k", b"new")
        assert bucket.get("k") == b"new"
