"""The number of samples that an MP4 states, against what its bytes can hold.

A demuxer makes an entry of some forty bytes for each sample that the tables state, before one
sample is read. Run lengths and constant sizes let a table of a few bytes state billions, so the
tables are looked at first; nothing but box headers and counts is read.
"""

from __future__ import annotations

import os
import sys
from array import array
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_INSIDE = frozenset((b"moov", b"trak", b"mdia", b"minf", b"stbl", b"moof", b"traf"))
_FIRST = frozenset(
    (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"styp", b"moof", b"sidx", b"pnot",
     b"udta", b"uuid")
)  # fmt: skip
_RUNS = frozenset((b"stts", b"ctts"))
_COUNTS = frozenset((b"stsz", b"stz2"))
_MOST_BOXES = 2_000_000
_WINDOW = 1 << 20
SAMPLES_A_BYTE = 8  # old sound tables count each value of a packed packet
SPARE_SAMPLES = 1 << 16


def too_many_samples(descriptor: int, size: int) -> int | None:
    """Return how many samples an MP4 of *size* bytes states when that is more than it can hold.

    None for any other file, and for one whose tables can be true. Reads by position only; the
    descriptor's own stays where it is.
    """
    if os.pread(descriptor, 8, 0)[4:] not in _FIRST:
        return None
    most = size * SAMPLES_A_BYTE + SPARE_SAMPLES
    count = 0
    for _, (kind, start, end) in zip(range(_MOST_BOXES), _boxes(descriptor, size), strict=False):
        if kind in _COUNTS:
            count += _number(descriptor, start + 8, end)
        elif kind in _RUNS:
            count = max(count, _run_total(descriptor, start, end))
        elif kind == b"trun":
            count += _number(descriptor, start + 4, end)
        if count > most:
            return count
    return None


def _boxes(descriptor: int, size: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield kind, start of content and end of each box, boxes of tables and their parents only."""
    ends = [size]
    at = 0
    while ends:
        if at + 8 > ends[-1]:
            at = ends.pop()
            continue
        head = os.pread(descriptor, 16, at)
        if len(head) < 8:
            return
        length, kind = int.from_bytes(head[:4], "big"), head[4:8]
        start = at + 8
        if length == 1 and len(head) == 16:
            length, start = int.from_bytes(head[8:], "big"), at + 16
        end = ends[-1] if length == 0 else min(at + length, ends[-1])
        if end < start:
            return  # a length that is smaller than its own header
        if kind in _INSIDE:
            ends.append(end)
            at = start
            continue
        yield kind, start, end
        at = end


def _number(descriptor: int, at: int, end: int) -> int:
    return int.from_bytes(os.pread(descriptor, 4, at), "big") if at + 4 <= end else 0


def _run_total(descriptor: int, start: int, end: int) -> int:
    """Return the sum of the run lengths of a table of pairs."""
    entries = min(_number(descriptor, start + 4, end), max(0, end - start - 8) // 8)
    at, stop, total = start + 8, start + 8 + entries * 8, 0
    while at < stop:
        data = os.pread(descriptor, min(_WINDOW, stop - at), at)
        pairs = array("I", data[: len(data) & ~7])
        if not pairs:
            break
        if sys.byteorder == "little":
            pairs.byteswap()
        total += sum(pairs[::2])
        at += len(pairs) * 4
    return total
