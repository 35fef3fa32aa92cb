"""The record of one object: the small JSON file whose rename is the commit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 - msgspec asks
from typing import TYPE_CHECKING

import msgspec

from holdfast.errors import IntegrityError
from holdfast.objects.driver import ObjectInfo, draft_of
from holdfast.objects.drivers.disk.layout import is_data_path

if TYPE_CHECKING:
    from collections.abc import Mapping


class _Written(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    format: int
    key: str
    data: str
    size: int
    content_type: str
    metadata: dict[str, str]
    etag: str
    modified: datetime
    sha256: str
    encoding: str | None = None
    stored: int | None = None
    tags: dict[str, str] = msgspec.field(default_factory=dict)


_FORMAT = 1
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(_Written)


@dataclass(frozen=True, slots=True)
class Record:
    """What an object is, and in which file under the root its bytes lie."""

    info: ObjectInfo
    data: str
    tags: Mapping[str, str]


def encode(record: Record) -> bytes:
    """Return *record* as JSON."""
    info, draft = record.info, draft_of(record.info)
    written = _Written(
        format=_FORMAT,
        key=info.key,
        data=record.data,
        size=info.size,
        content_type=draft.content_type,
        metadata=dict(draft.metadata),
        etag=info.etag,
        modified=info.modified,
        sha256=draft.sha256,
        encoding=draft.encoding,
        stored=draft.stored,
        tags=dict(record.tags),
    )
    return msgspec.json.format(_encoder.encode(written), indent=1)


def decode(content: bytes, path: str) -> Record:
    """Return the record in *content*, which lies at *path*. Raises IntegrityError."""
    try:
        written = _decoder.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise IntegrityError(f"{path}: no record of an object: {error}") from None
    if written.format != _FORMAT:
        raise IntegrityError(f"{path}: format {written.format}, this version reads {_FORMAT}")
    if not is_data_path(written.data):
        raise IntegrityError(f"{path}: {written.data!r} is no data file under the root")
    info = ObjectInfo(
        key=written.key,
        size=written.size,
        content_type=written.content_type,
        metadata=written.metadata,
        etag=written.etag,
        modified=written.modified,
        sha256=written.sha256,
        encoding=written.encoding,
        stored=written.stored,
    )
    return Record(info, written.data, written.tags)
