"""Layers of OCI that are tar archives, plain or with gzip: unpacked within bounds.

An archive may be anybody's. Each header is judged before what it announces is read or written:
files and folders alone, no links, devices or sparse files, no path that leaves the folder, and no
more bytes than the bounds allow. Python's `tarfile` parses single headers; the archive is walked
here, since it would hold a name of gigabytes in memory.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import zlib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath
from typing import IO, TYPE_CHECKING, NoReturn

from holdfast.errors import IntegrityError, ModelFileError
from holdfast.models.model_tree import MOST_FILES, ModelFile, check_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BLOCK = 512
_WINDOW = 1 << 20
_LONGEST_HEADER = 64 << 10
_EXTENSIONS = 8
_FILES = frozenset({tarfile.REGTYPE, tarfile.AREGTYPE})
_REMOVES = ".wh."  # of the layer below, in images of containers


class Packing(StrEnum):
    """How a layer holds its files: one as it is, or any number in an archive."""

    RAW = "raw"
    TAR = "tar"
    GZIP = "tar+gzip"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnpackLimits:
    """What all archives of a layout may make: *files*, and *size* in bytes.

    An archive with gzip may make *small* bytes, or *ratio* times its own size if that is more.
    *entries* counts folders too.
    """

    files: int = MOST_FILES
    size: int = 64 << 30
    small: int = 1 << 30
    ratio: int = 200
    entries: int = 10 * MOST_FILES


@dataclass(frozen=True, slots=True)
class PackedLayer:
    """An archive: its blob's *sha256* and *size*, and that of what it unpacks to where it is said.

    *name* is how errors call it.
    """

    name: str
    sha256: str
    size: int
    packing: Packing
    unpacked_sha256: str | None = None


class Unpacking:
    """Unpacks the archives of one layout below the empty folder *target*, by shared *limits*."""

    def __init__(self, target: Path, limits: UnpackLimits) -> None:
        self._target = target
        self._limits = limits
        self._left = limits.size
        self._entries = 0
        self._folders: set[str] = set()
        self.files: dict[str, ModelFile] = {}

    def place(self, path: str) -> Path:
        """Return where the file *path* goes, in a folder that is there.

        Raises ModelFileError for a path that leaves the folder, is there already, or is a folder.
        """
        check_path(path)
        above = [str(each) for each in PurePosixPath(path).parents[:-1]]
        if path in self.files:
            raise ModelFileError(path, f"the path {path!r} is there twice")
        if path in self._folders or not self.files.keys().isdisjoint(above):
            raise ModelFileError(path, f"the path {path!r} is a file and a folder")
        if len(self.files) >= self._limits.files:
            raise ModelFileError(path, f"there are more than {self._limits.files} files")
        self._folders.update(above)
        place = self._target / path
        place.parent.mkdir(parents=True, exist_ok=True)
        return place

    def unpack(self, layer: PackedLayer, blob: Path) -> None:
        """Put the files of *layer*, whose bytes are the file *blob*, below the folder.

        Raises ModelFileError for what is refused, with the files before it written;
        IntegrityError for a blob that is not what its digest says; OSError for the disk.
        """
        most = self._left
        if layer.packing is Packing.GZIP:
            most = min(most, max(self._limits.small, layer.size * self._limits.ratio))
        with blob.open("rb") as file:
            source = _Hashed(file)
            stream = _Archive(layer, source, most)
            while (header := stream.header()) is not None:
                self._entries += 1
                if self._entries > self._limits.entries:
                    stream.refuse(f"it has more than {self._limits.entries} entries")
                if not header.isdir():
                    self._write(stream, header)
            self._left -= stream.finish()
            source.finish(layer)

    def _write(self, stream: _Archive, header: tarfile.TarInfo) -> None:
        name = header.name.removeprefix("./")
        path = str(PurePosixPath(name)) if name else name
        if header.type not in _FILES:
            stream.refuse(f"{path!r:.120} is a link, a device or sparse")
        if PurePosixPath(path).name.startswith(_REMOVES):
            stream.refuse(f"{path!r:.120} removes a file of another layer")
        check_path(name)
        stream.check_room(header.size)
        digest = hashlib.sha256()
        with self.place(path).open("xb") as writing:
            for chunk in stream.body(header.size):
                digest.update(chunk)
                writing.write(chunk)
        self.files[path] = ModelFile(path, digest.hexdigest(), header.size)


class _Hashed:
    """A file that is hashed as it is read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self._count = 0

    def read(self, size: int = -1) -> bytes:
        chunk = self._file.read(size)
        self._digest.update(chunk)
        self._count += len(chunk)
        return chunk

    def seekable(self) -> bool:
        return False

    def seek(self, offset: int) -> NoReturn:
        raise io.UnsupportedOperation(f"seek to {offset}")

    def finish(self, layer: PackedLayer) -> None:
        """Read to the end. Raises IntegrityError unless it was what *layer* says."""
        while self.read(_WINDOW):
            pass
        if (self._digest.hexdigest(), self._count) != (layer.sha256, layer.size):
            raise IntegrityError(f"the blob of {layer.name!r} is not what its digest says")


class _Archive:
    """A tar archive as a stream of headers and bodies, at most *most* bytes of it."""

    def __init__(self, layer: PackedLayer, source: _Hashed, most: int) -> None:
        self._layer = layer
        self._most = most
        self._read = 0
        self._digest = hashlib.sha256() if layer.unpacked_sha256 else None
        self._source: _Hashed | gzip.GzipFile = source
        if layer.packing is Packing.GZIP:
            self._source = gzip.GzipFile(fileobj=source, mode="rb")

    def refuse(self, reason: str) -> NoReturn:
        raise ModelFileError(self._layer.name, reason)

    def check_room(self, size: int) -> None:
        """Refuse *size* bytes more, before any of them is read, if these are too many."""
        if size < 0 or self._read + size > self._most:
            self.refuse(f"it unpacks to more than {self._most} bytes")

    def header(self) -> tarfile.TarInfo | None:
        """Return the next file or folder with its whole name and size, None at the end."""
        said: dict[str, str] = {}
        for _ in range(_EXTENSIONS):
            block = self._exactly(_BLOCK)
            if not block.strip(b"\0"):
                return None
            try:
                header = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
            except (tarfile.HeaderError, UnicodeDecodeError) as error:
                self.refuse(f"it is no tar archive: {error}")
            if header.type == tarfile.XHDTYPE:
                said |= self._records(header.size)
            elif header.type == tarfile.XGLTYPE:
                self._extension(header.size)  # of the archive as a whole, such as a comment
            elif header.type == tarfile.GNUTYPE_LONGNAME:
                said["path"] = self._text(self._extension(header.size).partition(b"\0")[0])
            else:
                return self._completed(header, said)
        return self.refuse(f"it has more than {_EXTENSIONS} headers for one file")

    def body(self, size: int) -> Iterator[bytes]:
        """Yield the *size* bytes behind a header."""
        left = size
        while left:
            chunk = self._exactly(min(left, _WINDOW))
            left -= len(chunk)
            yield chunk
        self._exactly(-size % _BLOCK)

    def finish(self) -> int:
        """Read what is left, and return how many bytes there were. Raises IntegrityError."""
        while self._some(_WINDOW):
            pass
        if self._digest and self._digest.hexdigest() != self._layer.unpacked_sha256:
            raise IntegrityError(f"{self._layer.name!r} unpacks to something else than it says")
        return self._read

    def _completed(self, header: tarfile.TarInfo, said: dict[str, str]) -> tarfile.TarInfo:
        if any(name.startswith("GNU.sparse") for name in said):
            header.type = tarfile.GNUTYPE_SPARSE
        header.name = said.get("path", header.name)
        try:
            header.size = int(said.get("size", header.size))
        except ValueError:
            self.refuse(f"a size is {said['size']!r:.80}")
        return header

    def _records(self, size: int) -> dict[str, str]:
        """Return what an extended header says of name, size and holes: lengths, names, values."""
        content = self._extension(size)
        found = {}
        while content:
            length, _, _ = content.partition(b" ")
            end = int(length) if length.isdigit() and len(length) < 7 else 0
            record, content = content[:end], content[end:]
            name, equals, value = record[len(length) + 1 :].partition(b"=")
            if len(record) != end or not equals or not value.endswith(b"\n"):
                self.refuse("an extended header is damaged")
            if name in {b"path", b"size"} or name.startswith(b"GNU.sparse"):
                found[name.decode(errors="replace")] = self._text(value[:-1])
        return found

    def _extension(self, size: int) -> bytes:
        if not 0 <= size <= _LONGEST_HEADER:
            self.refuse(f"a header of it has {size} bytes")
        content = self._exactly(size)
        self._exactly(-size % _BLOCK)
        return content

    def _text(self, content: bytes) -> str:
        try:
            return content.decode()
        except UnicodeDecodeError as error:
            self.refuse(f"a name in it is not UTF-8: {error}")

    def _exactly(self, size: int) -> bytes:
        parts = []
        left = size
        while left:
            parts.append(self._some(left))
            if not parts[-1]:
                self.refuse("it ends in the middle")
            left -= len(parts[-1])
        return b"".join(parts)

    def _some(self, size: int) -> bytes:
        try:
            chunk = self._source.read(size)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            self.refuse(f"it is no gzip: {error}")
        self._read += len(chunk)
        if self._read > self._most:
            self.refuse(f"it unpacks to more than {self._most} bytes")
        if self._digest:
            self._digest.update(chunk)
        return chunk
