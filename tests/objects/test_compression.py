"""Compressed objects that are damaged, that lie, or that other programs read and write."""

import gzip
import hashlib
import io
import sys
import zlib

import lz4.frame
import pytest
import zstandard

from holdfast.blocking import run
from holdfast.errors import ConfigurationError, IntegrityError
from holdfast.objects import PutOptions, sync
from holdfast.objects.bucket import Bucket
from holdfast.objects.compression import ENCODINGS, compressor_of, decompressor_of
from holdfast.objects.drivers.memory import MemoryBucketDriver
from holdfast.objects.object_info import CommitSpec
from holdfast.objects.reader import DecompressedReader
from holdfast.offload import Inline

CONTENT = b"the same line again and again\n" * 40_000
FOREIGN = {
    "gzip": gzip.compress,
    "zstd": zstandard.ZstdCompressor().compress,
    "lz4": lz4.frame.compress,
}
READ_BY_OTHERS = {
    "gzip": gzip.decompress,
    "zstd": lambda data: zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data)).read(),
    "lz4": lz4.frame.decompress,
}
every = pytest.mark.parametrize("encoding", ENCODINGS)


def packed(encoding, content):
    packer = compressor_of(encoding)
    return packer.compress(content[:1000]) + packer.compress(content[1000:]) + packer.flush()


def unpacked(encoding, data, step):
    unpacker = decompressor_of(encoding)
    pieces = [
        piece
        for start in range(0, len(data), step)
        for piece in unpacker.pieces(data[start : start + step])
    ]
    return b"".join(pieces), max(map(len, pieces), default=0), unpacker.ended


def kept(encoding, stored, *, size, content):
    """A bucket whose object says that it is *size* bytes, compressed as *stored*."""
    driver = MemoryBucketDriver()
    digest = hashlib.sha256(content).hexdigest()
    draft = CommitSpec(size, digest, "a/b", {}, encoding=encoding, stored=len(stored))
    driver.publish("k", stored, draft)
    return sync.Bucket(Bucket(driver, Inline()))


@every
def test_what_holdfast_packs_is_what_others_unpack(encoding):
    assert READ_BY_OTHERS[encoding](packed(encoding, CONTENT)) == CONTENT


@every
@pytest.mark.parametrize("step", [1, 7, 1000, 10**9])
def test_frames_of_others_one_behind_another_are_unpacked_in_bounded_pieces(encoding, step):
    size = 3000 if step == 1 else len(CONTENT)
    data = FOREIGN[encoding](CONTENT[:size]) + FOREIGN[encoding](b"and more")
    content, largest, ended = unpacked(encoding, data, step)
    assert content == CONTENT[:size] + b"and more"
    assert largest <= 256 * 1024
    assert ended


@every
def test_a_bomb_is_unpacked_in_bounded_pieces_and_never_beyond_its_size(encoding):
    bomb = FOREIGN[encoding](bytes(64 * 1024 * 1024))
    unpacker = decompressor_of(encoding)
    assert all(len(piece) <= 256 * 1024 for piece in unpacker.pieces(bomb))
    with pytest.raises(IntegrityError, match="is not its 10000 bytes"):
        kept(encoding, bomb, size=10_000, content=bytes(10_000)).get("k")


@every
@pytest.mark.parametrize("damage", ["cut", "flipped", "other", "more", "garbage behind"])
def test_damage_is_an_integrity_error(encoding, damage):
    stored = packed(encoding, CONTENT)
    content = CONTENT
    match damage:
        case "cut":
            stored = stored[:-9]
        case "flipped":
            middle = len(stored) // 2
            stored = stored[:middle] + bytes([stored[middle] ^ 255]) + stored[middle + 1 :]
        case "other":
            content = CONTENT[::-1]
        case "more":
            stored += packed(encoding, CONTENT)
        case _:
            stored += b"garbage, and a lot of it"
    bucket = kept(encoding, stored, size=len(CONTENT), content=content)
    with pytest.raises(IntegrityError):
        bucket.get("k")


def test_going_back_in_a_compressed_object_starts_anew():
    bucket = kept("zstd", packed("zstd", CONTENT), size=len(CONTENT), content=CONTENT)
    driver = bucket.asynchronous._driver
    reading = driver.read("k")
    info = run(reading.open())
    plain = DecompressedReader(info, reading, Inline())
    for start, size in ((500_000, 10), (5, 10), (5, 300_000), (400_000, 1), (0, 1)):
        assert run(plain.read(start, size)) == CONTENT[start : start + size]


def test_gzip_needs_nothing_and_others_say_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "zstandard", None)
    monkeypatch.setitem(sys.modules, "lz4", None)
    monkeypatch.delitem(sys.modules, "lz4.frame")
    with sync.open_bucket("memory://") as bucket:
        bucket.put("k", CONTENT, options=PutOptions(compression="gzip"))
        assert bucket.get("k") == CONTENT
        for name in ("zstd", "lz4"):
            with pytest.raises(ConfigurationError, match=r"holdfast\[compression\]"):
                PutOptions(compression=name)


def test_the_first_byte_of_a_gzip_says_no_time_so_equal_content_is_equal_bytes():
    assert packed("gzip", CONTENT) == packed("gzip", CONTENT)
    assert zlib.decompress(packed("gzip", CONTENT), 31) == CONTENT
