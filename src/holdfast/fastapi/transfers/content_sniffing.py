"""What the first bytes of a file say that it is."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection

SNIFFED = 512
"""The number of first bytes that are looked at."""


class Signature(NamedTuple):
    """What a file begins with, and the content types that such a file may be called."""

    pattern: re.Pattern[bytes]
    types: frozenset[str]


def _signature(pattern: bytes, *types: str) -> Signature:
    return Signature(re.compile(pattern, re.DOTALL | re.IGNORECASE), frozenset(types))


# Where two fit, the first one counts.
_SIGNATURES = (
    _signature(rb"\x89PNG\r\n\x1a\n", "image/png"),
    _signature(rb"\xff\xd8\xff", "image/jpeg"),
    _signature(rb"GIF8[79]a", "image/gif"),
    _signature(rb"RIFF....WEBP", "image/webp"),
    _signature(rb"II\*\0|MM\0\*", "image/tiff"),
    _signature(rb"BM.{4}\0\0\0\0", "image/bmp"),
    _signature(rb".{4}ftyp(avif|avis)", "image/avif"),
    _signature(rb".{4}ftyp(hei[cfxms]|mif1|msf1)", "image/heic", "image/heif", "image/avif"),
    _signature(rb".{4}ftypM4A ", "audio/mp4", "audio/x-m4a", "video/mp4"),
    _signature(
        rb".{4}(ftyp|moov|mdat|wide)",
        "video/mp4", "video/quicktime", "video/x-m4v", "video/3gpp", "audio/mp4",
    ),
    _signature(rb"\x1aE\xdf\xa3.{0,60}webm", "video/webm", "audio/webm"),
    _signature(rb"\x1aE\xdf\xa3", "video/matroska", "video/x-matroska", "audio/x-matroska"),
    _signature(rb"RIFF....AVI ", "video/x-msvideo", "video/vnd.avi", "video/avi"),
    _signature(rb"FLV\x01", "video/x-flv"),
    _signature(rb"\0\0\x01[\xba\xb3]", "video/mpeg"),
    _signature(rb"G.{187}G.{187}G?", "video/mp2t", "video/mpeg"),
    _signature(rb"RIFF....WAVE", "audio/wav", "audio/x-wav", "audio/vnd.wave"),
    _signature(rb"OggS", "audio/ogg", "video/ogg", "application/ogg"),
    _signature(rb"fLaC", "audio/flac", "audio/x-flac"),
    _signature(rb"ID3|\xff[\xfb\xf3\xf2]", "audio/mpeg", "audio/mp3"),
    _signature(rb"%PDF-", "application/pdf"),
    _signature(
        rb"PK(\x03\x04|\x05\x06)",
        "application/zip", "application/x-zip-compressed", "application/vnd.openxml*",
        "application/vnd.oasis.*", "application/java-archive", "application/epub+zip",
    ),
    _signature(rb"\x1f\x8b", "application/gzip", "application/x-gzip"),
    _signature(rb"\x28\xb5\x2f\xfd", "application/zstd"),
    _signature(rb"PAR1", "application/vnd.apache.parquet"),
    _signature(rb"\x7fELF|MZ.{30}", "application/x-executable", "application/x-msdownload"),
    _signature(rb"(\xef\xbb\xbf)?\s*(<\?xml.*|<!--.*)?<svg\b", "image/svg+xml"),
    _signature(rb"(\xef\xbb\xbf)?\s*<(!doctype html|html|head|body|script|iframe)\b", "text/html"),
    _signature(rb"(\xef\xbb\xbf)?\s*<\?xml", "application/xml", "text/xml", "*/*+xml"),
)  # fmt: skip


def sniffed_types(head: bytes) -> frozenset[str] | None:
    """Return the content types that a file may be called which begins with *head*.

    They may be patterns. None when nothing is known that begins so, as of text.
    """
    for signature in _SIGNATURES:
        if signature.pattern.match(head):
            return signature.types
    return None


def is_of_type(head: bytes, declared: str) -> bool:
    """Return whether what begins with *head* may be called *declared*.

    What is neither of a known kind nor declared to be one may be called anything, and anything
    may be called ``application/octet-stream``.
    """
    if fits_type(declared, ("application/octet-stream",)):
        return True
    found = sniffed_types(head)
    if found is not None:
        return fits_type(declared, found)
    return not any(fits_type(declared, signature.types) for signature in _SIGNATURES)


def fits_type(content_type: str, patterns: Collection[str]) -> bool:
    """Return whether *content_type*, without parameters, fits a pattern such as ``video/*``."""
    essence = content_type.partition(";")[0].strip().lower()
    return any(fnmatchcase(essence, pattern) for pattern in patterns)
