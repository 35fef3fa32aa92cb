"""Objects in this process's memory: a backend with the meaning of all others, gone when closed."""

from __future__ import annotations

import threading
from bisect import bisect_left
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import uuid4

from holdfast.errors import ObjectNotFoundError, PreconditionFailedError
from holdfast.objects.driver import Capability, ObjectInfo, draft_of, info_of
from holdfast.objects.history import NULL, ObjectVersion
from holdfast.objects.listing import entries
from holdfast.objects.settings import BucketTags, S, Setting, Versioning

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

    from holdfast.objects.driver import CommonPrefix, Draft


@dataclass(frozen=True, slots=True)
class Stored:
    """One version of a key; its info is None when it marks a deletion."""

    version: str
    info: ObjectInfo | None
    written: datetime
    content: bytes = b""
    tags: Mapping[str, str] = field(default_factory=dict)


def _utc_now() -> datetime:
    return datetime.now(UTC)


class MemoryDriver:
    """Buckets in memory. Safe to use from many threads."""

    name = "memory"
    capabilities = frozenset(Capability) - {
        Capability.BUCKET_POLICY,
        Capability.DEFAULT_ENCRYPTION,
        Capability.LIFECYCLE,
        Capability.OBJECT_LOCK,
        Capability.PRESIGN,
        Capability.PRESIGN_POST,
        Capability.PUBLIC_ACCESS_BLOCK,
        Capability.RESUMABLE_UPLOADS,
        Capability.UPLOADS,
    }

    def __init__(self, clock: Callable[[], datetime] = _utc_now) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        # Each key's versions from the oldest to the newest. A list is replaced, never changed, so
        # that readers need no lock.
        self._chains: dict[str, list[Stored]] = {}
        self._settings: dict[type[Setting], Setting] = {}

    def write(self, key: str) -> MemoryWriting:
        return MemoryWriting(self, key)

    def read(self, key: str) -> MemoryReading:
        return MemoryReading(self, key, None)

    def read_version(self, key: str, version: str) -> MemoryReading:
        return MemoryReading(self, key, version)

    async def head(self, key: str) -> ObjectInfo | None:
        return self._described(self.newest(key))

    async def head_version(self, key: str, version: str) -> ObjectInfo | None:
        return self._described(self._version(key, version))

    async def list(
        self, prefix: str, *, after: str | None, delimiter: str | None
    ) -> AsyncIterator[ObjectInfo | CommonPrefix]:
        with self._lock:
            keys = sorted(key for key in self._chains if key.startswith(prefix))

        def scan(start: str) -> Iterator[ObjectInfo]:
            for position in range(bisect_left(keys, start), len(keys)):
                info = self._described(self.newest(keys[position]))
                if info is not None:
                    yield replace(info, version=None)

        for entry in entries(scan, prefix, after=after, delimiter=delimiter):
            yield entry

    async def versions(self, prefix: str) -> AsyncIterator[ObjectVersion]:
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
        with self._lock:
            if self.newest(key) is None:
                return False
            if self._keeps_versions is None:
                del self._chains[key]
            else:
                self._append(key, Stored(self._new_version(), None, self._clock()))
            return True

    async def delete_version(self, key: str, version: str) -> bool:
        with self._lock:
            chain = self._chains.get(key, [])
            left = [stored for stored in chain if stored.version != version]
            if left:
                self._chains[key] = left
            else:
                self._chains.pop(key, None)
            return len(left) < len(chain)

    async def copy(self, source: str, target: str) -> ObjectInfo:
        return self._again(target, self.find(source))

    async def restore(self, key: str, version: str) -> ObjectInfo:
        return self._again(key, self.find(key, version))

    async def tags(self, key: str) -> dict[str, str]:
        return dict(self.find(key).tags)

    async def set_tags(self, key: str, tags: Mapping[str, str]) -> None:
        with self._lock:
            tagged = replace(self.find(key), tags=dict(tags))
            self._chains[key] = [*self._chains[key][:-1], tagged]

    async def setting(self, kind: type[S]) -> S | None:
        found = self._settings.get(kind)
        return found if isinstance(found, kind) else None

    async def configure(self, setting: Setting) -> None:
        kept = setting
        if isinstance(setting, BucketTags):
            kept = BucketTags(dict(setting.tags))
        if setting != Versioning(enabled=False) or self._keeps_versions is not None:
            self._settings[type(setting)] = kept

    async def unset(self, kind: type[Setting]) -> None:
        self._settings.pop(kind, None)

    async def sweep(self) -> int:
        """Nothing outlives its writer here."""
        return 0

    def newest(self, key: str) -> Stored | None:
        """Return what stands under *key*."""
        chain = self._chains.get(key)
        return chain[-1] if chain and chain[-1].info is not None else None

    def find(self, key: str, version: str | None = None) -> Stored:
        """Return that version of *key*, the newest when None. Raises ObjectNotFoundError."""
        stored = self.newest(key) if version is None else self._version(key, version)
        if stored is None or stored.info is None:
            raise ObjectNotFoundError(key, version)
        return stored

    def describe(self, stored: Stored) -> ObjectInfo:
        """Return its info with metadata of its own: what a caller changes there stays there."""
        assert stored.info is not None
        version = None if self._keeps_versions is None else stored.version
        return replace(stored.info, metadata=dict(stored.info.metadata or {}), version=version)

    def publish(self, key: str, content: bytes, draft: Draft) -> ObjectInfo:
        """Store *content* under *key* in one step, if the draft's condition holds."""
        now = self._clock()
        info = info_of(key, draft, etag=uuid4().hex, modified=now)
        with self._lock:
            old = self.newest(key)
            etag = None if old is None or old.info is None else old.info.etag
            if (draft.if_absent and old is not None) or (
                draft.if_match is not None and etag != draft.if_match
            ):
                raise PreconditionFailedError("object", key)
            stored = Stored(self._new_version(), info, now, content, dict(draft.tags))
            self._append(key, stored)
        return self.describe(stored)

    def _again(self, key: str, stored: Stored) -> ObjectInfo:
        assert stored.info is not None
        return self.publish(key, stored.content, replace(draft_of(stored.info), tags=stored.tags))

    @property
    def _keeps_versions(self) -> bool | None:
        """None until it was said for the first time."""
        said = self._settings.get(Versioning)
        return said.enabled if isinstance(said, Versioning) else None

    def _new_version(self) -> str:
        return uuid4().hex if self._keeps_versions else NULL

    def _append(self, key: str, stored: Stored) -> None:
        kept = [old for old in self._chains.get(key, ()) if old.version != stored.version]
        self._chains[key] = [*kept, stored]

    def _version(self, key: str, version: str) -> Stored | None:
        chain = self._chains.get(key, ())
        return next((stored for stored in chain if stored.version == version), None)

    def _described(self, stored: Stored | None) -> ObjectInfo | None:
        return None if stored is None or stored.info is None else self.describe(stored)


class MemoryWriting:
    """Chunks that wait for their commit."""

    def __init__(self, driver: MemoryDriver, key: str) -> None:
        self._driver = driver
        self._key = key
        self._chunks: list[bytes] = []

    async def write(self, chunk: bytes) -> None:
        self._chunks.append(chunk)

    async def commit(self, draft: Draft) -> ObjectInfo:
        content = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        info = self._driver.publish(self._key, content, draft)
        self._chunks.clear()
        return info

    async def abort(self) -> None:
        self._chunks.clear()


class MemoryReading:
    """One stored value, which nobody can change."""

    def __init__(self, driver: MemoryDriver, key: str, version: str | None) -> None:
        self._driver = driver
        self._key = key
        self._version = version
        self._content: bytes | None = None

    async def open(self, start: int | None = None, end: int | None = None) -> ObjectInfo:  # noqa: ARG002 - nothing to gain
        stored = self._driver.find(self._key, self._version)
        self._content = stored.content
        return self._driver.describe(stored)

    async def read(self, offset: int, size: int) -> bytes:
        if self._content is None:
            raise RuntimeError("the reading is closed")
        return self._content[offset : offset + size]

    async def close(self) -> None:
        self._content = None
