"""Spools a body for its upload: a local file where it is; else memory, beyond 4 MiB a file.

S3 needs length and checksums before the first byte, and retries send the bytes again. The file
that is made for that has no name, so nothing of it outlives the process.
"""

from __future__ import annotations

import base64
import hashlib
import os
import tempfile
import threading
import zlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING

from holdfast.errors import IntegrityError
from holdfast.objects.body import WINDOW, open_regular, state_of
from holdfast.objects.localfile import OpenFile, refusals
from holdfast.objects.transfer import WORTH_A_THREAD

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable
    from hashlib import _Hash as Digest

    from holdfast.objects.body import FileState
    from holdfast.offload import Offload

_IN_MEMORY = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Checksums:
    """The checksums of one body. *sha256* is None where TLS and the CRC-32 protect it."""

    crc32: str
    sha256: str | None


class Spool(ABC):
    """Bytes that can be read again, anywhere, until it is closed."""

    def __init__(self, offload: Offload) -> None:
        self.offload = offload
        self.size = 0
        self.noted: dict[tuple[int, int], Checksums] = {}  # by start and end

    @abstractmethod
    async def read(self, offset: int, size: int) -> bytes:
        """Return *size* bytes from *offset*."""

    @abstractmethod
    async def check(self) -> None:
        """Raise IntegrityError when the bytes changed since they were taken."""

    @abstractmethod
    def windows(self, start: int, end: int) -> Iterable[bytes | memoryview]:
        """Yield the bytes from *start* to *end*, blocking; each piece is good until the next."""

    @abstractmethod
    def close(self) -> None:
        """Release memory and file. Idempotent."""

    def sums(self, start: int, end: int, *, signed: bool, whole: Digest | None = None) -> Checksums:
        """Return the checksums from *start* to *end*, blocking; *whole* takes them in, too.

        Only what is *signed* has a SHA-256.
        """
        crc32 = 0
        sha256 = hashlib.sha256() if signed else None
        for window in self.windows(start, end):
            crc32 = zlib.crc32(window, crc32)
            if sha256 is not None:
                sha256.update(window)
            if whole is not None:
                whole.update(window)
        text = base64.b64encode(crc32.to_bytes(4, "big")).decode()
        return Checksums(text, None if sha256 is None else sha256.hexdigest())

    def parts(self, size: int, advance: Callable[[int], None]) -> list[SpoolPart]:
        """Return all of it in order, in contents of *size* bytes and a last one of the rest."""
        return [
            SpoolPart(self, start, min(size, self.size - start), advance)
            for start in range(0, self.size, size)
        ]


class ChunkSpool(Spool):
    """The chunks that a put wrote."""

    def __init__(self, offload: Offload) -> None:
        super().__init__(offload)
        self._lock = threading.Lock()
        self._chunks: list[bytes] = []
        self._file: IO[bytes] | None = None
        self._closed = False

    async def add(self, chunk: bytes) -> None:
        """Append *chunk*. Raises StorageError when the disk is full."""
        if self._file is None and self.size + len(chunk) <= _IN_MEMORY and not self._closed:
            self._chunks.append(chunk)
            self.size += len(chunk)
        else:
            with refusals(Path(tempfile.gettempdir())):
                await self.offload.run(self._write, chunk)

    async def check(self) -> None:
        """Do nothing: nobody else can change the bytes."""

    async def read(self, offset: int, size: int) -> bytes:
        """Return *size* bytes from *offset*."""
        if self._file is not None:
            return await self.offload.run(self._pread, offset, size)
        whole = self._joined()
        return whole if size == len(whole) else whole[offset : offset + size]

    def windows(self, start: int, end: int) -> Iterable[bytes | memoryview]:
        """Yield the bytes from *start* to *end*, blocking."""
        if self._file is None:
            yield memoryview(self._joined())[start:end]
        else:
            for offset in range(start, end, WINDOW):
                yield self._pread(offset, min(WINDOW, end - offset))

    def close(self) -> None:
        """Release memory and file. Idempotent."""
        with self._lock:
            self._closed = True
            self._chunks = []
            if self._file is not None:
                self._file.close()

    def _joined(self) -> bytes:
        chunks = self._chunks
        if len(chunks) != 1:
            chunks = self._chunks = [b"".join(chunks)]
        return chunks[0]

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
            self.size += len(chunk)

    def _pread(self, offset: int, size: int) -> bytes:
        with self._lock:
            if self._closed or self._file is None:
                raise RuntimeError("the spool is closed")
            return os.pread(self._file.fileno(), size, offset)


class FileSpool(Spool):
    """A local file that is uploaded from where it is, as long as it stays the same."""

    def __init__(self, offload: Offload, path: Path) -> None:
        super().__init__(offload)
        self._path = path
        self._file = OpenFile()
        self._state: FileState | None = None

    async def open(self) -> None:
        """Open it. Raises StorageError for what can't be read or is not a regular file."""
        with refusals(self._path):
            opened = await self.offload.run(self._file.open, partial(open_regular, self._path))
        self._state = state_of(opened)
        self.size = opened.st_size

    async def take(self, part: int, *, signed: bool) -> str:
        """Read it once and return its SHA-256; the checksums of each *part* are noted too."""
        whole = hashlib.sha256()
        for start in range(0, self.size, part):
            end = min(start + part, self.size)
            call = partial(self.sums, start, end, signed=signed, whole=whole)
            self.noted[start, end] = await self.offload.run(call)
        await self.check()
        return whole.hexdigest()

    async def read(self, offset: int, size: int) -> bytes:
        """Return *size* bytes from *offset*."""
        try:
            return await self.offload.run(self._file.read, offset, size)
        except IntegrityError:
            raise self._changed() from None

    def windows(self, start: int, end: int) -> Iterable[bytes | memoryview]:
        """Yield the bytes from *start* to *end*, blocking."""
        try:
            with refusals(self._path):
                yield from self._file.windows(start, end)
        except IntegrityError:
            raise self._changed() from None

    async def check(self) -> None:
        """Raise IntegrityError when the file changed since it was opened."""
        try:
            now = state_of(await self.offload.run(self._path.stat))
        except FileNotFoundError:
            raise self._changed() from None
        if now != self._state:
            raise self._changed()

    def close(self) -> None:
        """Release memory and file. Idempotent."""
        self._file.close()

    def _changed(self) -> IntegrityError:
        return IntegrityError(
            f"{self._path}: the file changed while it was read; nothing was stored"
        )


class SpoolPart:
    """A part of a spool, as the body of a request."""

    def __init__(
        self, spool: Spool, offset: int, size: int, advance: Callable[[int], None]
    ) -> None:
        self.size = size
        self._spool = spool
        self._offset = offset
        self._advance = advance
        self._told = 0

    async def sums(self, *, signed: bool) -> Checksums:
        """Return its checksums; see `Spool.sums`."""
        spool, start, end = self._spool, self._offset, self._offset + self.size
        if (start, end) in spool.noted:
            return spool.noted[start, end]
        if self.size < WORTH_A_THREAD:
            return spool.sums(start, end, signed=signed)
        return await spool.offload.run(partial(spool.sums, start, end, signed=signed))

    async def windows(self) -> AsyncGenerator[bytes, None]:
        """Yield it for one request; before the last piece, check that the bytes are the same."""
        for start in range(0, self.size, WINDOW):
            yield await self._window(start, min(WINDOW, self.size - start))

    async def whole(self) -> bytes:
        """Return it, if it is small."""
        return await self._window(0, self.size)

    async def skip(self) -> None:
        """Count it as sent: the service has it."""
        await self._spool.check()
        self._tell(self.size)

    async def _window(self, start: int, size: int) -> bytes:
        window = await self._spool.read(self._offset + start, size)
        done = start + size
        if done == self.size:
            await self._spool.check()
        self._tell(done)
        return window

    def _tell(self, done: int) -> None:
        if done > self._told:  # else it is sent again
            advanced, self._told = done - self._told, done
            self._advance(advanced)
