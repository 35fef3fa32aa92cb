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

from holdfast.errors import IntegrityError, InvalidValueError
from holdfast.objects.checks import UNKNOWN_CONTENT, check_etag
from holdfast.objects.compression import ENCODINGS
from holdfast.objects.drivers.s3.xml_document import unreadable
from holdfast.objects.object_info import ObjectInfo

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.objects.object_info import CommitSpec

META = "x-amz-meta-"
SHA256 = META + "holdfast-sha256"
WRITE = META + "holdfast-write"
SIZE = META + "holdfast-size"  # of the content, where what is stored is compressed
VERSION = "x-amz-version-id"
CRC32 = "x-amz-checksum-crc32"
_OURS = frozenset({SHA256, SIZE, WRITE})
_HEX = re.compile(r"[0-9a-f]{64}")
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


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

    Only what Holdfast marked as compressed by itself counts as compressed.
    """
    sha256 = headers.get(SHA256, "")
    encoding = headers.get("content-encoding", "").removesuffix(",aws-chunked")
    content = headers.get(SIZE, "")
    packed = encoding in ENCODINGS and content.isascii() and content.isdigit()
    return ObjectInfo(
        key=key,
        size=int(content) if packed else size,
        content_type=headers.get("content-type") or UNKNOWN_CONTENT,
        metadata={
            name.removeprefix(META): _decoded(value)
            for name, value in headers.items()
            if name.startswith(META) and name not in _OURS
        },
        etag=plain_etag(headers.get("etag", "")),
        modified=http_time(headers.get("last-modified", "")),
        sha256=sha256 if _HEX.fullmatch(sha256) else None,
        version=headers.get(VERSION),
        encoding=encoding if packed else None,
        stored=size if packed else None,
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
        modified=http_time(date) if date else datetime.now(UTC).replace(microsecond=0),
        sha256=spec.sha256,
        version=headers.get(VERSION),
        encoding=spec.encoding,
        stored=spec.stored,
    )


def tagging_header(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the header that tags an object while it is put, none without tags."""
    return {"x-amz-tagging": urlencode(tags)} if tags else {}


def plain_etag(text: str) -> str:
    """Return an etag without its quotes."""
    return text.removeprefix("W/").strip('"')


def quoted_etag(etag: str) -> str:
    """Return *etag* as a header holds it. Raises InvalidValueError for a bad one."""
    return f'"{check_etag(etag)}"'


def size_of(key: str, headers: Mapping[str, str]) -> int:
    """Return the length that *headers* promise. Raises IntegrityError when they don't say it."""
    text = headers.get("content-length", "")
    if not (text.isascii() and text.isdigit()):
        raise IntegrityError(f"object {key!r}: the service doesn't say how long it is")
    return int(text)


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
    except ValueError:
        raise unreadable(f"{text!r} is not a time") from None


def iso_time(text: str) -> datetime:
    """Return the time in an answer's XML, to the second, as headers have it."""
    return exact_time(text).replace(microsecond=0)


def exact_time(text: str) -> datetime:
    """Return the time in an answer's XML."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        raise unreadable(f"{text!r} is not a time") from None


def _encoded(value: str) -> str:
    plain = value.isascii() and "=?" not in value and value == " ".join(value.split(" ")).strip()
    if plain and "  " not in value:
        return value
    return f"=?UTF-8?B?{base64.b64encode(value.encode()).decode()}?="


def _decoded(value: str) -> str:
    readable = value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if "=?" not in readable:
        return readable
    try:
        parts = decode_header(readable)
        return "".join(
            part if isinstance(part, str) else part.decode(charset or "ascii", "replace")
            for part, charset in parts
        )
    except (HeaderParseError, LookupError, ValueError):
        return readable
