"""The contract that a backend of buckets implements, and the names of optional capabilities.

The bucket checks keys, values and checksums before a driver gets them and after it answers; a
driver only stores. Writers, readers and borrowed files are made without any I/O, so that a caller
that is cancelled in the middle always has something to close.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from holdfast.objects.object_info import CommitSpec, CommonPrefix, ObjectInfo


class BucketCapability(StrEnum):
    """What some backends can do and others must refuse; `holdfast.objects.capabilities` has how."""

    CONDITIONAL_CREATE = "conditional create (if_absent)"
    CONDITIONAL_REPLACE = "conditional replace (if_match)"
    ANY_KEY = "every legal key"
    ACL = "a canned ACL for an object"
    BUCKET_POLICY = "a policy of the bucket"
    BUCKET_TAGS = "tags on the bucket"
    CUSTOMER_KEYS = "encryption with keys of the caller's own (SSE-C)"
    DEFAULT_ENCRYPTION = "default encryption of the bucket"
    ETAG_PER_WRITE = "an etag of its own for each write of the same bytes"
    EXACT_TIMES = "the exact time of a write in its answer"
    FULL_LISTINGS = "content type, metadata, checksum and unpacked size in listings"
    FULL_METADATA = "2048 bytes of metadata"
    HTTP_HEADERS = "cache control, content disposition and content language"
    KEY_INSIDE_KEY = "keys that continue another key behind a slash"
    LIFECYCLE = "lifecycle rules"
    OBJECT_LOCK = "object lock (retention and legal hold)"
    PRESIGN = "presigned URLs"
    PRESIGN_POST = "presigned forms (POST policies)"
    PUBLIC_ACCESS_BLOCK = "a public access block"
    RESUMABLE_UPLOADS = "uploads that go on where they broke off"
    STORAGE_CLASS = "a storage class for an object"
    STABLE_READS = "reading on in an object that was replaced or deleted"
    TAGS = "tags on objects"
    UPLOADS = "listing and aborting uploads in parts"
    VERSIONS = "versions"


class ObjectWriter(Protocol):
    """Writes one object; nothing of it is visible before `commit` returns."""

    async def write(self, chunk: bytes) -> None:
        """Append *chunk*."""
        ...

    async def commit(self, spec: CommitSpec) -> ObjectInfo:
        """Publish the bytes and *spec* in one durable step, or raise and publish nothing.

        Raises PreconditionFailedError when the condition in *spec* does not hold at that moment.
        """
        ...

    async def abort(self) -> None:
        """Leave nothing behind, unless it is committed already. Idempotent."""
        ...


class RangeReader(Protocol):
    """Reads ranges of one object, which stays the same after it was replaced or deleted."""

    async def open(self, start: int | None = None, end: int | None = None) -> ObjectInfo:
        """Pin the object as it is now. Raises ObjectNotFoundError.

        *start* and *end*, unchecked, say what will be read, for backends where that helps.
        """
        ...

    async def read(self, offset: int, size: int) -> bytes:
        """Return exactly *size* stored bytes from *offset*, both inside the object.

        Raises IntegrityError when the backend no longer has them: never bytes of another object.
        """
        ...

    async def close(self) -> None:
        """Release it. Idempotent."""
        ...


class BorrowedFile(Protocol):
    """One object as a local file, without a copy where that is possible."""

    async def open(self) -> tuple[ObjectInfo, Path]:
        """Return the object and its file, for reading only, valid until `close`.

        The file stays the same when the object is replaced or deleted. Raises ObjectNotFoundError.
        """
        ...

    async def close(self) -> None:
        """Give the file back. Idempotent."""
        ...


class BucketDriver(Protocol):
    """A backend of buckets: a name, its capabilities, and eight methods."""

    @property
    def name(self) -> str:
        """What error messages call the backend."""
        ...

    @property
    def capabilities(self) -> frozenset[BucketCapability]:
        """What it can do; the bucket refuses the rest."""
        ...

    def write(self, key: str) -> ObjectWriter:
        """Return a writer of *key*. No I/O."""
        ...

    def read(self, key: str) -> RangeReader:
        """Return a reader of *key*. No I/O."""
        ...

    async def head(self, key: str) -> ObjectInfo | None:
        """Return the description of *key*, None when there is no such object."""
        ...

    def list(
        self, prefix: str, *, after: str | None, delimiter: str | None
    ) -> AsyncIterator[ObjectInfo | CommonPrefix]:
        """Yield, in code-point order, the entries that start with *prefix* and come after *after*.

        With a *delimiter*, keys that have it behind the prefix become one CommonPrefix.
        """
        ...

    async def delete(self, key: str) -> bool:
        """Remove *key*; return whether it was there."""
        ...

    async def copy(self, source: str, target: str) -> ObjectInfo:
        """Publish *source*'s bytes and metadata as *target*. Raises ObjectNotFoundError."""
        ...

    async def sweep(self) -> int:
        """Remove what writers that died left behind; return how many files it removed."""
        ...

    async def probe(self) -> None:
        """Do the least that shows that the backend can be used. Raises what prevents it."""
        ...
