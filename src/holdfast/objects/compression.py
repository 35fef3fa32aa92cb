"""Transparent compression: which content is worth it, compressors and decompressors."""

from __future__ import annotations

import zlib
from importlib import import_module
from typing import TYPE_CHECKING, Literal, Protocol

from holdfast.errors import IntegrityError, InvalidValueError
from holdfast.extras import needs_extra

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

Compression = Literal["zstd", "lz4", "gzip"]

ENCODINGS = ("zstd", "lz4", "gzip")
_WORTH_IT = 512  # bytes; below, what is saved is less than a request costs
_SHRINKS = 0.9  # to this share at the most, or it stays as it is
_PIECE = 256 * 1024
_FED = 1024  # so much input at once: the worst of it makes 32 MiB
_GZIP = 31  # zlib's number for gzip's own frame
_KINDS = ("audio/", "font/woff", "image/", "video/")
_PLAIN_KINDS = frozenset(
    {"audio/wav", "audio/x-wav", "image/bmp", "image/svg+xml", "image/tiff", "image/x-ms-bmp"}
)
_DENSE = frozenset(
    {
        "application/gzip",
        "application/java-archive",
        "application/pdf",
        "application/vnd.apache.parquet",
        "application/vnd.rar",
        "application/x-7z-compressed",
        "application/x-bzip2",
        "application/x-xz",
        "application/zip",
        "application/zstd",
    }
)


class Compressor(Protocol):
    """Compresses, piece by piece."""

    def compress(self, data: bytes, /) -> bytes:
        """Return compressed bytes, perhaps of earlier data."""
        ...

    def flush(self) -> bytes:
        """Return the rest of the compressed bytes; nothing may follow."""
        ...


class Decompressor(Protocol):
    """Decompresses, piece by piece."""

    @property
    def ended(self) -> bool:
        """Whether the bytes so far end with a whole frame."""
        ...

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Yield the content of *data*, in pieces of bounded size. Raises IntegrityError."""
        ...


def check_compression(name: str) -> Compression:
    """Return *name* if it is a compression that works here.

    Raises InvalidValueError for an unknown one, ConfigurationError where its library is missing.
    """
    match name:
        case "zstd" | "lz4" | "gzip":
            compressor_of(name)
            return name
    known = ", ".join(ENCODINGS)
    raise InvalidValueError("object", "compression", f"expected one of {known}, got {name!r}")


def is_worth_it(content_type: str, first: bytes, compression: Compression) -> bool:
    """Return whether content that begins with *first* is smaller when it is compressed.

    Media and archives are never compressed, by their type, whatever they begin with.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind in _DENSE or (kind.startswith(_KINDS) and kind not in _PLAIN_KINDS):
        return False
    if len(first) < _WORTH_IT:
        return False
    compressor = compressor_of(compression)
    return len(compressor.compress(first)) + len(compressor.flush()) <= len(first) * _SHRINKS


def compressor_of(compression: Compression) -> Compressor:
    """Return a new compressor. Raises ConfigurationError where its library is missing."""
    match compression:
        case "gzip":
            return zlib.compressobj(6, zlib.DEFLATED, _GZIP)
        case "zstd":
            zstd: Compressor = _library("zstandard").ZstdCompressor(level=3).compressobj()
            return zstd
        case "lz4":
            return _Lz4Compressor(_library("lz4.frame").LZ4FrameCompressor())


def decompressor_of(encoding: str) -> Decompressor:
    """Return a new unpacker. Raises ConfigurationError where its library is missing."""
    match encoding:
        case "gzip":
            return _ZlibDecompressor()
        case "zstd":
            return _ZstdDecompressor()
        case "lz4":
            return _Lz4Decompressor()
    raise IntegrityError(f"the content is encoded as {encoding!r}, which Holdfast never does")


class _Lz4Library(Compressor, Protocol):
    def begin(self) -> bytes: ...


class _ZstdFrame(Protocol):
    eof: bool
    unused_data: bytes

    def decompress(self, data: bytes, /) -> bytes: ...


class _Lz4Compressor:
    def __init__(self, library: _Lz4Library) -> None:
        self._library = library
        self._begun = False

    def compress(self, data: bytes, /) -> bytes:
        return self._head() + self._library.compress(data)

    def flush(self) -> bytes:
        return self._head() + self._library.flush()

    def _head(self) -> bytes:
        if self._begun:
            return b""
        self._begun = True
        return self._library.begin()


class _ZlibDecompressor:
    def __init__(self) -> None:
        self._library = zlib.decompressobj(_GZIP)
        self._fresh = True

    @property
    def ended(self) -> bool:
        return self._fresh or self._library.eof

    def pieces(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._library.eof:  # another member behind the first
                self._library = zlib.decompressobj(_GZIP)
            self._fresh = False
            try:
                piece = self._library.decompress(data, _PIECE)
            except zlib.error as error:
                raise IntegrityError(f"what is stored is not gzip: {error}") from None
            if piece:
                yield piece
            eof = self._library.eof
            data = self._library.unused_data if eof else self._library.unconsumed_tail
        while not self._library.eof:
            piece = self._library.decompress(b"", _PIECE)
            if not piece:
                return
            yield piece


class _ZstdDecompressor:
    def __init__(self) -> None:
        zstandard = _library("zstandard")
        self._error: type[Exception] = zstandard.ZstdError
        self._new: Callable[[], _ZstdFrame] = zstandard.ZstdDecompressor(
            max_window_size=2**27
        ).decompressobj
        self._frame: _ZstdFrame | None = None

    @property
    def ended(self) -> bool:
        return self._frame is None

    def pieces(self, data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), _FED):
            fed = data[start : start + _FED]
            while fed:
                frame = self._frame = self._frame or self._new()
                try:
                    piece = frame.decompress(fed)
                except self._error as error:
                    raise IntegrityError(f"what is stored is not zstd: {error}") from None
                fed = b""
                if frame.eof:
                    fed = frame.unused_data
                    self._frame = None
                for offset in range(0, len(piece), _PIECE):
                    yield piece[offset : offset + _PIECE]


class _Lz4Decompressor:
    def __init__(self) -> None:
        self._new = _library("lz4.frame").LZ4FrameDecompressor
        self._frame = self._new()
        self._fresh = True

    @property
    def ended(self) -> bool:
        return self._fresh or bool(self._frame.eof)

    def pieces(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._frame.eof:
                self._frame = self._new()
            self._fresh = False
            piece = self._decompressed(data)
            yield piece
            while not (self._frame.eof or self._frame.needs_input):
                yield self._decompressed(b"")
            data = (self._frame.unused_data or b"") if self._frame.eof else b""

    def _decompressed(self, data: bytes) -> bytes:
        try:
            piece: bytes = self._frame.decompress(data, _PIECE)
        except RuntimeError as error:
            raise IntegrityError(f"what is stored is not lz4: {error}") from None
        return piece


def _library(name: str) -> ModuleType:
    with needs_extra("compression", "this compression"):
        return import_module(name)
