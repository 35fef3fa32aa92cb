"""A body on its way up: first in memory, beyond 4 MiB in a file without a name.

S3 wants length and checksums before the first byte, and again what it has not got. The file has no
name, so nothing of it outlives the process.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
import zlib
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from holdfast.offload import Offload

WINDOW = 256 * 1024
_IN_MEMORY = 4 * 1024 * 1024


class Spool:
    """Bytes that can be read again, anywhere. A closed one takes and gives no more."""

    def __init__(self, offload: Offload) -> None:
        self._offload = offload
        self._lock = threading.Lock()
        self._chunks: list[bytes] = []
        self._file: IO[bytes] | None = None
        self._closed = False
        self.size = 0
        self.crc32 = 0

    async def add(self, chunk: bytes) -> None:
        """Append *chunk*. Raises OSError when the disk is full."""
        if self._file is None and self.size + len(chunk) <= _IN_MEMORY:
            self._chunks.append(chunk)
            self.crc32 = zlib.crc32(chunk, self.crc32)
            self.size += len(chunk)
        else:
            await self._offload.run(self._write, chunk)

    async def read(self, offset: int, size: int) -> bytes:
        """Return *size* bytes from *offset*."""
        if self._file is not None:
            return await self._offload.run(self._pread, offset, size)
        if len(self._chunks) != 1:
            self._chunks = [b"".join(self._chunks)]
        whole = self._chunks[0]
        return whole if size == len(whole) else whole[offset : offset + size]

    async def sha256(self) -> str:
        """Return the digest of all of it, in lower-case hexadecimal."""
        digest = hashlib.sha256()
        for start in range(0, self.size, WINDOW):
            window = await self.read(start, min(WINDOW, self.size - start))
            await self._offload.run(digest.update, window)
        return digest.hexdigest()

    def slice(self, offset: int, size: int) -> Slice:
        """Return *size* bytes from *offset* as a content."""
        return Slice(self, offset, size)

    def slices(self, size: int) -> list[Slice]:
        """Return all of it in order, in contents of *size* bytes and a last one of the rest."""
        return [
            Slice(self, start, min(size, self.size - start)) for start in range(0, self.size, size)
        ]

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


class Slice:
    """A part of a spool, as the body of a request."""

    def __init__(self, spool: Spool, offset: int, size: int) -> None:
        self._spool = spool
        self._offset = offset
        self.size = size

    async def windows(self) -> AsyncGenerator[bytes, None]:
        for start in range(0, self.size, WINDOW):
            yield await self._spool.read(self._offset + start, min(WINDOW, self.size - start))
