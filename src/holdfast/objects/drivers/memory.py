"""Objects in this process's memory: the same meaning as everywhere, gone when closed."""

from __future__ import annotations

import threading
from bisect import bisect_left
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from uuid import uuid4

from holdfast.clock import utc_now
from holdfast.errors import ObjectNotFoundError, PreconditionFailedError
from holdfast.forks import after_fork
from holdfast.objects.bucket_settings import BucketTags, S, Setting, Versioning
from holdfast.objects.delimiter import grouped
from holdfast.objects.driver import BucketCapability
from holdfast.objects.object_info import (
    NULL_VERSION,
    ObjectInfo,
    ObjectVersion,
    info_of,
    spec_of,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping
    from datetime import datetime

    from holdfast.objects.object_info import CommitSpec, CommonPrefix


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """One version of a key; its info is None when it marks a deletion."""

    version: str
    info: ObjectInfo | None
    written: datetime
    content: bytes = b""
    tags: Mapping[str, str] = field(default_factory=dict)


class MemoryBucketDriver:
    """Buckets in memory. Safe to use from many threads."""

    name = "memory"
    capabilities = frozenset(BucketCapability) - {
        BucketCapability.ACL,
        BucketCapability.BUCKET_POLICY,
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

    def __init__(self, clock: Callable[[], datetime] = utc_now) -> None:
        self._clock = clock
        self._new_lock()
        after_fork(self._new_lock)
        # Each key's versions from the oldest to the newest. A list is replaced, never changed, so
        # that readers need no lock.
        self._chains: dict[str, list[StoredVersion]] = {}
        self._settings: dict[type[Setting], Setting] = {}

    def _new_lock(self) -> None:
        # Each change under it is one assignment to the dict, so a fork sees it whole or not.
        self._lock = threading.Lock()

    def write(self, key: str) -> MemoryObjectWriter:
        """Return a writer of *key*. No I/O."""
        return MemoryObjectWriter(self, key)

    def read(self, key: str) -> MemoryRangeReader:
        """Return a reader of *key*. No I/O."""
        return MemoryRangeReader(self, key, None)

    def read_version(self, key: str, version: str) -> MemoryRangeReader:
        """Return a reader of one version. No I/O."""
        return MemoryRangeReader(self, key, version)

    async def head(self, key: str) -> ObjectInfo | None:
        """Return the description of *key*, None when there is no such object."""
        return self._described(self.newest(key))

    async def head_version(self, key: str, version: str) -> ObjectInfo | None:
        """Return the description of that version; None for a delete marker and for no version."""
        return self._described(self._version(key, version))

    async def list(
        self, prefix: str, *, after: str | None, delimiter: str | None
    ) -> AsyncIterator[ObjectInfo | CommonPrefix]:
        """Yield the entries under *prefix* behind *after*, in code-point order."""
        with self._lock:
            keys = sorted(key for key in self._chains if key.startswith(prefix))

        def scan(start: str) -> Iterator[ObjectInfo]:
            for position in range(bisect_left(keys, start), len(keys)):
                info = self._described(self.newest(keys[position]))
                if info is not None:
                    yield replace(info, version=None)

        for entry in grouped(scan, prefix, after=after, delimiter=delimiter):
            yield entry

    async def versions(self, prefix: str) -> AsyncIterator[ObjectVersion]:
        """Yield every version and delete marker of keys that start with *prefix*, in order."""
        with self._lock:
            chains = sorted(item for item in self._chains.items() if item[0].startswith(prefix))
        for key, chain in chains:
            for stored in reversed(chain):
                info = stored.info
                yield ObjectVersion(
                    key=key,
                    version=stored.version,
                    latest=stored is chain[-1],
                    marker=info is None,
                    size=0 if info is None else info.stored_size,
                    etag="" if info is None else info.etag,
                    modified=stored.written,
                )

    async def delete(self, key: str) -> bool:
        """Remove *key* or hide it behind a delete marker; return whether it was there."""
        with self._lock:
            if self.newest(key) is None:
                return False
            if self._keeps_versions is None:
                del self._chains[key]
            else:
                self._append(key, StoredVersion(self._new_version(), None, self._clock()))
            return True

    async def delete_version(self, key: str, version: str) -> bool:
        """Remove one version or delete marker permanently; return whether it was there."""
        with self._lock:
            chain = self._chains.get(key, [])
            left = [stored for stored in chain if stored.version != version]
            if left:
                self._chains[key] = left
            else:
                self._chains.pop(key, None)
            return len(left) < len(chain)

    async def copy(self, source: str, target: str) -> ObjectInfo:
        """Publish *source* with all that it has as *target*. Raises ObjectNotFoundError."""
        return self._store_again(target, self.find(source))

    async def restore(self, key: str, version: str) -> ObjectInfo:
        """Publish that version again, as the newest. Raises ObjectNotFoundError."""
        return self._store_again(key, self.find(key, version))

    async def tags(self, key: str) -> dict[str, str]:
        """Return the tags of *key*. Raises ObjectNotFoundError."""
        return dict(self.find(key).tags)

    async def set_tags(self, key: str, tags: Mapping[str, str]) -> None:
        """Replace the tags of *key*. Raises ObjectNotFoundError."""
        with self._lock:
            tagged = replace(self.find(key), tags=dict(tags))
            self._chains[key] = [*self._chains[key][:-1], tagged]

    async def setting(self, kind: type[S]) -> S | None:
        """Return the setting of that *kind*, None when it was never made."""
        found = self._settings.get(kind)
        return found if isinstance(found, kind) else None

    async def configure(self, setting: Setting) -> None:
        """Replace the setting of this kind."""
        kept = setting
        if isinstance(setting, BucketTags):
            kept = BucketTags(dict(setting.tags))
        if setting != Versioning(enabled=False) or self._keeps_versions is not None:
            self._settings[type(setting)] = kept

    async def unset(self, kind: type[Setting]) -> None:
        """Remove the setting of that *kind*, if there is one."""
        self._settings.pop(kind, None)

    async def sweep(self) -> int:
        """Return 0: nothing outlives its writer here."""
        return 0

    async def probe(self) -> None:
        """Do nothing: memory is always there."""

    def newest(self, key: str) -> StoredVersion | None:
        """Return the newest version of *key*, None when there is none or it is a delete marker."""
        chain = self._chains.get(key)
        return chain[-1] if chain and chain[-1].info is not None else None

    def find(self, key: str, version: str | None = None) -> StoredVersion:
        """Return that version of *key*, the newest when None. Raises ObjectNotFoundError."""
        stored = self.newest(key) if version is None else self._version(key, version)
        if stored is None or stored.info is None:
            raise ObjectNotFoundError(key, version)
        return stored

    def describe(self, stored: StoredVersion) -> ObjectInfo:
        """Return its info with metadata of its own: what a caller changes there stays there."""
        assert stored.info is not None
        version = None if self._keeps_versions is None else stored.version
        return replace(stored.info, metadata=dict(stored.info.metadata or {}), version=version)

    def publish(self, key: str, content: bytes, spec: CommitSpec) -> ObjectInfo:
        """Store *content* under *key* in one step, if the spec's condition holds."""
        now = self._clock()
        info = info_of(key, spec, etag=uuid4().hex, modified=now)
        with self._lock:
            old = self.newest(key)
            etag = None if old is None or old.info is None else old.info.etag
            if (spec.if_absent and old is not None) or (
                spec.if_match is not None and etag != spec.if_match
            ):
                raise PreconditionFailedError("object", key)
            stored = StoredVersion(self._new_version(), info, now, content, dict(spec.tags))
            self._append(key, stored)
        return self.describe(stored)

    def _store_again(self, key: str, stored: StoredVersion) -> ObjectInfo:
        assert stored.info is not None
        return self.publish(key, stored.content, replace(spec_of(stored.info), tags=stored.tags))

    @property
    def _keeps_versions(self) -> bool | None:
        """None until it was set for the first time."""
        said = self._settings.get(Versioning)
        return said.enabled if isinstance(said, Versioning) else None

    def _new_version(self) -> str:
        return uuid4().hex if self._keeps_versions else NULL_VERSION

    def _append(self, key: str, stored: StoredVersion) -> None:
        kept = [old for old in self._chains.get(key, ()) if old.version != stored.version]
        self._chains[key] = [*kept, stored]

    def _version(self, key: str, version: str) -> StoredVersion | None:
        chain = self._chains.get(key, ())
        return next((stored for stored in chain if stored.version == version), None)

    def _described(self, stored: StoredVersion | None) -> ObjectInfo | None:
        return None if stored is None or stored.info is None else self.describe(stored)


class MemoryObjectWriter:
    """Chunks that wait for their commit."""

    def __init__(self, driver: MemoryBucketDriver, key: str) -> None:
        self._driver = driver
        self._key = key
        self._chunks: list[bytes] = []

    async def write(self, chunk: bytes) -> None:
        """Append *chunk*."""
        self._chunks.append(chunk)

    async def commit(self, spec: CommitSpec) -> ObjectInfo:
        """Publish everything in one step. Raises PreconditionFailedError."""
        content = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        info = self._driver.publish(self._key, content, spec)
        self._chunks.clear()
        return info

    async def abort(self) -> None:
        """Leave nothing behind, unless it is committed. Idempotent."""
        self._chunks.clear()


class MemoryRangeReader:
    """Reads one stored version, which nobody can change."""

    def __init__(self, driver: MemoryBucketDriver, key: str, version: str | None) -> None:
        self._driver = driver
        self._key = key
        self._version = version
        self._content: bytes | None = None

    async def open(self, start: int | None = None, end: int | None = None) -> ObjectInfo:  # noqa: ARG002 - nothing to gain
        """Pin the object as it is now. Raises ObjectNotFoundError."""
        stored = self._driver.find(self._key, self._version)
        self._content = stored.content
        return self._driver.describe(stored)

    async def read(self, offset: int, size: int) -> bytes:
        """Return exactly *size* stored bytes from *offset*. Raises IntegrityError."""
        if self._content is None:
            raise RuntimeError("the reader is closed")
        return self._content[offset : offset + size]

    async def close(self) -> None:
        """Release it. Idempotent."""
        self._content = None
