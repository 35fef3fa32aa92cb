"""The driver of buckets on disk: runs the root's blocking steps where blocking work runs."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from functools import partial
from itertools import groupby, islice
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from holdfast.clock import utc_now
from holdfast.errors import IntegrityError, ObjectNotFoundError
from holdfast.objects.bucket_settings import S, Setting, Versioning
from holdfast.objects.delimiter import grouped
from holdfast.objects.driver import BucketCapability
from holdfast.objects.drivers.disk.folders import PRIVATE, SHARED
from holdfast.objects.drivers.disk.record_index import scan_objects
from holdfast.objects.drivers.disk.root import Root
from holdfast.objects.localfile import OpenFile, file_name, refusals
from holdfast.objects.object_info import CommonPrefix, ObjectInfo, spec_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from holdfast.objects.object_info import CommitSpec, ObjectVersion
    from holdfast.offload import Offload

P = ParamSpec("P")
T = TypeVar("T")

_BATCH = 256


class DiskDriver:
    """Buckets in a folder of a local POSIX file system; any number of processes may share it.

    A write that waits longer than *lock_timeout* seconds for others raises LockTimeoutError.
    """

    name = "disk"
    capabilities = frozenset(BucketCapability) - {
        BucketCapability.ACL,
        BucketCapability.BUCKET_POLICY,
        BucketCapability.BUCKET_TAGS,
        BucketCapability.CUSTOMER_KEYS,
        BucketCapability.DEFAULT_ENCRYPTION,
        BucketCapability.LIFECYCLE,
        BucketCapability.OBJECT_LOCK,
        BucketCapability.PRESIGN,
        BucketCapability.PRESIGN_POST,
        BucketCapability.PUBLIC_ACCESS_BLOCK,
        BucketCapability.RESUMABLE_UPLOADS,
        BucketCapability.STORAGE_CLASS,
        BucketCapability.UPLOADS,
    }

    def __init__(
        self,
        path: Path,
        offload: Offload,
        *,
        lock_timeout: float = 30.0,
        private: bool = True,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        modes = PRIVATE if private else SHARED
        self.root = Root(path, lock_timeout=lock_timeout, clock=clock, modes=modes)
        self._offload = offload

    async def prepare(self) -> None:
        """Make the folders that are not there."""
        await self.step(self.root.prepare)

    def write(self, key: str) -> DiskObjectWriter:
        """Return a writer of *key*. No I/O."""
        return DiskObjectWriter(self, key)

    def read(self, key: str) -> DiskRangeReader:
        """Return a reader of *key*. No I/O."""
        return DiskRangeReader(self, key, None)

    def read_version(self, key: str, version: str) -> DiskRangeReader:
        """Return a reader of one version. No I/O."""
        return DiskRangeReader(self, key, version)

    def lend(self, key: str) -> DiskBorrowedFile:
        """Return *key* as a borrowed file. No I/O."""
        return DiskBorrowedFile(self, key)

    async def head(self, key: str) -> ObjectInfo | None:
        """Return the description of *key*, None when there is no such object."""
        record = await self.step(self.root.find, key)
        return None if record is None else record.info

    async def head_version(self, key: str, version: str) -> ObjectInfo | None:
        """Return the description of that version; None for a delete marker and for no version."""
        record = await self.step(self.root.find, key, version)
        return None if record is None else record.info

    async def list(
        self, prefix: str, *, after: str | None, delimiter: str | None
    ) -> AsyncIterator[ObjectInfo | CommonPrefix]:
        """Yield the entries under *prefix* behind *after*, in code-point order."""
        found = partial(scan_objects, self.root.index.records, prefix)
        every = grouped(found, prefix, after=after, delimiter=delimiter)
        while batch := await self.step(_batch, every):
            for entry in batch:
                yield entry

    async def versions(self, prefix: str) -> AsyncIterator[ObjectVersion]:
        """Yield every version and delete marker of keys that start with *prefix*, in order."""
        every = self.root.index.all_versions(prefix)
        while batch := await self.step(_batch, every):
            for version in batch:
                yield version

    async def delete(self, key: str) -> bool:
        """Remove *key* or hide it behind a delete marker; return whether it was there."""
        return await self.step(self.root.remove, key)

    async def delete_version(self, key: str, version: str) -> bool:
        """Remove one version or delete marker permanently; return whether it was there."""
        return await self.step(self.root.remove_versions, key, [version]) == 1

    async def erase(self, versions: Sequence[ObjectVersion]) -> Sequence[ObjectVersion]:
        """Remove each of *versions* permanently; return those that a lock holds. Not atomic."""
        for key, found in groupby(versions, lambda version: version.key):
            names = [version.version for version in found]
            await self.step(self.root.remove_versions, key, names)
        return ()

    async def copy(self, source: str, target: str) -> ObjectInfo:
        """Publish *source* with all that it has as *target*. Raises ObjectNotFoundError."""
        return await self.step(_copy, self.root, source, None, target)

    async def restore(self, key: str, version: str) -> ObjectInfo:
        """Publish that version again, as the newest. Raises ObjectNotFoundError."""
        return await self.step(_copy, self.root, key, version, key)

    async def tags(self, key: str) -> dict[str, str]:
        """Return the tags of *key*. Raises ObjectNotFoundError."""
        record = await self.step(self.root.find, key)
        if record is None:
            raise ObjectNotFoundError(key)
        return dict(record.tags)

    async def set_tags(self, key: str, tags: Mapping[str, str]) -> None:
        """Replace the tags of *key*. Raises ObjectNotFoundError."""
        await self.step(self.root.tag, key, tags)

    async def setting(self, kind: type[S]) -> S | None:
        """Return the setting of that *kind*, None when it was never made."""
        said = await self.step(self.root.keeps_versions)
        found = None if said is None else Versioning(said)
        return found if isinstance(found, kind) else None

    async def configure(self, setting: Setting) -> None:
        """Replace the setting of this kind."""
        assert isinstance(setting, Versioning), "the bucket refuses the others by name"
        await self.step(self.root.set_versioning, enabled=setting.enabled)

    async def unset(self, kind: type[Setting]) -> None:
        """Do nothing: Versioning is the only setting here, and the bucket refuses to unset it."""

    async def probe(self) -> None:
        """Do the least that shows that the backend can be used. Raises what prevents it."""
        await self.step(self.root.probe)

    async def sweep(self) -> int:
        """Remove what writers that died left behind; return how many files it removed."""
        return await self.step(self.root.sweep)

    async def step(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run *call* where blocking work runs; what the disk refuses is a StorageError."""
        with refusals(self.root.path):
            return await self._offload.run(call, *args, **kwargs)


class DiskObjectWriter:
    """A temporary file that becomes the data of an object."""

    def __init__(self, driver: DiskDriver, key: str) -> None:
        self._driver = driver
        self._key = key
        self._file = driver.root.new_file()

    async def write(self, chunk: bytes) -> None:
        """Append *chunk*."""
        await self._driver.step(self._file.write, chunk)

    async def commit(self, spec: CommitSpec) -> ObjectInfo:
        """Publish everything in one step. Raises PreconditionFailedError."""
        place = partial(self._driver.root.publish, self._key, spec)
        return await self._driver.step(self._file.publish, place)

    async def abort(self) -> None:
        """Leave nothing behind, unless it is committed. Idempotent."""
        await self._driver.step(self._file.discard)


class DiskRangeReader:
    """An open descriptor of a data file, which nobody ever changes."""

    def __init__(self, driver: DiskDriver, key: str, version: str | None) -> None:
        self._driver = driver
        self._key = key
        self._version = version
        self._file = OpenFile()

    async def open(self, start: int | None = None, end: int | None = None) -> ObjectInfo:  # noqa: ARG002 - nothing to gain
        """Pin the object as it is now. Raises ObjectNotFoundError."""
        opener = partial(self._driver.root.open_data, self._key, self._version)
        return (await self._driver.step(self._file.open, opener)).info

    async def read(self, offset: int, size: int) -> bytes:
        """Return exactly *size* stored bytes from *offset*. Raises IntegrityError."""
        try:
            return await self._driver.step(self._file.read, offset, size)
        except IntegrityError as error:
            raise IntegrityError(f"object {self._key!r}: {error}") from None

    async def close(self) -> None:
        """Release it. Idempotent."""
        await self._driver.step(self._file.close)


class DiskBorrowedFile:
    """A second name of a data file in the temporary folder, held with flock while it is lent."""

    def __init__(self, driver: DiskDriver, key: str) -> None:
        self._driver = driver
        self._key = key
        self._path = driver.root.temporary(f"-{file_name(key.rpartition('/')[2])}")
        self._lock = threading.Lock()
        self._file = OpenFile()
        self._process = os.getpid()

    async def open(self) -> tuple[ObjectInfo, Path]:
        """Return the object and its file. Raises ObjectNotFoundError."""
        return await self._driver.step(self._borrow), self._path

    async def close(self) -> None:
        """Give the file back. Idempotent."""
        await self._driver.step(self._return)

    def _borrow(self) -> ObjectInfo:
        with self._lock:
            borrowing = partial(self._driver.root.borrow, self._key, None, self._path)
            record = self._file.open(borrowing)
            if not self._file.is_open:  # closed before it was opened: the caller was cancelled
                self._path.unlink()
            return record.info

    def _return(self) -> None:
        with self._lock:
            if self._file.is_open and os.getpid() == self._process:  # else it is the parent's
                self._path.unlink(missing_ok=True)
            self._file.close()


def _copy(root: Root, source: str, version: str | None, target: str) -> ObjectInfo:
    temporary = root.temporary()
    record, handle = root.borrow(source, version, temporary)
    try:
        spec = replace(spec_of(record.info), tags=record.tags)
        return root.publish(target, spec, temporary)
    finally:
        temporary.unlink(missing_ok=True)
        os.close(handle)


def _batch(every: Iterator[T]) -> list[T]:
    return list(islice(every, _BATCH))
