"""A bucket that compresses by itself: what it puts, and what its options still decide."""

import pytest

from holdfast import open_bucket, sync
from holdfast.errors import InvalidValueError
from holdfast.objects import PutOptions

TEXT = b"it shrinks " * 1000


async def test_what_shrinks_is_compressed_unless_the_options_say_how():
    async with open_bucket("memory://") as bucket:
        compressing = bucket.compressing("zstd")
        info = await compressing.put("a.txt", TEXT)
        assert (info.encoding, info.size) == ("zstd", len(TEXT))
        assert info.stored < 1000
        assert await bucket.get("a.txt") == TEXT
        options = PutOptions(compression="gzip")
        assert (await compressing.put("b.txt", TEXT, options=options)).encoding == "gzip"
        assert (await compressing.put("c.mp4", TEXT)).encoding is None
        assert (await bucket.put("d.txt", TEXT)).encoding is None


async def test_files_and_other_options_go_with_it(tmp_path):
    (tmp_path / "a.txt").write_bytes(TEXT)
    async with open_bucket("memory://") as bucket:
        compressing = bucket.compressing("zstd").acting_as("somebody")
        tagged = PutOptions(tags={"a": "b"})
        info = await compressing.upload(tmp_path / "a.txt", "a.txt", options=tagged)
        assert info.encoding == "zstd"
        assert await bucket.tags("a.txt") == {"a": "b"}


def test_the_blocking_twin_does_it_too():
    with sync.open_bucket("memory://") as bucket:
        assert bucket.compressing("zstd").put("a.txt", TEXT).encoding == "zstd"
        assert bucket.backend == "memory"


def test_an_unknown_way_is_refused_at_once():
    with sync.open_bucket("memory://") as bucket:
        with pytest.raises(InvalidValueError, match=r"expected one of .*, got 'rar'"):
            bucket.compressing("rar")
