"""What a page shows of an object: a picture, a player, the head of a text, what is in a file."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import orjson

from holdfast.console.buckets.file_contents import FileContents, can_be_looked_into, contents_of
from holdfast.console.template_filters import indented

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.objects import Bucket, ObjectInfo

_HEAD = 64 * 1024  # bytes of a text that are looked at
_ROWS = 50
_PICTURES = re.compile(r"image/(png|jpeg|gif|webp|avif|bmp)")
_TEXTS = re.compile(r"text/(?!html).*|application/(json|jsonl|x-ndjson|yaml|toml|xml|sql).*")
_TABLES = {"text/csv": ",", "text/tab-separated-values": "\t"}


@dataclass(frozen=True, slots=True)
class Preview:
    """How an object is shown. *kind* `none`: it is not; *cut*: there is more of it."""

    kind: Literal["picture", "video", "audio", "text", "table", "contents", "none"]
    text: str = ""
    contents: FileContents | None = None
    rows: Sequence[Sequence[str]] = ()
    cut: bool = False


async def preview_of(bucket: Bucket, info: ObjectInfo) -> Preview:
    """Return how *info* is shown. What the browser can't be trusted with is shown as text."""
    if can_be_looked_into(info):
        contents = await contents_of(bucket, info)
        return Preview("none") if contents is None else Preview("contents", contents=contents)
    kind = (info.content_type or "").partition(";")[0].strip().lower()
    if _PICTURES.fullmatch(kind):
        return Preview("picture")
    if kind.startswith("video/"):
        return Preview("video")
    if kind.startswith("audio/"):
        return Preview("audio")
    if not _TEXTS.fullmatch(kind) and kind not in ("text/html", "image/svg+xml"):
        return Preview("none")
    head = await bucket.get(info.key, start=0, end=min(info.size, _HEAD))
    cut = info.size > len(head)
    text = head.decode(errors="ignore" if cut else "replace")
    if kind in _TABLES:
        return _table(text, kind, cut=cut)
    if kind == "application/json" and not cut:
        text = _parsed_and_indented(text)
    return Preview("text", text=text, cut=cut)


def _table(text: str, kind: str, *, cut: bool) -> Preview:
    rows: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=_TABLES[kind]):
            if len(rows) > _ROWS:
                break
            rows.append(row)
    except csv.Error:
        return Preview("text", text=text, cut=cut)
    return Preview("table", rows=rows[: _ROWS + 1], cut=cut or len(rows) > _ROWS)


def _parsed_and_indented(text: str) -> str:
    try:
        return indented(orjson.loads(text))
    except orjson.JSONDecodeError:
        return text
