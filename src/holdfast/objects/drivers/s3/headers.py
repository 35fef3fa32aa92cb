"""The headers of S3 that describe an object: how they are read and written."""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime
from email.errors import HeaderParseError
from email.header import decode_header
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from holdfast.clock import utc_now
from holdfast.errors import IntegrityError, InvalidValueError
from holdfast.objects.checks import UNKNOWN_CONTENT, check_etag
from holdfast.objects.compression import ENCODINGS
from holdfast.objects.drivers.s3.xml_document import unreadable
from holdfast.objects.object_info import ObjectInfo
from holdfast.time_text import read_datetime

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.objects.object_info import CommitSpec

META = "x-amz-meta-"
SHA256 = META + "holdfast-sha256"
WRITE = META + "holdfast-write"
SIZE = META + "holdfast-size"  # of the content, where what is stored is compressed
VERSION = "x-amz-version-id"
HTTP = ("cache-control", "content-disposition", "content-language")
CRC32 = "x-amz-checksum-crc32"
_OURS = frozenset({SHA256, SIZE, WRITE})
_TURNING = frozenset(
    "\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)
_HEX = re.compile(r"[0-9a-f]{64}")
_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})", re.ASCII)
_COUNT = re.compile(r"\d{1,18}", re.ASCII)
# No codec makes more of a byte than zstd's runs, 128 KiB of four bytes; a header has a few more.
_MOST_PACKED = 2**15
_PACKED_ANYHOW = 2**17


def metadata_headers(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that carry *metadata*.

    A value that a header can't hold as it is becomes an encoded word of RFC 2047, as S3 itself
    shows such values. Raises InvalidValueError for names that Holdfast keeps for itself.
    """
    headers = {META + name: _encoded(value) for name, value in metadata.items()}
    for name in _OURS & headers.keys():
        raise InvalidValueError(
            "object", "metadata", f"the name {name.removeprefix(META)!r} is Holdfast's own on S3"
        )
    return headers


def info_of(key: str, headers: Mapping[str, str], size: int) -> ObjectInfo:
    """Return the object that *headers* of a GET or HEAD describe; it has *size* stored bytes.

    Only what Holdfast marked as compressed by itself, with a size that it can have, counts as
    compressed. Text that others wrote has no control characters here.
    """
    sha256 = headers.get(SHA256, "")
    encoding = headers.get("content-encoding", "").removesuffix(",aws-chunked")
    content = headers.get(SIZE, "")
    content_size = count_in(content)
    packed = (
        encoding in ENCODINGS
        and content_size is not None
        and content_size <= size * _MOST_PACKED + _PACKED_ANYHOW
    )
    return ObjectInfo(
        key=key,
        size=content_size if packed and content_size is not None else size,
        content_type=plain_text(headers.get("content-type") or UNKNOWN_CONTENT),
        metadata={
            name.removeprefix(META): _decoded(value)
            for name, value in headers.items()
            if name.startswith(META) and name not in _OURS
        },
        etag=plain_etag(headers.get("etag", "")),
        modified=http_time(headers.get("last-modified", "")),
        sha256=sha256 if _HEX.fullmatch(sha256) else None,
        version=version_in(headers),
        encoding=encoding if packed else None,
        stored=size if packed else None,
        http={name: plain_text(headers[name]) for name in HTTP if name in headers},
    )


def committed_info(key: str, spec: CommitSpec, headers: Mapping[str, str], etag: str) -> ObjectInfo:
    """Return the object that *spec* became, by the *headers* of the answer to its PUT."""
    date = headers.get("date")
    return ObjectInfo(
        key=key,
        size=spec.size,
        content_type=spec.content_type,
        metadata=dict(spec.metadata),
        etag=plain_etag(etag),
        modified=http_time(date) if date else utc_now().replace(microsecond=0),
        sha256=spec.sha256,
        version=headers.get(VERSION),
        encoding=spec.encoding,
        stored=spec.stored,
        http=dict(spec.http),
    )


def version_in(headers: Mapping[str, str]) -> str | None:
    """Return the version that an answer's *headers* name, None without one."""
    version = headers.get(VERSION)
    return None if version is None else plain_text(version)


def tagging_header(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the header that tags an object while it is put, none without tags."""
    return {"x-amz-tagging": urlencode(tags)} if tags else {}


def plain_etag(text: str) -> str:
    """Return an etag without its quotes."""
    return plain_text(text.removeprefix("W/").strip('"'))


def plain_text(text: str) -> str:
    """Return *text* with U+FFFD for controls, line breaks and marks that turn its direction."""
    if text.isprintable():
        return text
    return "".join("\ufffd" if _is_control(letter) else letter for letter in text)


def _is_control(letter: str) -> bool:
    return letter < " " or "\x7f" <= letter <= "\x9f" or letter in _TURNING


def count_in(text: str) -> int | None:
    """Return the whole number of at most 18 digits in *text*, None when it is none."""
    return int(text) if _COUNT.fullmatch(text) else None


def quoted_etag(etag: str) -> str:
    """Return *etag* as a header holds it. Raises InvalidValueError for a bad one."""
    return f'"{check_etag(etag)}"'


def size_of(key: str, headers: Mapping[str, str]) -> int:
    """Return the length that *headers* promise. Raises IntegrityError when they don't say it."""
    size = count_in(headers.get("content-length", ""))
    if size is None:
        raise IntegrityError(f"object {key!r}: the service doesn't say how long it is")
    return size


def range_of(headers: Mapping[str, str]) -> tuple[int, int, int] | None:
    """Return first and last offset and the whole size of ``Content-Range``, None for nonsense."""
    match = _RANGE.fullmatch(headers.get("content-range", ""))
    if match is None:
        return None
    first, last, size = map(int, match.groups())
    return first, last, size


@lru_cache(maxsize=256)  # the answers of one second all say the same
def http_time(text: str) -> datetime:
    """Return the time in an HTTP header. Raises ServiceError for nonsense."""
    try:
        return parsedate_to_datetime(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise unreadable(f"{text!r} is not a time") from None


def iso_time(text: str) -> datetime:
    """Return the time in an answer's XML, to the second, as headers have it."""
    return exact_time(text).replace(microsecond=0)


def exact_time(text: str) -> datetime:
    """Return the time in an answer's XML."""
    try:
        return read_datetime(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise unreadable(f"{text!r} is not a time") from None


def _encoded(value: str) -> str:
    plain = value.isascii() and "=?" not in value and value == " ".join(value.split(" ")).strip()
    if plain and "  " not in value:
        return value
    return f"=?UTF-8?B?{base64.b64encode(value.encode()).decode()}?="


def _decoded(value: str) -> str:
    readable = value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if "=?" not in readable:
        return plain_text(readable)
    try:
        parts = decode_header(readable)
        return plain_text(
            "".join(
                part if isinstance(part, str) else part.decode(charset or "ascii", "replace")
                for part, charset in parts
            )
        )
    except (HeaderParseError, LookupError, ValueError):
        return plain_text(readable)
