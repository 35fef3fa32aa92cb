"""What is said of an object over HTTP: its headers, and whether the client has it already."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import TYPE_CHECKING
from uuid import uuid4

from holdfast.clock import utc_now
from holdfast.fastapi.transfers.byte_ranges import RangeRefusedError, Span, spans_of
from holdfast.fastapi.transfers.file_names import content_disposition

if TYPE_CHECKING:
    from starlette.datastructures import Headers

    from holdfast.objects import ObjectInfo

_UNKNOWN = "application/octet-stream"
_CONTENT_TYPE = re.compile(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+( *;[ -~]*)?", re.ASCII)
_HEADER_TEXT = re.compile(r"[ -~]+")
_SHOWN = re.compile(
    r"(video/[\w.+-]+|audio/[\w.+-]+|image/(png|jpeg|gif|webp|avif|bmp)|text/plain)( *;.*)?",
    re.IGNORECASE,
)
"""What a browser can show and never runs; all else, HTML and SVG above all, is saved."""
_SANDBOX = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; media-src 'self'; sandbox"
)


@dataclass(frozen=True, slots=True)
class ObjectPart:
    """Bytes of an object that a response sends, behind *head*."""

    span: Span
    head: bytes = b""


@dataclass(frozen=True, slots=True)
class ObjectAnswer:
    """The status, headers and parts of the response to one request for an object.

    *tail* comes behind the last part. *reason* says why there is none.
    """

    status: int
    headers: dict[str, str]
    parts: tuple[ObjectPart, ...] = ()
    tail: bytes = b""
    reason: str = field(default="", compare=False)


def answer_to(
    method: str, asked: Headers, info: ObjectInfo, *, download_as: str | None, most_ranges: int
) -> ObjectAnswer:
    """Return what answers a request of *method* and headers *asked* for the object *info*.

    Conditions are judged in the order of RFC 9110, section 13.2.2. Status 200, 206, 304, 412 or
    416.
    """
    headers = described(info, download_as=download_as)
    if (status := _failed_condition(asked, info)) is not None:
        kept = ("etag", "last-modified", "cache-control")
        known = {name: headers[name] for name in kept if name in headers}
        return ObjectAnswer(status, known, reason="a condition of the request does not hold")
    spans = None
    if method == "GET" and "range" in asked and _if_range(asked.get("if-range"), info):
        try:
            spans = spans_of(asked["range"], info.size, most=most_ranges)
        except RangeRefusedError as refused:
            unsatisfied = {"content-range": f"bytes */{info.size}", "accept-ranges": "bytes"}
            return ObjectAnswer(416, unsatisfied, reason=refused.reason)
    if spans is None:
        headers["content-length"] = str(info.size)
        return ObjectAnswer(200, headers, (ObjectPart((0, info.size)),))
    if len(spans) == 1:
        ((start, end),) = spans
        headers["content-range"] = f"bytes {start}-{end - 1}/{info.size}"
        headers["content-length"] = str(end - start)
        return ObjectAnswer(206, headers, (ObjectPart((start, end)),))
    return _multipart(headers, spans, info.size)


def _multipart(headers: dict[str, str], spans: list[Span], size: int) -> ObjectAnswer:
    boundary = uuid4().hex  # random, so that no stored bytes can hold it on purpose
    kind = headers["content-type"]
    parts = tuple(
        ObjectPart(
            (start, end),
            (
                f"{'' if number == 0 else chr(13) + chr(10)}--{boundary}\r\n"
                f"Content-Type: {kind}\r\nContent-Range: bytes {start}-{end - 1}/{size}\r\n\r\n"
            ).encode(),
        )
        for number, (start, end) in enumerate(spans)
    )
    tail = f"\r\n--{boundary}--\r\n".encode()
    length = sum(len(part.head) + part.span[1] - part.span[0] for part in parts) + len(tail)
    headers["content-type"] = f"multipart/byteranges; boundary={boundary}"
    headers["content-length"] = str(length)
    return ObjectAnswer(206, headers, parts, tail)


def described(info: ObjectInfo, *, download_as: str | None) -> dict[str, str]:
    """Return the headers that describe *info*, by lower-case name.

    Nothing of it is ever active in the browser: what could run is saved instead of shown, and
    what is shown is shown in a sandbox.
    """
    kind = info.content_type or _UNKNOWN
    if not _CONTENT_TYPE.fullmatch(kind):
        kind = _UNKNOWN
    shown = download_as is None and _SHOWN.fullmatch(kind) is not None
    name = info.key.rpartition("/")[2] if download_as is None else download_as
    headers = {
        "content-type": kind,
        "content-disposition": "inline" if shown else content_disposition("attachment", name),
        "etag": f'"{info.etag}"',
        "last-modified": format_datetime(info.modified.astimezone(UTC), usegmt=True),
        "accept-ranges": "bytes",
        "cache-control": "private, no-cache",
        "x-content-type-options": "nosniff",
        "content-security-policy": _SANDBOX,
    }
    for own in ("cache-control", "content-language"):
        text = info.http.get(own, "")
        if _HEADER_TEXT.fullmatch(text):
            headers[own] = text
    return headers


def _failed_condition(asked: Headers, info: ObjectInfo) -> int | None:
    """Return the status that ends the request before anything is sent, None for none."""
    if "if-match" in asked:
        if not _names(asked.getlist("if-match"), info, weak=False):
            return 412
    elif "if-unmodified-since" in asked:
        since = _time(asked["if-unmodified-since"])
        if since is not None and _second(info.modified) > since:
            return 412
    if "if-none-match" in asked:
        return 304 if _names(asked.getlist("if-none-match"), info, weak=True) else None
    if "if-modified-since" in asked:
        since = _time(asked["if-modified-since"])
        if since is not None and _second(info.modified) <= since:
            return 304
    return None


def _names(headers: list[str], info: ObjectInfo, *, weak: bool) -> bool:
    """Return whether one of *headers* has the etag of *info*, or stands for any."""
    tags = [tag.strip() for header in headers for tag in header.split(",")]
    own = f'"{info.etag}"'
    return "*" in tags or own in tags or (weak and f"W/{own}" in tags)


def _if_range(header: str | None, info: ObjectInfo) -> bool:
    """Return whether a part is wanted: the client's other parts are of this very object."""
    if header is None:
        return True
    if header.strip().endswith('"'):
        return header.strip() == f'"{info.etag}"'
    then = _time(header)
    settled = utc_now() - info.modified > timedelta(seconds=1)  # else two may share it
    return then is not None and settled and _second(info.modified) == then


def _time(header: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(header)
    except (ValueError, OverflowError):
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _second(time: datetime) -> datetime:
    return time.replace(microsecond=0)
