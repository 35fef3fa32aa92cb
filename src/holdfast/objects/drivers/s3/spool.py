"""A body on its way up: a local file where it lies; else first in memory, beyond 4 MiB in a file.

S3 wants length and checksums before the first byte, and again what it has not got. The file that
is made for that has no name, so nothing of it outlives the process.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
import zlib
from abc import ABC, abstractmethod
from functools import partial
from typing import IO, TYPE_CHECKING

from holdfast.errors import IntegrityError
from holdfast.objects.localfile import OpenFile
from holdfast.objects.sources import open_regular, state_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from holdfast.objects.sources import FileState
    from holdfast.offload import Offload

WINDOW = 256 * 1024
_IN_MEMORY = 4 * 1024 * 1024
_QUICK = 16 * 1024  # so little is summed up at once, more where blocking work runs


class _Readable(ABC):
    """Bytes at hand, of which parts become bodies of requests."""

    offload: Offload
    size: int

    @abstractmethod
    async def read(self, offset: int, size: int) -> bytes:
        """Return *size* bytes from *offset*."""

    async def sha256(self) -> str:
        """Return the digest of all of it, in lower-case hexadecimal."""
        digest = hashlib.sha256()
        for start in range(0, self.size, WINDOW):
            window = await self.read(start, min(WINDOW, self.size - start))
            await self.offload.run(digest.update, window)
        return digest.hexdigest()

    def slice(self, offset: int, size: int) -> Slice:
        """Return *size* bytes from *offset* as a content."""
        return Slice(self, offset, size)

    def slices(self, size: int) -> list[Slice]:
        """Return all of it in order, in contents of *size* bytes and a last one of the rest."""
        return [
            Slice(self, start, min(size, self.size - start)) for start in range(0, self.size, size)
        ]


class Spool(_Readable):
    """Bytes that can be read again, anywhere. A closed one takes and gives no more."""

    def __init__(self, offload: Offload) -> None:
        self.offload = offload
        self._lock = threading.Lock()
        self._chunks: list[bytes] = []
        self._file: IO[bytes] | None = None
        self._closed = False
        self.size = 0
        self.crc32 = 0

    def add_small(self, chunk: bytes) -> bool:
        """Append *chunk* if there is room in memory; return whether there was."""
        if self._file is not None or self.size + len(chunk) > _IN_MEMORY or self._closed:
            return False
        self._chunks.append(chunk)
        self.crc32 = zlib.crc32(chunk, self.crc32)
        self.size += len(chunk)
        return True

    async def add(self, chunk: bytes) -> None:
        """Append *chunk* to the file. Raises OSError when the disk is full."""
        await self.offload.run(self._write, chunk)

    async def check(self) -> None:
        """Nobody else can change it."""

    async def read(self, offset: int, size: int) -> bytes:
        """Return *size* bytes from *offset*."""
        if self._file is not None:
            return await self.offload.run(self._pread, offset, size)
        if len(self._chunks) != 1:
            self._chunks = [b"".join(self._chunks)]
        whole = self._chunks[0]
        return whole if size == len(whole) else whole[offset : offset + size]

    def close(self) -> None:
        """Let go of memory and file. Idempotent."""
        with self._lock:
            self._closed = True
            self._chunks = []
            if self._file is not None:
                self._file.close()

    def _write(self, chunk: bytes) -> None:
        with self._lock:
            if self._closed:
                raise RuntimeError("the spool is closed")
            if self._file is None:
                self._file = tempfile.TemporaryFile(prefix="holdfast-")  # noqa: SIM115 - close()
                for held in self._chunks:
                    self._file.write(held)
                self._chunks = []
            self._file.write(chunk)
            self._file.flush()
            self.crc32 = zlib.crc32(chunk, self.crc32)
            self.size += len(chunk)

    def _pread(self, offset: int, size: int) -> bytes:
        with self._lock:
            if self._closed or self._file is None:
                raise RuntimeError("the spool is closed")
            return os.pread(self._file.fileno(), size, offset)


class FileSpool(_Readable):
    """A local file that goes up from where it lies, as long as it stays what it is.

    It is told every chunk first, for the checksum; then it is read again, window by window.
    """

    def __init__(self, offload: Offload, path: Path) -> None:
        self.offload = offload
        self._path = path
        self._file = OpenFile()
        self._state: FileState | None = None
        self.size = 0
        self.crc32 = 0

    def add_small(self, chunk: bytes) -> bool:
        """Take note of *chunk*; return whether that was all there is to do."""
        if self._state is None or len(chunk) > _QUICK:
            return False
        self._note(chunk)
        return True

    async def add(self, chunk: bytes) -> None:
        """Take note of *chunk*."""
        if self._state is None:
            opened = await self.offload.run(self._file.open, partial(open_regular, self._path))
            self._state = state_of(opened)
        await self.offload.run(self._note, chunk)

    async def read(self, offset: int, size: int) -> bytes:
        if size == 0:  # of an empty file, which was never opened
            return b""
        try:
            return await self.offload.run(self._file.read, offset, size)
        except IntegrityError:
            raise self._changed() from None

    async def check(self) -> None:
        """Raise IntegrityError unless the file is what it was before its first byte was read."""
        if self._state is None:
            return  # it is empty
        try:
            now = state_of(await self.offload.run(self._path.stat))
        except FileNotFoundError:
            raise self._changed() from None
        if now != self._state:
            raise self._changed()

    def close(self) -> None:
        """Let go of the file. Idempotent."""
        self._file.close()

    def _note(self, chunk: bytes) -> None:
        self.crc32 = zlib.crc32(chunk, self.crc32)
        self.size += len(chunk)

    def _changed(self) -> IntegrityError:
        return IntegrityError(
            f"{self._path}: the file changed while it was read; nothing was stored"
        )


class Slice:
    """A part of a spool, as the body of a request."""

    def __init__(self, spool: _Readable, offset: int, size: int) -> None:
        self._spool = spool
        self._offset = offset
        self.size = size

    async def windows(self) -> AsyncGenerator[bytes, None]:
        for start in range(0, self.size, WINDOW):
            yield await self._spool.read(self._offset + start, min(WINDOW, self.size - start))
