"""A running digest and a progress meter for bytes that move."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from holdfast.errors import IntegrityError

if TYPE_CHECKING:
    from holdfast.objects.localfile import OpenFile
    from holdfast.objects.object_info import ObjectInfo
    from holdfast.offload import Offload

Progress = Callable[[int, int], None]
"""Told how many bytes of how many are done, as they are."""

WORTH_A_THREAD = 128 * 1024  # to hash less takes less time than to wake a thread


class Digest:
    """The SHA-256 and the number of the bytes seen so far, computed off the event loop."""

    def __init__(self, offload: Offload) -> None:
        self._offload = offload
        self._sha256 = hashlib.sha256()
        self.size = 0

    async def add(self, chunk: bytes) -> None:
        """Add *chunk*."""
        if len(chunk) < WORTH_A_THREAD:
            self._sha256.update(chunk)
        else:
            await self._offload.run(self._sha256.update, chunk)
        self.size += len(chunk)

    async def add_file(self, file: OpenFile, start: int, end: int) -> None:
        """Add the bytes of *file* from *start* to *end*."""

        def update() -> None:
            for window in file.windows(start, end):
                self._sha256.update(window)

        await self._offload.run(update)
        self.size += end - start

    def hexdigest(self) -> str:
        """Return the digest of what was seen, in lower-case hexadecimal."""
        return self._sha256.hexdigest()

    def check(self, info: ObjectInfo) -> None:
        """Raise IntegrityError unless the bytes seen have the checksum that is known."""
        if info.sha256 is not None and self.hexdigest() != info.sha256:
            raise IntegrityError(
                f"object {info.key!r}: the bytes have SHA-256 {self.hexdigest()}, "
                f"stored were {info.sha256}"
            )


class Meter:
    """Calls a progress callback while a transfer goes on.

    It is called with bytes done and bytes in all, rising, for the last time with both equal, and
    once for an empty transfer. Where the total is not known, it is the bytes done so far.
    """

    def __init__(self, progress: Progress | None, total: int | None = None) -> None:
        self.total = total
        self._progress = progress
        self._done = 0
        self._lock = threading.Lock()

    def advance(self, count: int) -> None:
        """Report *count* more bytes. Safe among threads, where reports still rise."""
        with self._lock:
            self._done += count
            if self._progress is not None and count:
                self._progress(self._done, self._done if self.total is None else self.total)

    def finish(self) -> None:
        """Report the end of an empty transfer; of another, the last byte did."""
        if self._progress is not None and self._done == 0:
            self._progress(0, 0)
