"""Reads an object's content: in order and checked, decompressed where it is stored compressed."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from holdfast.errors import IntegrityError, PreconditionFailedError
from holdfast.objects.body import WINDOW
from holdfast.objects.checks import span_of
from holdfast.objects.compression import decompressor_of
from holdfast.objects.transfer import Digest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from holdfast.objects.driver import RangeReader
    from holdfast.objects.object_info import ObjectInfo
    from holdfast.offload import Offload


class ObjectReader:
    """The bytes of one object, in order, the same also when it is replaced or deleted meanwhile.

    With a *span*, only those from its first offset up to, without, its second. Reading all of an
    object up to its end checks the bytes against the stored checksum: IntegrityError.
    """

    def __init__(
        self,
        info: ObjectInfo,
        stored: RangeReader,
        offload: Offload,
        span: tuple[int, int] | None = None,
    ) -> None:
        self.info = info
        self._content = content_of(info, stored, offload)
        self._position, self._end = (0, info.size) if span is None else span
        whole = (self._position, self._end) == (0, info.size)
        self._digest = Digest(offload) if whole else None
        if self._digest is not None and info.size == 0:
            self._digest.check(info)

    async def read(self, size: int = -1) -> bytes:
        """Return the next *size* bytes, fewer only at the end, all that are left when negative.

        Raises IntegrityError when the object is not what was stored.
        """
        left = self._end - self._position
        wanted = left if size < 0 else min(size, left)
        if wanted == 0:
            return b""
        chunk = await self._content.read(self._position, wanted)
        self._position += len(chunk)
        if self._digest is not None:
            await self._digest.add(chunk)
            if self._position == self._end:
                self._digest.check(self.info)
        return chunk

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield what is left, in windows of at most 256 KiB. Raises as `read` does."""
        while chunk := await self.read(WINDOW):
            yield chunk


async def opened(
    stored: RangeReader,
    offload: Offload,
    span: tuple[int | None, int | None] = (None, None),
    etag: str | None = None,
) -> ObjectReader:
    """Return the reader of a span of the content of *stored*, which this opens.

    Raises ObjectNotFoundError, PreconditionFailedError unless the object has the *etag*, and
    InvalidValueError for a span outside of it.
    """
    info = await stored.open(*span)
    if etag not in (None, info.etag):
        raise PreconditionFailedError("object", info.key)
    return ObjectReader(info, stored, offload, span_of(info, *span))


def content_of(
    info: ObjectInfo, stored: RangeReader, offload: Offload
) -> RangeReader | DecompressedReader:
    """Return the reader of the content of *info*: *stored* itself unless that is compressed."""
    return stored if info.encoding is None else DecompressedReader(info, stored, offload)


class DecompressedReader:
    """The content of one compressed object, by offset.

    Reading on costs what is read. Reading further ahead costs what lies between, and going back
    starts at the first byte: nothing leads into the middle of a compressed stream. Never yields
    more than the object's size, whatever the stream says.
    """

    def __init__(self, info: ObjectInfo, stored: RangeReader, offload: Offload) -> None:
        self._info = info
        self._stored = stored
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
        self._decompressor = decompressor_of(self._info.encoding)
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
        chunk = await self._stored.read(self._taken, min(left, WINDOW))
        self._taken += len(chunk)
        self._coming = self._decompressor.pieces(chunk)

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
        if more or not self._decompressor.ended:
            raise IntegrityError(
                f"object {self._info.key!r}: what is compressed is not its {self._info.size} bytes"
            )


def _gathered(pieces: Iterator[bytes]) -> bytes | None:
    """Return the next pieces, a window or a little more at once, None at the end."""
    parts: list[bytes] = []
    size = 0
    for piece in pieces:
        parts.append(piece)
        size += len(piece)
        if size >= WINDOW:
            break
    return b"".join(parts) if parts else None
