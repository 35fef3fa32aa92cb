"""Reading compressed objects as what they were before."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from holdfast.errors import IntegrityError
from holdfast.objects.compression import unpacker_of
from holdfast.objects.sources import WINDOW

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.objects.driver import ObjectInfo, Reading
    from holdfast.offload import Offload


def plain(info: ObjectInfo, reading: Reading, offload: Offload) -> Reading | Unpacked:
    """Return what reads the content of *info*: *reading* itself unless it is compressed."""
    return reading if info.encoding is None else Unpacked(info, reading, offload)


class Unpacked:
    """The content of one compressed object, by offset.

    Reading on costs what is read. Reading further ahead costs what lies between, and going back
    starts at the first byte: there is no way into the middle of a compressed stream. Never yields
    more than the object's size, whatever the stream says.
    """

    def __init__(self, info: ObjectInfo, reading: Reading, offload: Offload) -> None:
        self._info = info
        self._reading = reading
        self._offload = offload
        self._restart()

    async def read(self, offset: int, size: int) -> bytes:
        """Return exactly *size* bytes of the content from *offset*. Raises IntegrityError."""
        if offset < self._position:
            self._restart()
        parts: list[bytes] = []
        while size:
            piece = await self._next()
            skipped = min(offset - self._position, len(piece))
            taken = piece[skipped : skipped + size]
            rest = piece[skipped + len(taken) :]
            if rest:
                self._ready.appendleft(rest)
            self._position += skipped + len(taken)
            offset += len(taken)
            size -= len(taken)
            if taken:
                parts.append(taken)
        if self._position == self._info.size:
            await self._finish()
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _restart(self) -> None:
        assert self._info.encoding is not None
        self._unpacker = unpacker_of(self._info.encoding)
        self._position = 0
        self._taken = 0
        self._coming: Iterator[bytes] = iter(())
        self._ready: deque[bytes] = deque()

    async def _next(self) -> bytes:
        if self._ready:
            return self._ready.popleft()
        while True:
            piece = await self._offload.run(_gathered, self._coming)
            if piece:
                return piece
            if piece is None:
                await self._feed()

    async def _feed(self) -> None:
        left = self._info.stored_size - self._taken
        if left == 0:
            raise IntegrityError(
                f"object {self._info.key!r}: the compressed bytes end at byte {self._position} "
                f"of {self._info.size}"
            )
        chunk = await self._reading.read(self._taken, min(left, WINDOW))
        self._taken += len(chunk)
        self._coming = self._unpacker.pieces(chunk)

    async def _finish(self) -> None:
        """Raise IntegrityError when more comes than the object's size."""
        more = bool(self._ready)
        while not more:
            piece = await self._offload.run(_gathered, self._coming)
            if piece is None and self._taken == self._info.stored_size:
                break
            if piece is None:
                await self._feed()
            more = bool(piece)
        if more or not self._unpacker.ended:
            raise IntegrityError(
                f"object {self._info.key!r}: what is compressed is not its {self._info.size} bytes"
            )


def _gathered(pieces: Iterator[bytes]) -> bytes | None:
    """Return what comes next, a window or a little more at once, None at the end."""
    parts: list[bytes] = []
    size = 0
    for piece in pieces:
        parts.append(piece)
        size += len(piece)
        if size >= WINDOW:
            break
    return b"".join(parts) if parts else None
