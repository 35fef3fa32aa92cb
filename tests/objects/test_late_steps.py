"""A step whose caller has gone comes after the close, and must leave nothing."""

import os

import pytest

from holdfast.blocking import run
from holdfast.objects import sync
from holdfast.objects.drivers.disk import DiskDriver
from holdfast.objects.localfile import NewFile, OpenFile
from holdfast.offload import Inline
from objects.disk_state import files_below


def test_a_file_opened_after_its_close_is_closed_again(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"x")
    handles = []

    def opener():
        handles.append(os.open(path, os.O_RDONLY))
        return "answer", handles[0]

    file = OpenFile()
    file.close()
    assert file.open(opener) == "answer"
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(handles[0])
    with pytest.raises(RuntimeError, match="closed"):
        file.read(0, 1)


def test_a_file_written_or_published_after_its_end_is_not_made(tmp_path):
    file = NewFile(tmp_path / "temporary")
    file.discard()
    for step in (lambda: file.write(b"x"), lambda: file.publish(str)):
        with pytest.raises(RuntimeError, match="written after its end"):
            step()
    assert files_below(tmp_path) == set()


def test_a_published_file_is_not_discarded(tmp_path):
    file = NewFile(tmp_path / "temporary")
    file.write(b"x")
    file.publish(lambda temporary: temporary.rename(tmp_path / "file"))
    file.discard()
    assert (tmp_path / "file").read_bytes() == b"x"


def test_an_object_lent_after_its_return_is_taken_back(tmp_path):
    with sync.open_bucket(tmp_path) as bucket:
        bucket.put("k", b"x")
        before = files_below(tmp_path)
        lending = DiskDriver(tmp_path, Inline()).lend("k")
        run(lending.close())
        run(lending.open())
        assert files_below(tmp_path) == before
        assert bucket.sweep() == 0
