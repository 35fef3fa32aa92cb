"""Records: the small JSON files of a bucket on disk, one for each version of a key.

Renaming a record to its place is the commit.

Format 1 is that of a bucket that never kept versions. Format 2 adds *version*, *serial* and
*previous*; without *data* it marks a deletion. ``versioning.json``, which every writer reads, says
whether the bucket keeps versions.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 - msgspec asks
from typing import TYPE_CHECKING

import msgspec

from holdfast.errors import IntegrityError
from holdfast.objects.drivers.disk.paths import is_data_path, is_version
from holdfast.objects.object_info import NULL_VERSION, ObjectInfo, spec_of

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


_VERSIONING_FORMAT = 1  # of versioning.json
_UNVERSIONED, _VERSIONED = _FORMATS = (1, 2)
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(_Written)


@dataclass(frozen=True, slots=True)
class Record:
    """One version of an object: its description, and in which file under the root its bytes are.

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
        """The key that it is a version of."""
        return self.info.key

    @property
    def version(self) -> str:
        """The name of this version."""
        return self.info.version or NULL_VERSION

    @property
    def modified(self) -> datetime:
        """The aware time of the write."""
        return self.info.modified


@dataclass(frozen=True, slots=True)
class DeleteMarker:
    """The version that hides the older ones of a deleted key."""

    key: str
    version: str
    serial: int
    previous: str | None
    modified: datetime


RecordEntry = Record | DeleteMarker


def read(path: str) -> RecordEntry | None:
    """Return the record that lies at *path*, None when there is none. Raises IntegrityError."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - half the time of a Path
            content = file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return decode(content, path)


def encode(entry: RecordEntry) -> bytes:
    """Return *entry* as JSON."""
    if isinstance(entry, DeleteMarker):
        return _json(_marking(entry))
    record, info, spec = entry, entry.info, spec_of(entry.info)
    written = _Written(
        format=_UNVERSIONED if info.version is None else _VERSIONED,
        key=info.key,
        data=record.data,
        size=info.size,
        content_type=spec.content_type,
        metadata=dict(spec.metadata),
        etag=info.etag,
        modified=info.modified,
        sha256=spec.sha256,
        encoding=spec.encoding,
        stored=spec.stored,
        tags=dict(record.tags),
        version=info.version,
        serial=record.serial,
        previous=record.previous,
    )
    return _json(written)


def decode(content: bytes, path: str) -> RecordEntry:
    """Return the record in *content*, which lies at *path*. Raises IntegrityError."""
    try:
        written = _decoder.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise IntegrityError(f"{path}: not the record of an object: {error}") from None
    if written.format not in _FORMATS:
        raise IntegrityError(f"{path}: format {written.format}, this version reads 1 and 2")
    version = written.version
    for name in (version, written.previous):
        if name is not None and not is_version(name):
            raise IntegrityError(f"{path}: {name!r} is not a version")
    if version is not None and not written.data:
        return DeleteMarker(
            written.key, version, written.serial, written.previous, written.modified
        )
    if not is_data_path(written.data):
        raise IntegrityError(f"{path}: {written.data!r} is not a data file under the root")
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


def _marking(marker: DeleteMarker) -> _Written:
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


class _VersioningFormat(msgspec.Struct):
    format: int


class _Versioning(_VersioningFormat, forbid_unknown_fields=True):
    enabled: bool


def read_versioning(path: str) -> bool | None:
    """Return whether versions are kept, None when that was never set. Raises IntegrityError."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - every write comes by here
            content = file.read()
    except FileNotFoundError:
        return None
    try:
        form = msgspec.json.decode(content, type=_VersioningFormat).format
        if form != _VERSIONING_FORMAT:
            raise IntegrityError(f"{path}: format {form}, this version reads {_VERSIONING_FORMAT}")
        return msgspec.json.decode(content, type=_Versioning).enabled
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise IntegrityError(f"{path}: not a versioning file: {error}") from None


def encode_versioning(*, enabled: bool) -> bytes:
    """Return the content of the file."""
    return msgspec.json.encode(_Versioning(_VERSIONING_FORMAT, enabled))
