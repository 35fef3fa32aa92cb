"""Writes a ZIP archive as a stream, with the checksum of each file; memory is one piece."""

from __future__ import annotations

import hashlib
import zipfile
from typing import IO, TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Generator
    from datetime import datetime

_PIECE = 256 << 10  # bytes that gather before they are given out


class ZipStream:
    """An archive that is written from its beginning to its end, each file once.

    *sums* has the SHA-256 of each file in lower-case hexadecimal, by name. Files of *when* are
    told to be of that time.
    """

    def __init__(self, when: datetime) -> None:
        self.sums: dict[str, str] = {}
        self._when = when
        self._sink = _Sink()
        self._zip = zipfile.ZipFile(cast("IO[bytes]", self._sink), "w")  # what it asks for

    async def file(
        self, name: str, content: AsyncIterator[bytes], *, pack: bool = True
    ) -> AsyncGenerator[bytes, None]:
        """Add the file *name*, packed unless *pack* is off, and yield the archive's next bytes."""
        info = self._told(name, zipfile.ZIP_DEFLATED if pack else zipfile.ZIP_STORED)
        digest = hashlib.sha256()
        with self._zip.open(info, "w", force_zip64=True) as file:
            async for piece in content:
                digest.update(piece)
                file.write(piece)
                if self._sink.size >= _PIECE:
                    yield self._sink.take()
        self.sums[name] = digest.hexdigest()

    def text(self, name: str, text: str) -> Generator[bytes, None, None]:
        """Add a small file with *text*, and yield the archive's next bytes."""
        info = self._told(name, zipfile.ZIP_DEFLATED)
        content = text.encode()
        self._zip.writestr(info, content)
        self.sums[name] = hashlib.sha256(content).hexdigest()
        yield self._sink.take()

    def end(self) -> bytes:
        """Return the rest of the archive; nothing may follow."""
        self._zip.close()
        return self._sink.take()

    def _told(self, name: str, packed: int) -> zipfile.ZipInfo:
        info = zipfile.ZipInfo(name, self._when.timetuple()[:6])
        info.compress_type = packed
        info.external_attr = 0o644 << 16
        return info


class _Sink:
    """What the archive is written to, until it is taken."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.size = 0

    def write(self, data: bytes) -> int:
        self._pieces.append(bytes(data))
        self.size += len(data)
        return len(data)

    def flush(self) -> None:
        """Do nothing: what was written is there."""

    def take(self) -> bytes:
        """Return what was written since the last time."""
        taken, self._pieces, self.size = b"".join(self._pieces), [], 0
        return taken
