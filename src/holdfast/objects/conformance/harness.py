"""What a backend gives to the suite, and the blocking bucket in the clothes of the async one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, cast

from holdfast.objects.bucket import Bucket, PutOptions
from holdfast.objects.driver import Grant
from holdfast.objects.reader import ObjectReader

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping
    from contextlib import AbstractContextManager
    from datetime import timedelta
    from pathlib import Path

    from holdfast.objects import sync
    from holdfast.objects.driver import Capability, CommonPrefix, ObjectInfo, Presigned
    from holdfast.objects.sources import BlockingBody, Body
    from holdfast.objects.transfer import Progress


_READ = Grant()


class BucketHarness(ABC):
    """One empty place for objects."""

    @property
    @abstractmethod
    def capabilities(self) -> frozenset[Capability]:
        """What the backend can; of the rest the suite asserts the refusal."""

    @abstractmethod
    def open(self) -> AbstractAsyncContextManager[Bucket]:
        """Return what opens the place as an async bucket."""

    @abstractmethod
    def open_blocking(self) -> AbstractContextManager[sync.Bucket]:
        """Return what opens the place as a blocking bucket."""


@asynccontextmanager
async def blocking_bucket(harness: BucketHarness) -> AsyncIterator[Bucket]:
    """Open the harness's blocking bucket, so that a case written once runs on it too."""
    with harness.open_blocking() as bucket:
        yield _BlockingBucket(bucket)


class _BlockingReader(ObjectReader):
    def __init__(self, reader: sync.ObjectReader) -> None:
        self.info = reader.info
        self._blocking = reader

    async def read(self, size: int = -1) -> bytes:
        return self._blocking.read(size)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._blocking:
            yield chunk


class _BlockingBucket(Bucket):
    def __init__(self, bucket: sync.Bucket) -> None:
        self._blocking = bucket

    @property
    def capabilities(self) -> frozenset[Capability]:
        return self._blocking.capabilities

    async def put(
        self,
        key: str,
        body: Body,
        *,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        options: PutOptions | None = None,
    ) -> ObjectInfo:
        return self._blocking.put(
            key,
            cast("BlockingBody", body),  # an async body works as long as it never waits
            content_type=content_type,
            metadata=metadata,
            options=options or PutOptions(),
        )

    async def get(
        self,
        key: str,
        *,
        start: int | None = None,
        end: int | None = None,
        if_match: str | None = None,
    ) -> bytes:
        return self._blocking.get(key, start=start, end=end, if_match=if_match)

    @asynccontextmanager
    async def open(self, key: str) -> AsyncIterator[ObjectReader]:
        with self._blocking.open(key) as reader:
            yield _BlockingReader(reader)

    async def upload(
        self,
        path: str | Path,
        key: str,
        *,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        progress: Progress | None = None,
    ) -> ObjectInfo:
        return self._blocking.upload(
            path, key, content_type=content_type, metadata=metadata, progress=progress
        )

    async def download(
        self, key: str, path: str | Path, *, progress: Progress | None = None
    ) -> ObjectInfo:
        return self._blocking.download(key, path, progress=progress)

    async def head(self, key: str) -> ObjectInfo | None:
        return self._blocking.head(key)

    async def exists(self, key: str) -> bool:
        return self._blocking.exists(key)

    async def _entries(
        self, prefix: str, delimiter: str | None, start_after: str | None
    ) -> AsyncIterator[ObjectInfo | CommonPrefix]:
        if delimiter is None:
            for info in self._blocking.list(prefix, start_after=start_after):
                yield info
        else:
            for entry in self._blocking.list(prefix, delimiter=delimiter, start_after=start_after):
                yield entry

    async def delete(self, key: str) -> bool:
        return self._blocking.delete(key)

    async def delete_many(self, keys: Iterable[str]) -> int:
        return self._blocking.delete_many(keys)

    async def copy(self, source: str, target: str) -> ObjectInfo:
        return self._blocking.copy(source, target)

    @asynccontextmanager
    async def as_file(self, key: str) -> AsyncIterator[Path]:
        with self._blocking.as_file(key) as path:
            yield path

    async def presign(self, key: str, grant: Grant = _READ) -> Presigned:
        return self._blocking.presign(key, grant)

    async def sweep_incomplete(self, older_than: timedelta) -> int:
        return self._blocking.sweep_incomplete(older_than)

    async def sweep(self) -> int:
        return self._blocking.sweep()

    def list(  # type: ignore[override]
        self, prefix: str = "", *, delimiter: str | None = None, start_after: str | None = None
    ) -> AsyncIterator[ObjectInfo | CommonPrefix]:
        return self._entries(prefix, delimiter, start_after)
