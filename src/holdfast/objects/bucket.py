"""The bucket: puts, gets, lists, copies and deletes objects on any backend."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, overload

from holdfast.errors import InvalidValueError, ObjectNotFoundError, PreconditionFailedError
from holdfast.objects.capabilities import BulkDeleter
from holdfast.objects.checks import (
    check_content_type,
    check_count,
    check_key,
    check_metadata,
    check_options,
    check_prefix,
    check_tags,
    check_version,
    content_type_of,
)
from holdfast.objects.cleanup import BucketCleanup
from holdfast.objects.download import borrowed, download
from holdfast.objects.filter import Filter, filtered
from holdfast.objects.folder_sync import SyncReport, pull, push
from holdfast.objects.instrumentation import NO_HOOKS, Hooks
from holdfast.objects.reader import opened
from holdfast.objects.resumable_download import resume_download
from holdfast.objects.upload import PutHeaders, PutOptions, upload

if TYPE_CHECKING:
    from collections.abc import (
        AsyncIterator,
        Awaitable,
        Callable,
        Collection,
        Iterable,
        Mapping,
        Sequence,
    )

    from holdfast.objects.body import Body
    from holdfast.objects.driver import BucketDriver, RangeReader
    from holdfast.objects.object_info import CommonPrefix, ObjectInfo, ObjectVersion
    from holdfast.objects.reader import ObjectReader
    from holdfast.objects.transfer import Progress
    from holdfast.offload import Offload

T = TypeVar("T")

_DEFAULTS = PutOptions()


class Bucket(BucketCleanup):
    """Objects under keys: bytes with a content type and metadata, replaced and removed as wholes.

    Safe to use from many tasks at once. Every write is atomic and durable when its call returns;
    one that fails or is cancelled leaves what was there before, or the whole new object.
    """

    def __init__(self, driver: BucketDriver, offload: Offload, hooks: Hooks = NO_HOOKS) -> None:
        super().__init__(driver, offload, hooks)

    async def put(
        self,
        key: str,
        body: Body,
        *,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        options: PutOptions = _DEFAULTS,
    ) -> ObjectInfo:
        """Store *body* as *key*, replacing what is there, and return what was stored.

        The content type is guessed from the key when it is not given. Bodies of any size pass in
        windows of 256 KiB. Atomic and durable when it returns. Raises PreconditionFailedError
        when the condition in *options* does not hold, UnsupportedError when the backend can't do
        what they ask for, InvalidValueError and ObjectKeyError for bad arguments, IntegrityError
        when a file changes while it is read; then nothing was stored.
        """
        check_key(key)
        check_options(options, PutOptions)
        kind = check_content_type(content_type_of(key) if content_type is None else content_type)
        checked = check_metadata({} if metadata is None else metadata)
        headers = PutHeaders(key, kind, checked, check_tags(options.tags))
        if self._compression is not None and options.compression is None:
            options = replace(options, compression=self._compression)
        if options is not _DEFAULTS:
            self._check_options(options)
        call = upload(self._driver, self._offload, headers, body, options)
        return await self._record_write("put", (key,), call, _size)

    async def get(
        self,
        key: str,
        *,
        start: int | None = None,
        end: int | None = None,
        version: str | None = None,
        if_match: str | None = None,
    ) -> bytes:
        """Return the bytes of *key* from offset *start* up to but not including *end*.

        Without them, from the first and to the last byte; the whole is checked against its
        checksum (IntegrityError). A range of a compressed object costs what lies before it too.
        Raises ObjectNotFoundError, InvalidValueError unless ``0 <= start <= end <= size``, and
        PreconditionFailedError unless the object has the etag *if_match*, so that pieces got one
        by one are of one object.
        """
        first = check_count(start, of="object", field="start")
        last = check_count(end, of="object", field="end")
        call = self._get(self._reader(key, version), first, last, if_match)
        return await self._recorder.timed("get", call, len)

    async def _get(
        self, reader: RangeReader, start: int | None, end: int | None, if_match: str | None
    ) -> bytes:
        try:
            return await (await opened(reader, self._offload, (start, end), if_match)).read()
        finally:
            await reader.close()

    @asynccontextmanager
    async def open(
        self,
        key: str,
        *,
        start: int | None = None,
        end: int | None = None,
        version: str | None = None,
        if_match: str | None = None,
    ) -> AsyncIterator[ObjectReader]:
        """Open *key* for streaming; it reads the same when it is replaced or deleted meanwhile.

        *start* and *end* are a range of its bytes, as in `get`, of which the reader then reads
        alone. Raises ObjectNotFoundError, and what `get` raises for *start*, *end*, *if_match*.
        """
        first = check_count(start, of="object", field="start")
        last = check_count(end, of="object", field="end")
        reader = self._reader(key, version)
        try:
            call = opened(reader, self._offload, (first, last), if_match)
            yield await self._recorder.timed("open", call)
        finally:
            await reader.close()

    async def upload(
        self,
        path: str | Path,
        key: str,
        *,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        progress: Progress | None = None,
        options: PutOptions = _DEFAULTS,
    ) -> ObjectInfo:
        """Store the local file *path* as *key*: `put` of a path, with the same promises."""
        check_options(options, PutOptions)
        return await self.put(
            key,
            Path(path),
            content_type=content_type,
            metadata=metadata,
            options=options if progress is None else replace(options, progress=progress),
        )

    async def download(
        self,
        key: str,
        path: str | Path,
        *,
        version: str | None = None,
        progress: Progress | None = None,
        resume: bool = False,
    ) -> ObjectInfo:
        """Write *key* to the local file *path*, replacing it, and return what was downloaded.

        The file appears complete, checked against its checksum and durable, or not at all. With
        *resume*, what came before it broke off is kept hidden beside it, and another call goes on
        from there, as long as the object is the same; progress then starts with what is there.
        Raises ObjectNotFoundError, IntegrityError, StorageError.
        """
        reader, target = self._reader(key, version), Path(path)
        if resume:
            call = resume_download(
                reader, target, version, offload=self._offload, progress=progress
            )
        else:
            call = download(reader, target, self._offload, progress)
        return await self._recorder.timed("download", call, _size)

    async def head(self, key: str, *, version: str | None = None) -> ObjectInfo | None:
        """Return the description of *key*, None when there is no such object."""
        check_key(key)
        if version is not None:
            call = self._version_store().head_version(key, check_version(version))
        elif self._hooked:
            call = self._instrumentation.head(key, lambda: self._driver.head(key))
        else:
            call = self._driver.head(key)
        return await self._recorder.timed("head", call)

    async def exists(self, key: str) -> bool:
        """Return whether there is such an object."""
        return await self.head(key) is not None

    @overload
    def list(
        self,
        prefix: str = "",
        *,
        delimiter: None = None,
        start_after: str | None = None,
        where: Filter | None = None,
    ) -> AsyncIterator[ObjectInfo]: ...
    @overload
    def list(
        self,
        prefix: str = "",
        *,
        delimiter: str,
        start_after: str | None = None,
        where: Filter | None = None,
    ) -> AsyncIterator[ObjectInfo | CommonPrefix]: ...
    def list(
        self,
        prefix: str = "",
        *,
        delimiter: str | None = None,
        start_after: str | None = None,
        where: Filter | None = None,
    ) -> AsyncIterator[ObjectInfo] | AsyncIterator[ObjectInfo | CommonPrefix]:
        """Yield the objects whose key starts with *prefix*, in code-point order of their keys.

        With a *delimiter*, all keys that have it behind the prefix become one CommonPrefix each,
        up to and with the delimiter, in its place in the order. Only entries behind *start_after*
        come, so another listing can go on behind the last entry of this one. What is there the
        whole time is listed once; what comes or goes meanwhile may be listed or not. With *where*,
        only objects that fit it come.
        """
        check_prefix(prefix)
        if start_after is not None:
            check_prefix(start_after)
        if delimiter is not None and not check_prefix(delimiter):
            raise InvalidValueError("listing", "delimiter", "it is empty; expected text or None")
        if where is not None:
            check_options(where, Filter, "where")
            return filtered(self._driver, where, prefix, after=start_after, delimiter=delimiter)
        return self._driver.list(prefix, after=start_after, delimiter=delimiter)

    async def delete(self, key: str, *, version: str | None = None) -> bool:
        """Remove *key*; return whether it was there. Atomic.

        Where the bucket keeps versions, they stay, and a delete marker hides them. With a
        *version*, that version is removed permanently; when it is a delete marker, the object is
        back. Then the answer says whether there was such a version. Raises ObjectLockedError when
        a lock holds it.
        """
        check_key(key)
        if version is None:
            call = self._driver.delete(key)
        else:
            call = self._version_store().delete_version(key, check_version(version))
        return await self._record_write("delete", (key,), call)

    async def delete_many(self, keys: Iterable[str]) -> int:
        """Remove each of *keys*; return how many were there.

        All keys are checked before the first is removed. Not atomic: a StorageError in between
        leaves the rest.
        """
        if isinstance(keys, str):
            raise InvalidValueError("object", "keys", "expected an iterable of keys, got one text")
        checked = [check_key(key) for key in keys]
        call = self._delete_all(checked)
        return await self._record_write("delete_many", checked, call)

    async def _delete_all(self, keys: Sequence[str]) -> int:
        if isinstance(self._driver, BulkDeleter):
            return await self._driver.delete_many(keys)
        return sum([await self._driver.delete(key) for key in keys])

    async def copy(self, source: str, target: str) -> ObjectInfo:
        """Store *source*'s bytes, content type, metadata and tags as *target*; return that.

        Atomic and durable when it returns. Raises ObjectNotFoundError.
        """
        call = self._driver.copy(check_key(source), check_key(target))
        return await self._record_write("copy", (target,), call, _size)

    async def move(self, source: str, target: str) -> ObjectInfo:
        """Store *source* as *target*, as `copy` does, and remove *source*; return what is stored.

        Not atomic: for a moment both are there, and both stay when it breaks off. Raises
        ObjectNotFoundError, and PreconditionFailedError when somebody replaced *source* meanwhile:
        then it stays, beside the copy of what it was.
        """
        call = self._move(check_key(source), check_key(target))
        return await self._record_write("move", (source, target), call, _size)

    async def _move(self, source: str, target: str) -> ObjectInfo:
        before = await self._driver.head(source)
        if before is None:
            raise ObjectNotFoundError(source)
        if source == target:
            return before
        stored = await self._driver.copy(source, target)
        now = await self._driver.head(source)
        if now is not None and now.etag != before.etag:
            raise PreconditionFailedError("object", source)
        await self._driver.delete(source)
        return stored

    @asynccontextmanager
    async def as_file(self, key: str) -> AsyncIterator[Path]:
        """Give *key* as a local file for reading, with the key's extension.

        On disk it is the stored file itself, without a copy; elsewhere a checked download that is
        removed afterwards. It stays the same when the object is replaced or deleted meanwhile.
        Raises ObjectNotFoundError.
        """
        check_key(key)
        async with borrowed(self._driver, self._offload, key) as path:
            yield path

    async def tags(self, key: str) -> dict[str, str]:
        """Return the tags of *key*. Raises ObjectNotFoundError."""
        check_key(key)
        return await self._tagger().tags(key)

    async def set_tags(self, key: str, tags: Mapping[str, str]) -> None:
        """Replace the tags of *key*; etag, version and time of the object stay.

        At most 10, of letters, digits, spaces and ``+ - = . _ : / @``. Atomic. Raises
        ObjectNotFoundError, InvalidValueError.
        """
        check_key(key)
        call = self._tagger().set_tags(key, check_tags(tags))
        await self._record_write("set_tags", (key,), call)

    def versions(self, prefix: str = "") -> AsyncIterator[ObjectVersion]:
        """Yield every version and delete marker of keys that start with *prefix*.

        Keys come in code-point order, the versions of one from the newest to the oldest. Where
        versions were never kept, every object is one version called ``null``.
        """
        check_prefix(prefix)
        return self._version_store().versions(prefix)

    async def restore(self, key: str, version: str) -> ObjectInfo:
        """Store that version of *key* again, as the newest, and return that. Atomic.

        The version itself stays. Raises ObjectNotFoundError, also for a delete marker: `delete`
        of the marker by its version brings back what it hides.
        """
        call = self._version_store().restore(check_key(key), check_version(version))
        return await self._record_write("restore", (key,), call, _size)

    async def sync_up(
        self, folder: str | Path, prefix: str = "", *, delete: bool = False
    ) -> SyncReport:
        """Upload the files below *folder* that are not the same under *prefix* already.

        A file is the same as an object with the same size and time, or else the same SHA-256; so
        another run continues one that broke off. With *delete*, objects under *prefix* without a
        file are removed, last of all. Links and what is not a regular file are left out; the
        report names them. Each object appears as a whole, the run as such is not atomic. Raises
        StorageError for what can't be read.
        """
        check_prefix(prefix)
        return await push(self, self._offload, Path(folder), prefix, delete=delete)

    async def sync_down(
        self, prefix: str, folder: str | Path, *, delete: bool = False
    ) -> SyncReport:
        """Download the objects under *prefix* that are not the same below *folder* already.

        The same as `sync_up` in the other direction; with *delete*, files without an object are
        removed. Raises ObjectKeyError, before anything is written, for a key that would leave the
        folder.
        """
        check_prefix(prefix)
        return await pull(self, self._offload, prefix, Path(folder), delete=delete)

    async def _record_write(
        self,
        operation: str,
        keys: Collection[str],
        call: Awaitable[T],
        size: Callable[[T], int] | None = None,
    ) -> T:
        """Return what *call*, a write of *keys*, returns: counted, and passed to the hooks."""
        if not self._hooked:
            return await self._recorder.timed(operation, call, size)
        return await self._instrumentation.write(
            operation, keys, call, actor=self._actor, size=size
        )

    def _reader(self, key: str, version: str | None) -> RangeReader:
        check_key(key)
        if version is None:
            return self._driver.read(key)
        return self._version_store().read_version(key, check_version(version))


def _size(info: ObjectInfo) -> int:
    return info.size
