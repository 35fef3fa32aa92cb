"""Near copies: what a store holds, in this process, until it is said to have changed."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from holdfast.forks import after_fork

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from holdfast.cache.pattern import Pattern

_OVERHEAD = 200  # bytes that Python takes for an entry beside its name and value, about


class _Announcement:
    """That so many are reading a name; dropping the name ends it for all of them."""

    __slots__ = ("readers",)

    def __init__(self) -> None:
        self.readers = 0


Fetch = dict[str, _Announcement]
"""One reading of names from the store; what is dropped meanwhile is not kept from it."""


class NearCopies:
    """Copies in order of use, within *entries*, *size* bytes, and *largest* bytes for one value.

    Safe to use from many threads. Times are those of *clock*, in seconds.
    """

    def __init__(
        self, *, entries: int, size: int, largest: int, clock: Callable[[], float]
    ) -> None:
        self._entries_limit = entries
        self._size_limit = size
        self._largest = largest
        self._clock = clock
        self._entries: OrderedDict[str, tuple[bytes, float | None]] = OrderedDict()
        self._size = 0
        self._announced: Fetch = {}
        self._mutex = threading.Lock()
        after_fork(self._after_fork)

    @property
    def entries(self) -> int:
        """How many copies are held."""
        return len(self._entries)

    @property
    def size(self) -> int:
        """How many bytes they take."""
        return self._size

    def find(self, names: Sequence[str]) -> list[bytes | None]:
        """Return the copies of *names*, None for those that are not here."""
        with self._mutex:
            return [self._find(name) for name in names]

    def announce(self, names: Sequence[str]) -> Fetch:
        """Say that *names* are about to be read; `keep` or `give_up` follows."""
        fetch: Fetch = {}
        with self._mutex:
            for name in names:
                if name not in fetch:
                    fetch[name] = self._announced.setdefault(name, _Announcement())
                    fetch[name].readers += 1
        return fetch

    def keep(self, fetch: Fetch, found: Iterable[tuple[str, bytes | None, float | None]]) -> None:
        """Keep what *fetch* read, with the time at which each ends, unless it changed since."""
        with self._mutex:
            for name, value, end in found:
                if not self._ended(fetch, name):
                    continue
                self._remove(name)
                if value is not None and len(value) <= self._largest:
                    self._entries[name] = (value, end)
                    self._size += len(name) + len(value) + _OVERHEAD
            while len(self._entries) > self._entries_limit or self._size > self._size_limit:
                self._remove(next(iter(self._entries)))

    def give_up(self, fetch: Fetch) -> None:
        """Keep nothing of *fetch*."""
        with self._mutex:
            for name in tuple(fetch):
                self._ended(fetch, name)

    def drop(self, names: Iterable[str], pattern: Pattern | None = None) -> None:
        """Forget *names* and what *pattern* fits, also where they are being read."""
        with self._mutex:
            for name in names:
                self._drop(name)
            if pattern is not None:
                held = (*self._entries, *self._announced)
                for name in held:
                    if pattern.fits(name):
                        self._drop(name)

    def clear(self) -> None:
        """Forget everything, also what is being read."""
        with self._mutex:
            self._entries.clear()
            self._announced.clear()
            self._size = 0

    def _after_fork(self) -> None:
        """Forget everything: the changes are told to the parent's connection."""
        self._mutex = threading.Lock()
        self.clear()

    def _ended(self, fetch: Fetch, name: str) -> bool:
        """Take *name* out of *fetch*; tell whether it was in it, and not dropped since."""
        announced = fetch.pop(name, None)
        if announced is None or self._announced.get(name) is not announced:
            return False
        announced.readers -= 1
        if not announced.readers:
            del self._announced[name]
        return True

    def _find(self, name: str) -> bytes | None:
        entry = self._entries.get(name)
        if entry is None:
            return None
        if entry[1] is not None and entry[1] <= self._clock():
            self._remove(name)
            return None
        self._entries.move_to_end(name)
        return entry[0]

    def _drop(self, name: str) -> None:
        self._announced.pop(name, None)
        self._remove(name)

    def _remove(self, name: str) -> None:
        entry = self._entries.pop(name, None)
        if entry is not None:
            self._size -= len(name) + len(entry[0]) + _OVERHEAD
