"""The bucket that people hold."""

from __future__ import annotations

import tempfile
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, overload
from uuid import uuid4

from holdfast.errors import (
    InvalidValueError,
    PreconditionFailedError,
    StorageError,
    UnsupportedError,
)
from holdfast.objects.driver import (
    BulkDeleter,
    Capability,
    Draft,
    Grant,
    IncompleteSweeper,
    Lender,
    ParallelReading,
    Presigner,
)
from holdfast.objects.keys import check_key, check_prefix, file_name
from holdfast.objects.localfile import NewFile, refusals, sync_folder
from holdfast.objects.metadata import check_content_type, check_metadata, content_type_of
from holdfast.objects.reader import ObjectReader
from holdfast.objects.sources import source_of
from holdfast.objects.transfer import Digest, Meter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping

    from holdfast.objects.driver import CommonPrefix, Driver, ObjectInfo, Presigned
    from holdfast.objects.sources import Body
    from holdfast.objects.transfer import Progress
    from holdfast.offload import Offload


@dataclass(frozen=True, slots=True, kw_only=True)
class PutOptions:
    """How an object is put.

    *if_absent*: only where no object is. *if_match*: only over the object of exactly this etag.
    *progress*: called with bytes done and bytes in all; what it raises stops the put and escapes.
    """

    if_absent: bool = False
    if_match: str | None = None
    progress: Progress | None = None

    def __post_init__(self) -> None:
        if self.if_absent and self.if_match is not None:
            raise InvalidValueError(
                "object", "options", "if_absent and if_match exclude each other"
            )


_PLAIN = PutOptions()
_READ = Grant()
FIRST_PIECE = 8 * 1024 * 1024  # what a download asks for before it knows the size


class Bucket:
    """Objects under keys: bytes with a content type and metadata, replaced and removed as wholes.

    Safe to use from many tasks at once. Every write is atomic and durable when its call returns;
    one that fails or is cancelled leaves what was there before, or the whole new object.
    """

    def __init__(self, driver: Driver, offload: Offload) -> None:
        self._driver = driver
        self._offload = offload

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What this backend can beyond what every backend can."""
        return self._driver.capabilities

    async def put(
        self,
        key: str,
        body: Body,
        *,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        options: PutOptions = _PLAIN,
    ) -> ObjectInfo:
        """Store *body* as *key*, replacing what is there, and return what was stored.

        The content type is guessed from the key when it is not given. Bodies of any size pass in
        windows of 256 KiB. Raises PreconditionFailedError when the condition in *options* does
        not hold, UnsupportedError when the backend can't hold it, IntegrityError when a file
        changes while it is read; then nothing was stored.
        """
        check_key(key)
        kind = check_content_type(content_type_of(key) if content_type is None else content_type)
        checked = check_metadata(metadata or {})
        self._check_condition(options)
        digest = Digest(self._offload)
        writing = self._driver.write(key)
        try:
            source = await source_of(body, self._offload)
            meter = Meter(options.progress, source.total)
            async with aclosing(source.chunks) as chunks:
                async for chunk in chunks:
                    await digest.add(chunk)
                    await writing.write(chunk)
                    meter.advance(len(chunk))
            meter.finish()
            draft = Draft(
                size=digest.size,
                sha256=digest.hexdigest(),
                content_type=kind,
                metadata=checked,
                if_absent=options.if_absent,
                if_match=options.if_match,
            )
            return await writing.commit(draft)
        except BaseException:
            await writing.abort()
            raise

    async def get(
        self,
        key: str,
        *,
        start: int | None = None,
        end: int | None = None,
        if_match: str | None = None,
    ) -> bytes:
        """Return the bytes of *key* from offset *start* up to but not including *end*.

        Without them, from the first and to the last byte; the whole is checked against its
        checksum (IntegrityError). Raises ObjectNotFoundError, InvalidValueError unless
        ``0 <= start <= end <= size``, and PreconditionFailedError unless the object has the etag
        *if_match*, so that pieces got one by one are of one object.
        """
        reading = self._driver.read(check_key(key))
        try:
            info = await reading.open(start, end)
            if if_match not in (None, info.etag):
                raise PreconditionFailedError("object", key)
            first, last = _checked_range(info, start, end)
            content = await reading.read(first, last - first)
        finally:
            await reading.close()
        if len(content) == info.size:
            digest = Digest(self._offload)
            await digest.add(content)
            digest.check(info)
        return content

    @asynccontextmanager
    async def open(self, key: str) -> AsyncIterator[ObjectReader]:
        """Hold *key* open for streaming; it reads the same when replaced or deleted meanwhile.

        Raises ObjectNotFoundError.
        """
        reading = self._driver.read(check_key(key))
        try:
            yield ObjectReader(await reading.open(), reading, self._offload)
        finally:
            await reading.close()

    async def upload(
        self,
        path: str | Path,
        key: str,
        *,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        progress: Progress | None = None,
    ) -> ObjectInfo:
        """Store the local file *path* as *key*: `put` of a path, with the same promises."""
        return await self.put(
            key,
            Path(path),
            content_type=content_type,
            metadata=metadata,
            options=PutOptions(progress=progress),
        )

    async def download(
        self, key: str, path: str | Path, *, progress: Progress | None = None
    ) -> ObjectInfo:
        """Write *key* to the local file *path*, replacing it, and return what was downloaded.

        The file appears complete, checked against its checksum and durable, or not at all.
        Raises ObjectNotFoundError, IntegrityError, StorageError.
        """
        target = Path(path)
        reading = self._driver.read(check_key(key))
        file = NewFile(target.parent / f".{file_name(target.name, mark=f'~{uuid4().hex}')}")
        try:
            info = await reading.open(0, FIRST_PIECE)
            meter = Meter(progress, info.size)
            if isinstance(reading, ParallelReading) and info.size > FIRST_PIECE:
                await self._fetch(info, reading, file, meter)
            else:
                async for chunk in ObjectReader(info, reading, self._offload):
                    await self._local(target, partial(file.write, chunk))
                    meter.advance(len(chunk))
            meter.finish()
            await self._local(target, partial(file.publish, partial(_place, target)))
        except BaseException:
            await self._local(target, file.discard)
            raise
        finally:
            await reading.close()
        return info

    async def head(self, key: str) -> ObjectInfo | None:
        """Return what is known of *key*, None when there is no such object."""
        return await self._driver.head(check_key(key))

    async def exists(self, key: str) -> bool:
        """Return whether there is such an object."""
        return await self.head(key) is not None

    @overload
    def list(
        self, prefix: str = "", *, delimiter: None = None, start_after: str | None = None
    ) -> AsyncIterator[ObjectInfo]: ...
    @overload
    def list(
        self, prefix: str = "", *, delimiter: str, start_after: str | None = None
    ) -> AsyncIterator[ObjectInfo | CommonPrefix]: ...
    def list(
        self, prefix: str = "", *, delimiter: str | None = None, start_after: str | None = None
    ) -> AsyncIterator[ObjectInfo] | AsyncIterator[ObjectInfo | CommonPrefix]:
        """Yield the objects whose key starts with *prefix*, in code-point order of their keys.

        With a *delimiter*, all keys that hold it behind the prefix are gathered into one
        CommonPrefix each, up to and with the delimiter, in its place in the order. Only entries
        behind *start_after* come, so the last entry of one listing continues in another. What is
        there throughout is listed once; what comes or goes meanwhile may be listed or not.
        """
        check_prefix(prefix)
        if start_after is not None:
            check_prefix(start_after)
        if delimiter is not None and not check_prefix(delimiter):
            raise InvalidValueError("listing", "delimiter", "it is empty; expected text or None")
        return self._driver.list(prefix, after=start_after, delimiter=delimiter)

    async def delete(self, key: str) -> bool:
        """Remove *key*; return whether it was there."""
        return await self._driver.delete(check_key(key))

    async def delete_many(self, keys: Iterable[str]) -> int:
        """Remove each of *keys*; return how many were there.

        All keys are checked before the first is removed. Not atomic: a StorageError in between
        leaves the rest.
        """
        if isinstance(keys, str):
            raise InvalidValueError("object", "keys", "expected an iterable of keys, got one text")
        checked = [check_key(key) for key in keys]
        if isinstance(self._driver, BulkDeleter):
            return await self._driver.delete_many(checked)
        return sum([await self._driver.delete(key) for key in checked])

    async def copy(self, source: str, target: str) -> ObjectInfo:
        """Store *source*'s bytes, content type and metadata as *target*, and return that.

        Raises ObjectNotFoundError.
        """
        return await self._driver.copy(check_key(source), check_key(target))

    @asynccontextmanager
    async def as_file(self, key: str) -> AsyncIterator[Path]:
        """Hold *key* as a local file for reading, with the key's extension.

        On disk it is the stored file itself, without a copy; elsewhere a checked download that is
        removed afterwards. It stays what it is when the object is replaced or deleted meanwhile.
        Raises ObjectNotFoundError.
        """
        check_key(key)
        if isinstance(self._driver, Lender):
            lending = self._driver.lend(key)
            try:
                yield await lending.open()
            finally:
                await lending.close()
        else:
            folder = tempfile.TemporaryDirectory(prefix="holdfast-")
            try:
                path = Path(folder.name) / file_name(key.rpartition("/")[2])
                await self.download(key, path)
                yield path
            finally:
                await self._offload.run(folder.cleanup)

    async def sweep(self) -> int:
        """Remove what dead writers left behind; return how many files it removed.

        Opening a bucket does it too. What living writers hold, here and in other processes, stays.
        """
        return await self._driver.sweep()

    async def presign(self, key: str, grant: Grant = _READ) -> Presigned:
        """Return a URL with which anybody may do what *grant* says, until it ends.

        It ends at the time that the result names: as asked, or earlier with the keys that sign it.
        That there is such an object is not checked. Raises UnsupportedError where no server
        answers URLs.
        """
        check_key(key)
        if grant.content_type is not None:
            check_content_type(grant.content_type)
        if not isinstance(self._driver, Presigner):
            raise UnsupportedError(Capability.PRESIGN, self._driver.name)
        return await self._driver.presign(key, grant)

    async def sweep_incomplete(self, older_than: timedelta) -> int:
        """Remove uploads that began longer ago than *older_than*; return how many.

        On S3 a writer that died leaves an upload in parts, which costs money and is in no listing;
        only its age tells it from one under way, so choose more than any upload takes. All such
        uploads of the bucket go, also those of other programs. Elsewhere it is `sweep`.
        """
        if older_than < timedelta(0):
            raise InvalidValueError(
                "sweep", "older_than", f"expected no less than 0, got {older_than}"
            )
        if isinstance(self._driver, IncompleteSweeper):
            return await self._driver.sweep_incomplete(older_than)
        return await self._driver.sweep()

    async def _fetch(
        self, info: ObjectInfo, reading: ParallelReading, file: NewFile, meter: Meter
    ) -> None:
        async def sink(offset: int, chunk: bytes) -> None:
            await self._local(file.temporary, partial(file.write_at, offset, chunk))
            meter.advance(len(chunk))

        await reading.read_all(sink)
        digest = Digest(self._offload)
        source = await source_of(file.temporary, self._offload)
        async with aclosing(source.chunks) as chunks:
            async for chunk in chunks:
                await digest.add(chunk)
        digest.check(info)

    async def _local(self, path: Path, step: Callable[[], object]) -> None:
        with refusals(path):
            await self._offload.run(step)

    def _check_condition(self, options: PutOptions) -> None:
        for asked, capability in (
            (options.if_absent, Capability.CONDITIONAL_CREATE),
            (options.if_match is not None, Capability.CONDITIONAL_REPLACE),
        ):
            if asked and capability not in self._driver.capabilities:
                raise UnsupportedError(capability, self._driver.name)


def _checked_range(info: ObjectInfo, start: int | None, end: int | None) -> tuple[int, int]:
    first = 0 if start is None else start
    last = info.size if end is None else end
    if not 0 <= first <= last <= info.size:
        raise InvalidValueError(
            "object",
            "range",
            f"{info.key!r} has {info.size} bytes, expected 0 <= start <= end <= {info.size}, "
            f"got start={start}, end={end}",
        )
    return first, last


def _place(target: Path, temporary: Path) -> None:
    if target.is_dir():
        raise StorageError(f"{target}: it is a folder, expected the name of a file")
    temporary.replace(target)
    sync_folder(target.parent)
