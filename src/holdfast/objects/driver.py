"""The contract that a backend of buckets implements, and the values that cross it.

The bucket checks keys, values and checksums before a driver sees them and after it answers; a
driver only stores. Writings, readings and lendings are made without any I/O, so that a caller who
is cancelled in the middle always holds something to close.
"""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - whoever caches ObjectInfo reads its types
from dataclasses import dataclass, field
from datetime import datetime  # noqa: TC003 - the same
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from holdfast.errors import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


class Capability(StrEnum):
    """What some backends can and others must refuse."""

    CONDITIONAL_CREATE = "conditional create (if_absent)"
    CONDITIONAL_REPLACE = "conditional replace (if_match)"
    ANY_KEY = "every legal key"
    BUCKET_POLICY = "a policy of the bucket"
    BUCKET_TAGS = "tags on the bucket"
    DEFAULT_ENCRYPTION = "default encryption of the bucket"
    ETAG_PER_WRITE = "an etag of its own for each write of the same bytes"
    EXACT_TIMES = "the exact time of a write in its answer"
    FULL_LISTINGS = "content type, metadata, checksum and unpacked size in listings"
    FULL_METADATA = "2048 bytes of metadata"
    KEY_INSIDE_KEY = "keys that continue another key behind a slash"
    LIFECYCLE = "lifecycle rules"
    OBJECT_LOCK = "object lock (retention and legal hold)"
    PRESIGN = "presigned URLs"
    PRESIGN_POST = "presigned forms (POST policies)"
    PUBLIC_ACCESS_BLOCK = "a public access block"
    RESUMABLE_UPLOADS = "uploads that go on where they broke off"
    STABLE_READS = "reading on in an object that was replaced or deleted"
    TAGS = "tags on objects"
    UPLOADS = "listing and aborting uploads in parts"
    VERSIONS = "versions"


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What is known of one stored object.

    *size* is in bytes, *modified* an aware UTC time, *sha256* the content's digest in lower-case
    hexadecimal. *etag* is opaque and new with every write of other bytes; with ETAG_PER_WRITE
    also of the same. *version* names this version where the bucket keeps versions.

    Where Holdfast compressed the object, *encoding* says how and *stored* how many bytes that
    made; size and checksum are those of the content, etag that of what is stored.

    None stands for what the backend doesn't know: the checksum of an object that another program
    stored and, without FULL_LISTINGS, content type, metadata and checksum in a listing, where the
    size is then that of what is stored. The version is never in a listing.
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

    @property
    def stored_size(self) -> int:
        """The bytes as they are stored: as many as the content's, unless it is compressed."""
        return self.size if self.stored is None else self.stored


@dataclass(frozen=True, slots=True)
class CommonPrefix:
    """Stands in a listing for every key that starts with *prefix*, which ends in the delimiter."""

    prefix: str


@dataclass(frozen=True, slots=True)
class Draft:
    """What is to be published together with the bytes, and under which condition.

    With *if_absent* no object may be there; with *if_match* one of exactly that etag must be.
    *size* and *sha256* are of the content; with an *encoding*, what was written is that content
    compressed, in *stored* bytes. With *notes*, what is sent before it breaks off stays with the
    service, and that file says which upload it is.
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
    notes: Path | None = None


def draft_of(info: ObjectInfo) -> Draft:
    """Return what publishes the fully described object *info* once more, unconditionally."""
    assert info.sha256 is not None
    assert info.content_type is not None
    assert info.metadata is not None
    return Draft(
        info.size,
        info.sha256,
        info.content_type,
        info.metadata,
        encoding=info.encoding,
        stored=info.stored,
    )


def info_of(
    key: str, draft: Draft, *, etag: str, modified: datetime, version: str | None = None
) -> ObjectInfo:
    """Return what *draft* says of the object that it became."""
    return ObjectInfo(
        key=key,
        size=draft.size,
        content_type=draft.content_type,
        metadata=dict(draft.metadata),
        etag=etag,
        modified=modified,
        sha256=draft.sha256,
        version=version,
        encoding=draft.encoding,
        stored=draft.stored,
    )


class Writing(Protocol):
    """One object on its way in; nothing of it is visible before `commit` returns."""

    async def write(self, chunk: bytes) -> None:
        """Append *chunk*."""
        ...

    async def commit(self, draft: Draft) -> ObjectInfo:
        """Publish bytes and draft in one durable step, or raise and publish nothing.

        Raises PreconditionFailedError when the draft's condition does not hold at that moment.
        """
        ...

    async def abort(self) -> None:
        """Leave nothing behind, unless it is committed already. Idempotent."""
        ...


class Reading(Protocol):
    """One object held still: it reads the same after it was replaced or deleted."""

    async def open(self, start: int | None = None, end: int | None = None) -> ObjectInfo:
        """Pin the object as it stands now. Raises ObjectNotFoundError.

        *start* and *end*, unchecked, say what will be read, for backends where that helps.
        """
        ...

    async def read(self, offset: int, size: int) -> bytes:
        """Return exactly *size* bytes as they are stored, from *offset*, both inside the object.

        Raises IntegrityError when the backend no longer has them: never bytes of another object.
        """
        ...

    async def close(self) -> None:
        """Let go. Idempotent."""
        ...


class Lending(Protocol):
    """One object held still as a local file, without a copy where that is possible."""

    async def open(self) -> tuple[ObjectInfo, Path]:
        """Return the object and its file, for reading only, good until `close`.

        Raises ObjectNotFoundError.
        """
        ...

    async def close(self) -> None:
        """Take the file back. Idempotent."""
        ...


class Driver(Protocol):
    """A backend of buckets."""

    @property
    def name(self) -> str:
        """What the backend is called in errors."""
        ...

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What it can; the bucket refuses the rest."""
        ...

    def write(self, key: str) -> Writing:
        """Return a writing that will become *key*. No I/O."""
        ...

    def read(self, key: str) -> Reading:
        """Return a reading of *key*. No I/O."""
        ...

    async def head(self, key: str) -> ObjectInfo | None:
        """Return what stands under *key*, None when nothing does."""
        ...

    def list(
        self, prefix: str, *, after: str | None, delimiter: str | None
    ) -> AsyncIterator[ObjectInfo | CommonPrefix]:
        """Yield, in code-point order, the entries that start with *prefix* and come after *after*.

        With a *delimiter*, keys that hold it behind the prefix are gathered into one CommonPrefix.
        """
        ...

    async def delete(self, key: str) -> bool:
        """Remove *key*; return whether it was there."""
        ...

    async def copy(self, source: str, target: str) -> ObjectInfo:
        """Publish *source*'s bytes and metadata as *target*. Raises ObjectNotFoundError."""
        ...

    async def sweep(self) -> int:
        """Remove what dead writers left behind; return how many files it removed."""
        ...


def need(driver: Driver, capability: Capability) -> None:
    """Raise UnsupportedError, which names *capability*, where *driver* lacks it."""
    if capability not in driver.capabilities:
        raise UnsupportedError(capability, driver.name)
