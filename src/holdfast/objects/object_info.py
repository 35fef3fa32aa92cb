"""The values that a bucket and its driver pass to each other: objects, versions, uploads, parts."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - caches of ObjectInfo read its types
from dataclasses import dataclass, field
from datetime import datetime  # noqa: TC003 - the same
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

NULL_VERSION = "null"  # the version of what is written while the bucket keeps no versions


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What is known of one stored object.

    *size* is in bytes, *modified* an aware UTC time, *sha256* the content's digest in lower-case
    hexadecimal. *etag* is opaque and changes with every write of other bytes; with ETAG_PER_WRITE
    also with a write of the same bytes. *version* names this version where the bucket keeps
    versions.

    Where Holdfast compressed the object, *encoding* says how, and *stored* is the number of
    compressed bytes; size and checksum are those of the content, the etag that of what is stored.
    *http* has what else a browser is told, of ``cache-control``, ``content-disposition`` and
    ``content-language``.

    None means that the backend doesn't know: the checksum of an object that another program
    stored and, without FULL_LISTINGS, content type, metadata and checksum in a listing, where the
    size is then that of the stored bytes. A listing never has the version.
    """

    key: str
    size: int
    content_type: str | None
    metadata: Mapping[str, str] | None
    etag: str
    modified: datetime
    sha256: str | None
    version: str | None = None
    encoding: str | None = None
    stored: int | None = None
    http: Mapping[str, str] = field(default_factory=dict)

    @property
    def stored_size(self) -> int:
        """The number of stored bytes: the content's, unless it is compressed."""
        return self.size if self.stored is None else self.stored


@dataclass(frozen=True, slots=True)
class CommonPrefix:
    """Stands in a listing for all keys that start with *prefix*, which ends in the delimiter."""

    prefix: str


@dataclass(frozen=True, slots=True)
class CommitSpec:
    """What a writer commits together with the bytes, and under which condition.

    With *if_absent* the key must have no object; with *if_match* it must have one of exactly that
    etag. *size* and *sha256* are of the content; with an *encoding*, what was written is that
    content compressed, in *stored* bytes. With a *resume_file*, an upload that breaks off leaves
    its parts with the service, and that local file says which upload it was. *http* are headers
    of the object; *storage_class* and *acl* are for backends that know them.
    """

    size: int
    sha256: str
    content_type: str
    metadata: Mapping[str, str]
    if_absent: bool = False
    if_match: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    encoding: str | None = None
    stored: int | None = None
    resume_file: Path | None = None
    http: Mapping[str, str] = field(default_factory=dict)
    storage_class: str | None = None
    acl: str | None = None


@dataclass(frozen=True, slots=True)
class ObjectVersion:
    """One version of a key, or a delete marker.

    *version* is opaque; ``null`` is what was written while no versions were kept. *latest* is true
    for what is under the key now. A *marker* has no bytes: while it is the latest, the key has no
    object. *size* is in stored bytes, *modified* an aware UTC time.
    """

    key: str
    version: str
    latest: bool
    marker: bool
    size: int
    etag: str
    modified: datetime


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload in parts that is neither complete nor aborted. *began* is an aware UTC time."""

    key: str
    id: str
    began: datetime


@dataclass(frozen=True, slots=True)
class UploadPart:
    """A part of an upload that the service has: its *number*, from 1 on, and *size* in bytes."""

    number: int
    size: int
    etag: str


def spec_of(info: ObjectInfo) -> CommitSpec:
    """Return what commits the fully described object *info* again, without a condition."""
    assert info.sha256 is not None
    assert info.content_type is not None
    assert info.metadata is not None
    return CommitSpec(
        info.size,
        info.sha256,
        info.content_type,
        info.metadata,
        encoding=info.encoding,
        stored=info.stored,
        http=info.http,
    )


def info_of(
    key: str, spec: CommitSpec, *, etag: str, modified: datetime, version: str | None = None
) -> ObjectInfo:
    """Return the description of the object that *spec* became."""
    return ObjectInfo(
        key=key,
        size=spec.size,
        content_type=spec.content_type,
        metadata=dict(spec.metadata),
        etag=etag,
        modified=modified,
        sha256=spec.sha256,
        version=version,
        encoding=spec.encoding,
        stored=spec.stored,
        http=dict(spec.http),
    )
