"""A sorted collection of tuples in which adding, removing and starting anywhere stay cheap."""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLOCK = 512


class Top:
    """Greater than anything it is compared with: ends a prefix on its far side."""

    def __lt__(self, other: object) -> bool:
        return False

    def __le__(self, other: object) -> bool:
        return False

    def __gt__(self, other: object) -> bool:
        return True

    def __ge__(self, other: object) -> bool:
        return True


TOP = Top()
Entry = tuple[Any, ...]


class SortedTuples:
    """Distinct tuples in order, in blocks of about `_BLOCK`: no operation moves more than two."""

    def __init__(self) -> None:
        self._blocks: list[list[Entry]] = []
        self._lasts: list[Entry] = []  # of each block

    def add(self, entry: Entry) -> None:
        """Put *entry* in its place."""
        if not self._blocks:
            self._blocks.append([entry])
            self._lasts.append(entry)
            return
        at = min(bisect_left(self._lasts, entry), len(self._blocks) - 1)
        block = self._blocks[at]
        insort(block, entry)
        self._lasts[at] = block[-1]
        if len(block) > 2 * _BLOCK:
            half = block[_BLOCK:]
            del block[_BLOCK:]
            self._blocks.insert(at + 1, half)
            self._lasts[at] = block[-1]
            self._lasts.insert(at + 1, half[-1])

    def remove(self, entry: Entry) -> None:
        """Take out *entry*, which is there."""
        at = bisect_left(self._lasts, entry)
        block = self._blocks[at]
        del block[bisect_left(block, entry)]
        if block:
            self._lasts[at] = block[-1]
        else:
            del self._blocks[at]
            del self._lasts[at]

    def since(self, bound: Entry) -> Iterator[Entry]:
        """Yield the entries not less than *bound*, upwards."""
        for at in range(bisect_left(self._lasts, bound), len(self._blocks)):
            block = self._blocks[at]
            yield from block[bisect_left(block, bound) :]

    def before(self, bound: Entry) -> Iterator[Entry]:
        """Yield the entries less than *bound*, downwards."""
        for at in range(min(bisect_left(self._lasts, bound), len(self._blocks) - 1), -1, -1):
            block = self._blocks[at]
            yield from reversed(block[: bisect_left(block, bound)])
