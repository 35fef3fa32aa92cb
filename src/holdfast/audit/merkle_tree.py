"""The Merkle tree of RFC 6962: its hashes, its tiles, and its proofs.

Hashes lie in tiles of 256, as in C2SP's tlog-tiles: tile *n* of level 0 holds the leaves from
256 n on, one of level L+1 the roots of full tiles of level L. An append writes the last tile of
each level, and a proof reads a few tiles, so both cost the logarithm of the tree's size.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

WIDTH = 256
"""Hashes in a full tile."""
HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()

Range: TypeAlias = tuple[int, int]
"""Leaves from the first number on, up to and without the second: those below one node.

So the first is 0, or a multiple of a power of two that is as many as the leaves, or more.
"""
Tile: TypeAlias = tuple[int, int]
"""A tile's level and its number there."""


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of a leaf (RFC 6962, section 2.1)."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of a node above two others."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def appended(size: int, last: Mapping[Tile, bytes], leaves: Sequence[bytes]) -> dict[Tile, bytes]:
    """Return the tiles that change when *leaves* follow the *size* ones that are there.

    *last* has the last tile of each level, where that is not full: see `last_tiles`.
    """
    changed: dict[Tile, bytes] = {}
    level, adding, there = 0, list(leaves), size
    while adding:
        complete: list[bytes] = []
        for hashed in adding:
            tile = (level, there // WIDTH)
            content = changed.get(tile, last.get(tile, b"")) + hashed
            changed[tile] = content
            there += 1
            if len(content) == WIDTH * HASH_BYTES:
                complete.append(_root_of(content))
        level, adding, there = level + 1, complete, (size // WIDTH ** (level + 1))
    return changed


def last_tiles(size: int) -> list[Tile]:
    """Return the tiles at the end of a tree of *size* leaves that are not full."""
    found: list[Tile] = []
    level = 0
    while size:
        if size % WIDTH:
            found.append((level, size // WIDTH))
        size //= WIDTH
        level += 1
    return found


def tiles_of(ranges: Iterable[Range]) -> set[Tile]:
    """Return the tiles that the hashes over *ranges* are made of."""
    return {_tile(k, index) for span in ranges for k, index in _perfect(span)}


def range_hash(span: Range, tiles: Mapping[Tile, bytes]) -> bytes:
    """Return the hash over the leaves of *span*, which *tiles* hold."""
    found = EMPTY_ROOT
    for number, (k, index) in enumerate(reversed(list(_perfect(span)))):
        hashed = _node(k, index, tiles)
        found = node_hash(hashed, found) if number else hashed
    return found


def inclusion_ranges(index: int, size: int) -> list[Range]:
    """Return what an inclusion proof of leaf *index* hashes, the lowest first (section 2.1.1)."""
    return _path(index, (0, size))


def consistency_ranges(old: int, new: int) -> list[Range]:
    """Return what a proof hashes that *new* leaves begin with the *old* ones (section 2.1.2)."""
    return _subproof(old, (0, new), whole=True) if 0 < old < new else []


def root_of_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes | None:
    """Return the root that *proof* leads to from leaf *index*; None for one of another shape."""
    if not 0 <= index < size:
        return None
    place, last, found = index, size - 1, leaf
    for hashed in proof:
        if last == 0:
            return None
        if place & 1 or place == last:
            found = node_hash(hashed, found)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            found = node_hash(found, hashed)
        place, last = place >> 1, last >> 1
    return found if last == 0 else None


def is_consistent(old: int, new: int, roots: tuple[bytes, bytes], proof: Sequence[bytes]) -> bool:
    """Return whether *proof* shows that the tree of *new* leaves begins with that of *old* ones.

    *roots* are those of the two, in turn.
    """
    if not 0 <= old <= new or (old in (0, new) and proof):
        return False
    if old == new:
        return roots[0] == roots[1]
    if old == 0:
        return roots[0] == EMPTY_ROOT
    path = list(proof)
    if old & (old - 1) == 0:
        path.insert(0, roots[0])
    if not path:
        return False
    place, last = old - 1, new - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    before = after = path[0]
    for hashed in path[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            before, after = node_hash(hashed, before), node_hash(hashed, after)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            after = node_hash(after, hashed)
        place, last = place >> 1, last >> 1
    return last == 0 and (before, after) == roots


class RunningRoot:
    """The root over leaves that come one after another; it holds a hash for each bit of a size."""

    def __init__(self) -> None:
        self.size = 0
        self._complete: list[tuple[int, bytes]] = []

    def add(self, leaf: bytes) -> None:
        """Take in the next leaf's hash."""
        self.size += 1
        height, hashed = 0, leaf
        while self._complete and self._complete[-1][0] == height:
            hashed = node_hash(self._complete.pop()[1], hashed)
            height += 1
        self._complete.append((height, hashed))

    @property
    def root(self) -> bytes:
        """The root over all that were taken in."""
        found: bytes | None = None
        for _, hashed in reversed(self._complete):
            found = hashed if found is None else node_hash(hashed, found)
        return EMPTY_ROOT if found is None else found


def leaves_in(tile: bytes) -> list[bytes]:
    """Return the hashes of a tile."""
    return [tile[at : at + HASH_BYTES] for at in range(0, len(tile), HASH_BYTES)]


def _path(index: int, span: Range) -> list[Range]:
    first, end = span
    if end - first == 1:
        return []
    middle = first + _half(end - first)
    if index < middle:
        return [*_path(index, (first, middle)), (middle, end)]
    return [*_path(index, (middle, end)), (first, middle)]


def _subproof(old: int, span: Range, *, whole: bool) -> list[Range]:
    first, end = span
    if old == end:
        return [] if whole else [span]
    middle = first + _half(end - first)
    if old <= middle:
        return [*_subproof(old, (first, middle), whole=whole), (middle, end)]
    return [*_subproof(old, (middle, end), whole=False), (first, middle)]


def _half(count: int) -> int:
    """Return the largest power of two below *count*."""
    return 1 << ((count - 1).bit_length() - 1)


def _perfect(span: Range) -> Iterator[tuple[int, int]]:
    """Yield the full subtrees that *span* is made of: heights, and numbers among those so high."""
    first, end = span
    while first < end:
        height = (end - first).bit_length() - 1
        yield height, first >> height
        first += 1 << height


def _tile(height: int, index: int) -> Tile:
    level, inside = divmod(height, 8)
    return level, (index << inside) // WIDTH


def _node(height: int, index: int, tiles: Mapping[Tile, bytes]) -> bytes:
    inside = height % 8
    at = (index << inside) % WIDTH * HASH_BYTES
    content = tiles[_tile(height, index)][at : at + (HASH_BYTES << inside)]
    if len(content) != HASH_BYTES << inside:
        raise KeyError(_tile(height, index))
    return _root_of(content)


def _root_of(content: bytes) -> bytes:
    """Return the root over hashes side by side, as many as a power of two."""
    hashes = leaves_in(content)
    while len(hashes) > 1:
        hashes = [node_hash(*pair) for pair in zip(hashes[::2], hashes[1::2], strict=True)]
    return hashes[0]
