"""What some backends can beyond the contract: each ability is a small protocol of its own.

A driver that has one lists its capability too; the bucket refuses by that name where it is missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
    from pathlib import Path

    from holdfast.objects.driver import Lending, ObjectInfo, Reading
    from holdfast.objects.grants import Grant, PostGrant, Presigned, PresignedPost
    from holdfast.objects.history import ObjectVersion, Upload
    from holdfast.objects.settings import ObjectLock, Retention, S, Setting


@runtime_checkable
class Lender(Protocol):
    """A backend that has its objects as local files."""

    def lend(self, key: str) -> Lending:
        """Return a lending of *key*. No I/O."""
        ...


@runtime_checkable
class ParallelReading(Protocol):
    """A reading that is faster in several pieces at once."""

    async def read_all(
        self,
        sink: Callable[[int, bytes], Awaitable[None]],
        missing: Callable[[int, int], bool] | None = None,
    ) -> None:
        """Hand every byte to *sink*, with its offset, in any order and from several tasks.

        They come in windows that start at multiples of 256 KiB. Pieces that are not *missing*, by
        start and end, may be left out.
        Raises IntegrityError rather than bytes of two objects.
        """
        ...


@runtime_checkable
class LateSending(Protocol):
    """A writing that sends in its commit what it was given before."""

    async def take_file(self, path: Path) -> tuple[int, str]:
        """Take the local file *path* for what to send; return its size and its SHA-256.

        It is read again in the commit, which raises IntegrityError when it is not what it was.
        Raises StorageError when it can't be read.
        """
        ...

    def report_to(self, advance: Callable[[int], None]) -> None:
        """Have the commit call *advance* with the bytes of each piece, once, before it is sent.

        What *advance* raises ends the commit, with nothing stored.
        """
        ...


@runtime_checkable
class UploadKeeper(Protocol):
    """A backend that keeps the parts of uploads that are not done, whoever began them."""

    def uploads(self, prefix: str) -> AsyncIterator[Upload]:
        """Yield the uploads under way whose key starts with *prefix*."""
        ...

    async def abort_upload(self, upload: Upload) -> None:
        """Drop *upload*, unless it is gone."""
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


@runtime_checkable
class PostPresigner(Protocol):
    """A backend whose server takes files from forms."""

    async def presign_post(self, key: str, grant: PostGrant) -> PresignedPost:
        """Return a form for *key*. No I/O but for credentials."""
        ...


@runtime_checkable
class Tagger(Protocol):
    """A backend that keeps tags beside its objects."""

    async def tags(self, key: str) -> dict[str, str]:
        """Return the tags of *key*. Raises ObjectNotFoundError."""
        ...

    async def set_tags(self, key: str, tags: Mapping[str, str]) -> None:
        """Replace the tags of *key*. Raises ObjectNotFoundError."""
        ...


@runtime_checkable
class Historian(Protocol):
    """A backend that can keep what is replaced and deleted."""

    def versions(self, prefix: str) -> AsyncIterator[ObjectVersion]:
        """Yield every version and delete marker of keys that start with *prefix*.

        Keys come in code-point order, the versions of one key from the newest to the oldest.
        """
        ...

    def read_version(self, key: str, version: str) -> Reading:
        """Return a reading of one version. No I/O."""
        ...

    async def head_version(self, key: str, version: str) -> ObjectInfo | None:
        """Return what that version is, None for a delete marker and when there is none."""
        ...

    async def delete_version(self, key: str, version: str) -> bool:
        """Remove one version or delete marker for good; return whether it was there.

        Raises LockedError when a lock holds it.
        """
        ...

    async def restore(self, key: str, version: str) -> ObjectInfo:
        """Publish that version once more, as the newest. Raises ObjectNotFoundError."""
        ...


@runtime_checkable
class BulkEraser(Protocol):
    """A backend that removes many versions at less than the price of one each."""

    async def erase(self, versions: Sequence[ObjectVersion]) -> Sequence[ObjectVersion]:
        """Remove each of *versions* for good; return those that a lock holds. Not atomic."""
        ...


@runtime_checkable
class Describer(Protocol):
    """A backend that looks at many objects at once."""

    async def describe(self, keys: Sequence[str]) -> Sequence[ObjectInfo | None]:
        """Return what stands under each of *keys*, by position."""
        ...

    async def tagged(self, keys: Sequence[str]) -> Sequence[dict[str, str]]:
        """Return the tags of each of *keys*, by position; none where no object is."""
        ...


@runtime_checkable
class Prober(Protocol):
    """A backend that can fail as a whole."""

    async def probe(self) -> None:
        """Do the least that shows that it can be used. Raises what keeps it from that."""
        ...


@runtime_checkable
class Retrying(Protocol):
    """A backend that sends requests once more."""

    @property
    def retries(self) -> int:
        """How often it did."""
        ...


@runtime_checkable
class Configurable(Protocol):
    """A backend whose bucket has settings."""

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
class Locker(Protocol):
    """A backend that can keep versions from being removed."""

    async def lock_of(self, key: str, version: str | None) -> ObjectLock:
        """Return what holds that version, the newest when None. Raises ObjectNotFoundError."""
        ...

    async def retain(self, key: str, version: str | None, retention: Retention) -> None:
        """Keep that version until a time. Raises ObjectNotFoundError, LockedError."""
        ...

    async def hold(self, key: str, version: str | None, *, held: bool) -> None:
        """Keep that version until told otherwise. Raises ObjectNotFoundError."""
        ...
