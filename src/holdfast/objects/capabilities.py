"""Protocols of what some drivers can do beyond the contract, one for each capability.

A driver that implements a protocol lists its BucketCapability; the bucket asks for that, and
refuses by its name. The protocols without a capability are faster ways to do what every driver
can: BulkDeleter, BulkEraser, BatchInspector, ParallelReader, DeferredWriter, FileLender.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
    from pathlib import Path

    from holdfast.objects.bucket_settings import ObjectLock, Retention, S, Setting
    from holdfast.objects.driver import BorrowedFile, BucketDriver, RangeReader
    from holdfast.objects.object_info import ObjectInfo, ObjectVersion, Upload, UploadPart
    from holdfast.objects.presign import (
        PresignedPost,
        PresignedURL,
        PresignOptions,
        PresignPostOptions,
    )


@runtime_checkable
class FileLender(Protocol):
    """A driver whose objects are local files."""

    def lend(self, key: str) -> BorrowedFile:
        """Return *key* as a borrowed file. No I/O."""
        ...


@runtime_checkable
class ParallelReader(Protocol):
    """A range reader that is faster in several pieces at once."""

    async def read_all(
        self,
        sink: Callable[[int, bytes], Awaitable[None]],
        missing: Callable[[int, int], bool] | None = None,
    ) -> None:
        """Give every byte to *sink*, with its offset, in any order and from several tasks.

        The bytes come in windows that start at multiples of 256 KiB. Pieces that are not
        *missing*, by start and end, may be left out.
        Raises IntegrityError rather than bytes of two objects.
        """
        ...


@runtime_checkable
class DeferredWriter(Protocol):
    """A writer that sends in its commit what it was given before."""

    async def take_file(self, path: Path) -> tuple[int, str]:
        """Take the local file *path* as what to send; return its size and its SHA-256.

        The commit reads it again, and raises IntegrityError when it changed meanwhile.
        Raises StorageError when it can't be read.
        """
        ...

    def report_to(self, advance: Callable[[int], None]) -> None:
        """Have the commit call *advance* with the bytes of each piece, once, before it is sent.

        What *advance* raises ends the commit, with nothing stored.
        """
        ...


@runtime_checkable
class UploadStore(Protocol):
    """UPLOADS: keeps the parts of uploads that are not complete, whichever program began them."""

    def uploads(self, prefix: str) -> AsyncIterator[Upload]:
        """Yield the incomplete uploads whose key starts with *prefix*."""
        ...

    async def abort_upload(self, upload: Upload) -> None:
        """Remove *upload* and its parts, unless it is gone."""
        ...

    async def begin_upload(
        self, key: str, content_type: str, metadata: Mapping[str, str]
    ) -> Upload:
        """Return a new upload in parts of *key*."""
        ...

    async def parts(self, upload: Upload) -> Sequence[UploadPart]:
        """Return the parts of *upload* that are there, by number. Raises ObjectNotFoundError."""
        ...

    async def complete_upload(self, upload: Upload, etags: Sequence[str]) -> ObjectInfo:
        """Make the object of the parts from 1 on, which have these *etags*, in one step."""
        ...


@runtime_checkable
class Presigner(Protocol):
    """PRESIGN: a server answers URLs that carry their permission."""

    async def presign(self, key: str, options: PresignOptions) -> PresignedURL:
        """Return a URL for *key*. No I/O except for credentials."""
        ...


@runtime_checkable
class PostPresigner(Protocol):
    """PRESIGN_POST: a server takes files from forms."""

    async def presign_post(self, key: str, options: PresignPostOptions) -> PresignedPost:
        """Return a form for *key*. No I/O except for credentials."""
        ...


CUSTOMER_KEY = 32  # bytes of a key of the caller's own


@runtime_checkable
class KeyHolder(Protocol):
    """CUSTOMER_KEYS: encrypts with keys that it does not keep."""

    def encrypted_with(self, key: bytes) -> BucketDriver:
        """Return the same driver, with *key* for what is written and read. No I/O."""
        ...


@runtime_checkable
class BulkDeleter(Protocol):
    """Removes many objects at less than the cost of one each."""

    async def delete_many(self, keys: Sequence[str]) -> int:
        """Remove each of *keys*; return how many were there. Not atomic."""
        ...


@runtime_checkable
class Tagger(Protocol):
    """TAGS: keeps tags beside its objects."""

    async def tags(self, key: str) -> dict[str, str]:
        """Return the tags of *key*. Raises ObjectNotFoundError."""
        ...

    async def set_tags(self, key: str, tags: Mapping[str, str]) -> None:
        """Replace the tags of *key*. Raises ObjectNotFoundError."""
        ...


@runtime_checkable
class VersionStore(Protocol):
    """VERSIONS: can keep what is replaced and deleted."""

    def versions(self, prefix: str) -> AsyncIterator[ObjectVersion]:
        """Yield every version and delete marker of keys that start with *prefix*.

        Keys come in code-point order, the versions of one key from the newest to the oldest.
        """
        ...

    def read_version(self, key: str, version: str) -> RangeReader:
        """Return a reader of one version. No I/O."""
        ...

    async def head_version(self, key: str, version: str) -> ObjectInfo | None:
        """Return the description of that version; None for a delete marker and for no version."""
        ...

    async def delete_version(self, key: str, version: str) -> bool:
        """Remove one version or delete marker permanently; return whether it was there.

        Raises ObjectLockedError when a lock holds it.
        """
        ...

    async def restore(self, key: str, version: str) -> ObjectInfo:
        """Publish that version again, as the newest. Raises ObjectNotFoundError."""
        ...


@runtime_checkable
class BulkEraser(Protocol):
    """Removes many versions at less than the cost of one each."""

    async def erase(self, versions: Sequence[ObjectVersion]) -> Sequence[ObjectVersion]:
        """Remove each of *versions* permanently; return those that a lock holds. Not atomic."""
        ...


@runtime_checkable
class BatchInspector(Protocol):
    """Looks at many objects at once."""

    async def describe(self, keys: Sequence[str]) -> Sequence[ObjectInfo | None]:
        """Return the description of each of *keys*, by position, None where no object is."""
        ...

    async def tagged(self, keys: Sequence[str]) -> Sequence[dict[str, str]]:
        """Return the tags of each of *keys*, by position; none where no object is."""
        ...


@runtime_checkable
class RetryCounter(Protocol):
    """Sends requests again after a failure, and counts that."""

    @property
    def retries(self) -> int:
        """How many requests were sent again since the bucket was opened."""
        ...


@runtime_checkable
class Configurable(Protocol):
    """A driver whose bucket has settings; each kind of setting has its own capability."""

    async def setting(self, kind: type[S]) -> S | None:
        """Return the setting of that *kind*, None when it was never made."""
        ...

    async def configure(self, setting: Setting) -> None:
        """Replace the setting of this kind."""
        ...

    async def unset(self, kind: type[Setting]) -> None:
        """Remove the setting of that *kind*; nothing happens when there is none.

        The bucket refuses it for Versioning, which can only be switched off.
        """
        ...


@runtime_checkable
class ObjectLocker(Protocol):
    """OBJECT_LOCK: can keep versions from being removed."""

    async def lock_of(self, key: str, version: str | None) -> ObjectLock:
        """Return the lock of that version, of the newest when None. Raises ObjectNotFoundError."""
        ...

    async def retain(self, key: str, version: str | None, retention: Retention) -> None:
        """Keep that version until a time. Raises ObjectNotFoundError, ObjectLockedError."""
        ...

    async def hold(self, key: str, version: str | None, *, held: bool) -> None:
        """Set or lift the legal hold of that version. Raises ObjectNotFoundError."""
        ...
