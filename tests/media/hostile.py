"""Small files that claim to be large, and files changed at random: what a decoder must survive."""

from __future__ import annotations

import random
import struct


def box(kind, *parts):
    content = b"".join(parts)
    return struct.pack(">I4s", 8 + len(content), kind) + content


def full(kind, *parts, version=0, flags=0):
    return box(kind, struct.pack(">I", version << 24 | flags), *parts)


MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)


def mp4(tables, *, size=(64, 48), more=b""):
    """An MP4 with one video track whose sample tables are *tables*."""
    width, height = size
    entry = box(
        b"mp4v", bytes(6), struct.pack(">H", 1), bytes(16), struct.pack(">HH", width, height),
        struct.pack(">II", 0x480000, 0x480000), bytes(4), struct.pack(">H", 1), bytes(32),
        struct.pack(">Hh", 24, -1),
    )  # fmt: skip
    media = box(
        b"mdia",
        full(b"mdhd", struct.pack(">IIIIHH", 0, 0, 25, 50_000_000, 0x55C4, 0)),
        full(b"hdlr", bytes(4), b"vide", bytes(12), b"\0"),
        box(
            b"minf",
            full(b"vmhd", bytes(8), flags=1),
            box(b"dinf", full(b"dref", struct.pack(">I", 1), full(b"url ", flags=1))),
            box(b"stbl", full(b"stsd", struct.pack(">I", 1), entry), *tables),
        ),
    )
    head = full(b"mvhd", struct.pack(">IIIII", 0, 0, 1000, 1000, 0x10000), bytes(14), MATRIX,
                bytes(24), struct.pack(">I", 2))  # fmt: skip
    track = full(b"tkhd", struct.pack(">IIIIII", 0, 0, 1, 0, 1000, 0), bytes(12), MATRIX,
                 struct.pack(">II", width << 16, height << 16), flags=3)  # fmt: skip
    return (
        box(b"ftyp", b"isom", struct.pack(">I", 0), b"isommp41")
        + box(b"moov", head, box(b"trak", track, media), more)
        + box(b"mdat", bytes(512))
    )


def samples_mp4(count, *, run=None, length=1):
    """An MP4 of 1 KB whose tables state *count* samples, all of *length* bytes."""
    return mp4([
        full(b"stts", struct.pack(">III", 1, run or count, 1)),
        full(b"stsc", struct.pack(">IIII", 1, 1, 1, 1)),
        full(b"stsz", struct.pack(">II", length, count)),
        full(b"stco", struct.pack(">II", 1, 900)),
    ])  # fmt: skip


def fragments_mp4(count):
    """An MP4 whose fragment states *count* samples in a box of twenty bytes."""
    empty = [
        full(kind, struct.pack(">I", 0)) for kind in (b"stts", b"stsc", b"stco")
    ] + [full(b"stsz", struct.pack(">II", 0, 0))]  # fmt: skip
    extends = box(b"mvex", full(b"trex", struct.pack(">IIIII", 1, 1, 1, 1, 0)))
    run = box(
        b"traf",
        full(b"tfhd", struct.pack(">I", 1), flags=0x20000),
        full(b"trun", struct.pack(">I", count)),
    )
    moof = box(b"moof", full(b"mfhd", struct.pack(">I", 1)), run)
    return mp4(empty, more=extends) + moof + box(b"mdat", bytes(64))


def avi_with_rate(data, scale, rate):
    """The AVI *data* with other words for its rate: *rate* frames in *scale* seconds."""
    at = data.index(b"vids")
    return data[: at + 20] + struct.pack("<II", scale, rate) + data[at + 28 :]


def avi_with_length(data, frames):
    """The AVI *data* with another number of frames in its headers."""
    at = data.index(b"vids")
    data = data[: at + 32] + struct.pack("<I", frames) + data[at + 36 :]
    at = data.index(b"avih")
    return data[: at + 24] + struct.pack("<I", frames) + data[at + 28 :]


def gif(size, frames):
    """A GIF of about a kilobyte with *frames* of one pixel on a canvas of *size*."""
    head = b"GIF89a" + struct.pack("<HHBBB", *size, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    one = (
        b"\x21\xf9\x04\x08\x02\x00\x00\x00"  # after 0.02 s the canvas is cleared
        b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    )  # fmt: skip
    return head + one * frames + b"\x3b"


def mutated(data, seed):
    """*data* with a few bytes, words or stretches changed at random, by *seed*."""
    chance = random.Random(seed)
    changed = bytearray(data)
    for _ in range(chance.choice((1, 2, 4, 8, 32))):
        # Headers are worth more changes than pictures.
        end = len(changed) if chance.random() < 0.4 else min(len(changed), 1500)
        at = chance.randrange(max(1, end - 8))
        match chance.randrange(6):
            case 0:
                changed[at] = chance.randrange(256)
            case 1:
                changed[at : at + 4] = struct.pack(">I", chance.choice(_WORDS))
            case 2:
                changed[at : at + 4] = struct.pack("<I", chance.choice(_WORDS))
            case 3:
                del changed[at : at + chance.randrange(1, 64)]
            case 4:
                changed[at:at] = changed[at : at + chance.randrange(1, 256)]
            case _:
                changed[at : at + 16] = chance.randbytes(16)
    return bytes(changed)


_WORDS = (0, 1, 2, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
