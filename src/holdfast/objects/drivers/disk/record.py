"""The record of one version of a key: the small JSON file whose rename is the commit.

Format 1 is that of a bucket that never kept versions. Format 2 adds *version*, *serial* and
*previous*; without *data* it marks a deletion.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 - msgspec asks
from typing import TYPE_CHECKING

import msgspec

from holdfast.errors import IntegrityError
from holdfast.objects.driver import ObjectInfo, draft_of
from holdfast.objects.drivers.disk.layout import is_data_path, is_version
from holdfast.objects.history import NULL

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
    version: str | None = None
    serial: int = 0
    previous: str | None = None


_PLAIN, _VERSIONED = _FORMATS = (1, 2)
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(_Written)


@dataclass(frozen=True, slots=True)
class Record:
    """What an object is, and in which file under the root its bytes lie.

    *serial* grows from each version of the key to the next; *previous* is the one over which this
    was written. The info has no version where the bucket had never kept any.
    """

    info: ObjectInfo
    data: str
    tags: Mapping[str, str]
    serial: int = 0
    previous: str | None = None

    @property
    def key(self) -> str:
        return self.info.key

    @property
    def version(self) -> str:
        """What this version is called."""
        return self.info.version or NULL

    @property
    def modified(self) -> datetime:
        return self.info.modified


@dataclass(frozen=True, slots=True)
class Marker:
    """The deletion of a key, which stands in the place of an object."""

    key: str
    version: str
    serial: int
    previous: str | None
    modified: datetime


Entry = Record | Marker


def read(path: str) -> Entry | None:
    """Return the record that lies at *path*, None when there is none. Raises IntegrityError."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - half the time of a Path
            content = file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return decode(content, path)


def encode(entry: Entry) -> bytes:
    """Return *entry* as JSON."""
    if isinstance(entry, Marker):
        return _json(_marking(entry))
    record, info, draft = entry, entry.info, draft_of(entry.info)
    written = _Written(
        format=_PLAIN if info.version is None else _VERSIONED,
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
        version=info.version,
        serial=record.serial,
        previous=record.previous,
    )
    return _json(written)


def decode(content: bytes, path: str) -> Entry:
    """Return the record in *content*, which lies at *path*. Raises IntegrityError."""
    try:
        written = _decoder.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise IntegrityError(f"{path}: no record of an object: {error}") from None
    if written.format not in _FORMATS:
        raise IntegrityError(f"{path}: format {written.format}, this version reads 1 and 2")
    version = written.version
    for name in (version, written.previous):
        if name is not None and not is_version(name):
            raise IntegrityError(f"{path}: {name!r} is no version")
    if version is not None and not written.data:
        return Marker(written.key, version, written.serial, written.previous, written.modified)
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
        version=version,
        encoding=written.encoding,
        stored=written.stored,
    )
    return Record(info, written.data, written.tags, written.serial, written.previous)


def _marking(marker: Marker) -> _Written:
    return _Written(
        format=_VERSIONED,
        key=marker.key,
        data="",
        size=0,
        content_type="",
        metadata={},
        etag="",
        modified=marker.modified,
        sha256="",
        version=marker.version,
        serial=marker.serial,
        previous=marker.previous,
    )


def _json(written: _Written) -> bytes:
    return msgspec.json.format(_encoder.encode(written), indent=1)
