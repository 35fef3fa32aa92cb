"""Records: the small JSON files of a bucket on disk, one for each version of a key.

Renaming a record to its place is the commit.

Format 1 is that of a bucket that never kept versions. Format 2 adds *version*, *serial* and
*previous*; without *data* it marks a deletion. ``versioning.json``, which every writer reads, says
whether the bucket keeps versions.
"""

from __future__ import annotations

import errno
import os
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
    http: dict[str, str] = msgspec.field(default_factory=dict)
    version: str | None = None
    serial: int = 0
    previous: str | None = None


_VERSIONING_FORMAT = 1  # of versioning.json
_UNVERSIONED, _VERSIONED = _FORMATS = (1, 2)
_NO_FILE = {errno.ELOOP, errno.EAGAIN, errno.ENXIO}  # a link, a pipe
_PIECE = 64 * 1024
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(_Written)


class BrokenRecordError(IntegrityError):
    """What lies where a record should is not one: it says nothing of any object."""


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


def data_of(entry: RecordEntry) -> str | None:
    """Return the data file of *entry*; a delete marker has none."""
    return entry.data if isinstance(entry, Record) else None


def never_kept(entry: RecordEntry) -> bool:
    """Return whether *entry* was written in a bucket that had never kept versions."""
    return isinstance(entry, Record) and entry.info.version is None


def read(path: str) -> RecordEntry | None:
    """Return the record at *path*, None when there is none. Raises BrokenRecordError."""
    content = _content(path)
    return None if content is None else decode(content, path)


def _content(path: str) -> bytes | None:
    """Return what is in the file *path*, None when there is none; links are not followed."""
    try:
        # O_NONBLOCK: a pipe that somebody put there must not hang who opens it.
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            content = os.read(handle, _PIECE)
            while more := os.read(handle, _PIECE):
                content += more
        finally:
            os.close(handle)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno not in _NO_FILE:
            raise
        raise BrokenRecordError(f"{path}: expected a regular file") from error
    return content


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
        http=dict(info.http),
        version=info.version,
        serial=record.serial,
        previous=record.previous,
    )
    return _json(written)


def decode(content: bytes, path: str) -> RecordEntry:
    """Return the record in *content*, which lies at *path*. Raises BrokenRecordError."""
    try:
        written = _decoder.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BrokenRecordError(f"{path}: not the record of an object: {error}") from None
    if written.format not in _FORMATS:
        raise IntegrityError(f"{path}: format {written.format}, this version reads 1 and 2")
    version = written.version
    for name in (version, written.previous):
        if name is not None and not is_version(name):
            raise BrokenRecordError(f"{path}: {name!r} is not a version")
    if version is not None and not written.data:
        return DeleteMarker(
            written.key, version, written.serial, written.previous, written.modified
        )
    if not is_data_path(written.data):
        raise BrokenRecordError(f"{path}: {written.data!r} is not a data file under the root")
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
        http=written.http,
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
    content = _content(path)
    if content is None:
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
