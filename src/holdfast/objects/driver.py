"""The contract that a backend of buckets implements, and the values that cross it.

The bucket checks keys, values and checksums before a driver sees them and after it answers; a
driver only stores. Writings, readings and lendings are made without any I/O, so that a caller who
is cancelled in the middle always holds something to close.
"""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - whoever caches ObjectInfo reads its types
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from holdfast.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from pathlib import Path


class Capability(StrEnum):
    """What some backends can and others must refuse."""

    CONDITIONAL_CREATE = "conditional create (if_absent)"
    CONDITIONAL_REPLACE = "conditional replace (if_match)"
    ANY_KEY = "every legal key"
    ETAG_PER_WRITE = "an etag of its own for each write of the same bytes"
    EXACT_TIMES = "the exact time of a write in its answer"
    FULL_LISTINGS = "content type, metadata and checksum in listings"
    FULL_METADATA = "2048 bytes of metadata"
    KEY_INSIDE_KEY = "keys that continue another key behind a slash"
    PRESIGN = "presigned URLs"
    STABLE_READS = "reading on in an object that was replaced or deleted"


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What is known of one stored object.

    *size* is in bytes, *modified* an aware UTC time, *sha256* the content's digest in lower-case
    hexadecimal. *etag* is opaque and new with every write of other bytes; with ETAG_PER_WRITE
    also of the same. None stands for what the backend doesn't know: the checksum of an object
    that another program stored and, without FULL_LISTINGS, three fields in a listing.
    """

    key: str
    size: int
    content_type: str | None
    metadata: Mapping[str, str] | None
    etag: str
    modified: datetime
    sha256: str | None


@dataclass(frozen=True, slots=True)
class CommonPrefix:
    """Stands in a listing for every key that starts with *prefix*, which ends in the delimiter."""

    prefix: str


@dataclass(frozen=True, slots=True)
class Draft:
    """What is to be published together with the bytes, and under which condition.

    With *if_absent* no object may be there; with *if_match* one of exactly that etag must be.
    """

    size: int
    sha256: str
    content_type: str
    metadata: Mapping[str, str]
    if_absent: bool = False
    if_match: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a presigned URL lets its holder do.

    *expires*: for how long, a second to 7 days. *content_type*: of a GET's answer, or what a PUT
    has to send. *filename*: under which name a browser saves what it GETs.
    """

    method: Literal["GET", "PUT"] = "GET"
    expires: timedelta = timedelta(hours=1)
    content_type: str | None = None
    filename: str | None = None

    def __post_init__(self) -> None:
        if self.method not in ("GET", "PUT"):
            raise InvalidValueError("grant", "method", f"expected GET or PUT, got {self.method!r}")
        if not timedelta(seconds=1) <= self.expires <= timedelta(days=7):
            raise InvalidValueError(
                "grant", "expires", f"expected a second to 7 days, got {self.expires}"
            )
        if self.filename is not None and (self.method != "GET" or not self.filename.isprintable()):
            raise InvalidValueError("grant", "filename", "expected printable text, with GET alone")


@dataclass(frozen=True, slots=True)
class Presigned:
    """A URL that carries a grant. *headers* have to be sent along; *expires* is aware."""

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str]
    expires: datetime


def draft_of(info: ObjectInfo) -> Draft:
    """Return what publishes the fully described object *info* once more, unconditionally."""
    assert info.sha256 is not None
    assert info.content_type is not None
    assert info.metadata is not None
    return Draft(info.size, info.sha256, info.content_type, info.metadata)


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
        """Return exactly *size* bytes from *offset*, both inside the object.

        Raises IntegrityError when the backend no longer has them: never bytes of another object.
        """
        ...

    async def close(self) -> None:
        """Let go. Idempotent."""
        ...


class Lending(Protocol):
    """One object held still as a local file, without a copy where that is possible."""

    async def open(self) -> Path:
        """Return the file, for reading only, good until `close`. Raises ObjectNotFoundError."""
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


@runtime_checkable
class Lender(Protocol):
    """A backend that has its objects as local files."""

    def lend(self, key: str) -> Lending:
        """Return a lending of *key*. No I/O."""
        ...


@runtime_checkable
class ParallelReading(Protocol):
    """A reading that is faster in several pieces at once."""

    async def read_all(self, sink: Callable[[int, bytes], Awaitable[None]]) -> None:
        """Hand every byte to *sink* once, with its offset, in any order and from several tasks.

        Raises IntegrityError rather than bytes of two objects.
        """
        ...


@runtime_checkable
class IncompleteSweeper(Protocol):
    """A backend where only its age tells a dead writer's upload from a living one's."""

    async def sweep_incomplete(self, older_than: timedelta) -> int:
        """Abort uploads that began longer ago than *older_than*; return how many."""
        ...


@runtime_checkable
class Presigner(Protocol):
    """A backend whose server answers URLs that carry their permission."""

    async def presign(self, key: str, grant: Grant) -> Presigned:
        """Return a URL for *key*. No I/O but for credentials."""
        ...


@runtime_checkable
class BulkDeleter(Protocol):
    """A backend that removes many objects at less than the price of one each."""

    async def delete_many(self, keys: Sequence[str]) -> int:
        """Remove each of *keys*; return how many were there. Not atomic."""
        ...
