"""A person finds the files of a bucket where their keys say."""

import pytest

from holdfast.objects import sync
from objects.disk_state import files_below


@pytest.mark.parametrize(
    ("key", "pattern"),
    [
        ("raw/film.mp4", "raw/film~*.mp4"),
        ("Фильмы/день 1.mkv", "Фильмы/день 1~*.mkv"),
        ("noextension", "noextension~*"),
        ("../../etc/passwd", "_./_./etc/passwd~*"),
        (".holdfast/locks/ab", "_holdfast/locks/ab~*"),
        ("/a//b", "_/a/_/b~*"),
        ("a~b/c~d", "a_b/c_d~*"),
        ("x" * 300 + ".mp4", "x" * 120 + "~*.mp4"),
    ],
)
def test_a_data_file_shows_its_key_and_cannot_be_written(tmp_path, key, pattern):
    root = tmp_path / "root"
    with sync.open_bucket(root) as bucket:
        bucket.put(key, b"x")
        (path,) = root.glob(pattern)
        assert path.read_bytes() == b"x"
        assert path.stat().st_mode & 0o222 == 0
        bucket.delete(key)
    assert {path.parent.name for path in files_below(tmp_path)} == {"locks"}


def test_a_copy_shares_the_bytes(tmp_path):
    with sync.open_bucket(tmp_path) as bucket:
        bucket.put("a.bin", b"x")
        bucket.copy("a.bin", "b.bin")
        (first,), (second,) = tmp_path.glob("a~*.bin"), tmp_path.glob("b~*.bin")
        assert first.samefile(second)
        with bucket.as_file("a.bin") as path:
            assert path.samefile(first)
