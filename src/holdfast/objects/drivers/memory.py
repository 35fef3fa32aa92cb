"""Objects in this process's memory: a backend with the meaning of all others, gone when closed."""

from __future__ import annotations

import threading
from bisect import bisect_left
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import uuid4

from holdfast.errors import ObjectNotFoundError, PreconditionFailedError
from holdfast.objects.driver import Capability, ObjectInfo, draft_of
from holdfast.objects.listing import entries

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from holdfast.objects.driver import CommonPrefix, Draft


@dataclass(frozen=True, slots=True)
class _Stored:
    info: ObjectInfo
    content: bytes

    def described(self) -> ObjectInfo:
        """Return the info with metadata of its own: what a caller changes there stays there."""
        return replace(self.info, metadata=dict(self.info.metadata or {}))


def _utc_now() -> datetime:
    return datetime.now(UTC)


class MemoryDriver:
    """Buckets in memory. Safe to use from many threads."""

    name = "memory"
    capabilities = frozenset(Capability) - {Capability.PRESIGN}

    def __init__(self, clock: Callable[[], datetime] = _utc_now) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._objects: dict[str, _Stored] = {}

    def write(self, key: str) -> MemoryWriting:
        return MemoryWriting(self, key)

    def read(self, key: str) -> MemoryReading:
        return MemoryReading(self, key)

    async def head(self, key: str) -> ObjectInfo | None:
        stored = self._objects.get(key)
        return None if stored is None else stored.described()

    async def list(
        self, prefix: str, *, after: str | None, delimiter: str | None
    ) -> AsyncIterator[ObjectInfo | CommonPrefix]:
        with self._lock:
            keys = sorted(key for key in self._objects if key.startswith(prefix))

        def scan(start: str) -> Iterator[ObjectInfo]:
            for position in range(bisect_left(keys, start), len(keys)):
                stored = self._objects.get(keys[position])
                if stored is not None:
                    yield stored.described()

        for entry in entries(scan, prefix, after=after, delimiter=delimiter):
            yield entry

    async def delete(self, key: str) -> bool:
        with self._lock:
            return self._objects.pop(key, None) is not None

    async def copy(self, source: str, target: str) -> ObjectInfo:
        stored = self.find(source)
        return self.publish(target, stored.content, draft_of(stored.info))

    async def sweep(self) -> int:
        """Nothing outlives its writer here."""
        return 0

    def find(self, key: str) -> _Stored:
        """Return what stands under *key*. Raises ObjectNotFoundError."""
        stored = self._objects.get(key)
        if stored is None:
            raise ObjectNotFoundError(key)
        return stored

    def publish(self, key: str, content: bytes, draft: Draft) -> ObjectInfo:
        """Store *content* under *key* in one step, if the draft's condition holds."""
        info = ObjectInfo(
            key=key,
            size=draft.size,
            content_type=draft.content_type,
            metadata=dict(draft.metadata),
            etag=uuid4().hex,
            modified=self._clock(),
            sha256=draft.sha256,
        )
        stored = _Stored(info, content)
        with self._lock:
            old = self._objects.get(key)
            if (draft.if_absent and old is not None) or (
                draft.if_match is not None and (old is None or old.info.etag != draft.if_match)
            ):
                raise PreconditionFailedError("object", key)
            self._objects[key] = stored
        return stored.described()


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

    def __init__(self, driver: MemoryDriver, key: str) -> None:
        self._driver = driver
        self._key = key
        self._content: bytes | None = None

    async def open(self, start: int | None = None, end: int | None = None) -> ObjectInfo:  # noqa: ARG002 - nothing to gain
        stored = self._driver.find(self._key)
        self._content = stored.content
        return stored.described()

    async def read(self, offset: int, size: int) -> bytes:
        if self._content is None:
            raise RuntimeError("the reading is closed")
        return self._content[offset : offset + size]

    async def close(self) -> None:
        self._content = None
