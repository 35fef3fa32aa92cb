"""The bucket that people hold."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast, overload

from holdfast.errors import InvalidValueError, PreconditionFailedError
from holdfast.objects.abilities import (
    BulkDeleter,
    Historian,
    Tagger,
)
from holdfast.objects.driver import Capability, need
from holdfast.objects.erasure import Erasure, erase
from holdfast.objects.fetching import fetch, fetch_on, lent
from holdfast.objects.filtering import Filter, filtered
from holdfast.objects.history import check_version
from holdfast.objects.keys import check_key, check_prefix
from holdfast.objects.metadata import check_content_type, check_metadata, content_type_of
from holdfast.objects.mirroring import SyncReport, pull, push
from holdfast.objects.ranges import check_count, span_of
from holdfast.objects.reader import ObjectReader
from holdfast.objects.storing import Label, PutOptions, store
from holdfast.objects.tags import check_tags
from holdfast.objects.transfer import Digest
from holdfast.objects.unpacking import plain
from holdfast.objects.upkeep import Upkeep
from holdfast.objects.watching import Hooks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

    from holdfast.objects.driver import CommonPrefix, Driver, ObjectInfo, Reading
    from holdfast.objects.history import ObjectVersion
    from holdfast.objects.sources import Body
    from holdfast.objects.transfer import Progress
    from holdfast.offload import Offload

_PLAIN = PutOptions()
_QUIET = Hooks()


class Bucket(Upkeep):
    """Objects under keys: bytes with a content type and metadata, replaced and removed as wholes.

    Safe to use from many tasks at once. Every write is atomic and durable when its call returns;
    one that fails or is cancelled leaves what was there before, or the whole new object.
    """

    def __init__(self, driver: Driver, offload: Offload, hooks: Hooks = _QUIET) -> None:
        super().__init__(driver, offload, hooks)

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
        carried = check_metadata({} if metadata is None else metadata)
        label = Label(key, kind, carried, check_tags(options.tags))
        if options is not _PLAIN:
            self._check_options(options)
        call = store(self._driver, self._offload, label, body, options)
        return await self._watch.writing("put", (key,), call, actor=self._actor, made=_same)

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
        call = self._got(self._reading(key, version), first, last, if_match)
        return await self._watch.reading("get", call, len)

    async def _got(
        self, reading: Reading, start: int | None, end: int | None, if_match: str | None
    ) -> bytes:
        try:
            info = await reading.open(start, end)
            if if_match not in (None, info.etag):
                raise PreconditionFailedError("object", info.key)
            first, last = span_of(info, start, end)
            content = await plain(info, reading, self._offload).read(first, last - first)
        finally:
            await reading.close()
        if len(content) == info.size:
            digest = Digest(self._offload)
            await digest.add(content)
            digest.check(info)
        return content

    @asynccontextmanager
    async def open(self, key: str, *, version: str | None = None) -> AsyncIterator[ObjectReader]:
        """Hold *key* open for streaming; it reads the same when replaced or deleted meanwhile.

        Raises ObjectNotFoundError.
        """
        reading = self._reading(key, version)
        try:
            info = await self._watch.reading("open", reading.open())
            yield ObjectReader(info, reading, self._offload)
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
        options: PutOptions = _PLAIN,
    ) -> ObjectInfo:
        """Store the local file *path* as *key*: `put` of a path, with the same promises."""
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
        reading, target = self._reading(key, version), Path(path)
        if resume:
            call = fetch_on(reading, target, version, offload=self._offload, progress=progress)
        else:
            call = fetch(reading, target, self._offload, progress)
        return await self._watch.reading("download", call, _size)

    async def head(self, key: str, *, version: str | None = None) -> ObjectInfo | None:
        """Return what is known of *key*, None when there is no such object."""
        check_key(key)
        if version is not None:
            call = self._historian().head_version(key, check_version(version))
        else:
            call = self._watch.head(key, lambda: self._driver.head(key))
        return await self._watch.reading("head", call)

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

        With a *delimiter*, all keys that hold it behind the prefix are gathered into one
        CommonPrefix each, up to and with the delimiter, in its place in the order. Only entries
        behind *start_after* come, so the last entry of one listing continues in another. What is
        there throughout is listed once; what comes or goes meanwhile may be listed or not. Of
        objects, only those come that fit *where*.
        """
        check_prefix(prefix)
        if start_after is not None:
            check_prefix(start_after)
        if delimiter is not None and not check_prefix(delimiter):
            raise InvalidValueError("listing", "delimiter", "it is empty; expected text or None")
        if where is not None:
            found = filtered(self._driver, where, prefix, after=start_after, delimiter=delimiter)
            return cast("AsyncIterator[ObjectInfo | CommonPrefix]", found)
        return self._driver.list(prefix, after=start_after, delimiter=delimiter)

    async def delete(self, key: str, *, version: str | None = None) -> bool:
        """Remove *key*; return whether it was there.

        Where the bucket keeps versions, they stay, and a marker says that it is deleted. With a
        *version*, that one goes for good, and with a marker's the object is back: then the answer
        says whether there was such a version. Raises ObjectLockedError when a lock holds it.
        """
        check_key(key)
        if version is None:
            call = self._driver.delete(key)
        else:
            call = self._historian().delete_version(key, check_version(version))
        return await self._watch.writing("delete", (key,), call, actor=self._actor)

    async def delete_many(self, keys: Iterable[str]) -> int:
        """Remove each of *keys*; return how many were there.

        All keys are checked before the first is removed. Not atomic: a StorageError in between
        leaves the rest.
        """
        if isinstance(keys, str):
            raise InvalidValueError("object", "keys", "expected an iterable of keys, got one text")
        checked = [check_key(key) for key in keys]
        call = self._delete_all(checked)
        return await self._watch.writing("delete_many", checked, call, actor=self._actor)

    async def _delete_all(self, keys: Sequence[str]) -> int:
        if isinstance(self._driver, BulkDeleter):
            return await self._driver.delete_many(keys)
        return sum([await self._driver.delete(key) for key in keys])

    async def copy(self, source: str, target: str) -> ObjectInfo:
        """Store *source*'s bytes, content type, metadata and tags as *target*; return that.

        Raises ObjectNotFoundError.
        """
        call = self._driver.copy(check_key(source), check_key(target))
        return await self._watch.writing("copy", (target,), call, actor=self._actor, made=_same)

    @asynccontextmanager
    async def as_file(self, key: str) -> AsyncIterator[Path]:
        """Hold *key* as a local file for reading, with the key's extension.

        On disk it is the stored file itself, without a copy; elsewhere a checked download that is
        removed afterwards. It stays what it is when the object is replaced or deleted meanwhile.
        Raises ObjectNotFoundError.
        """
        check_key(key)
        async with lent(self._driver, self._offload, key) as path:
            yield path

    async def tags(self, key: str) -> dict[str, str]:
        """Return the tags of *key*. Raises ObjectNotFoundError."""
        check_key(key)
        return await self._tagger().tags(key)

    async def set_tags(self, key: str, tags: Mapping[str, str]) -> None:
        """Replace the tags of *key*; etag, version and time of the object stay.

        At most 10, of letters, digits, spaces and ``+ - = . _ : / @``. Raises ObjectNotFoundError.
        """
        check_key(key)
        call = self._tagger().set_tags(key, check_tags(tags))
        await self._watch.writing("set_tags", (key,), call, actor=self._actor)

    def versions(self, prefix: str = "") -> AsyncIterator[ObjectVersion]:
        """Yield every version and delete marker of keys that start with *prefix*.

        Keys come in code-point order, the versions of one from the newest to the oldest. Where
        versions were never kept, every object is one version called ``null``.
        """
        check_prefix(prefix)
        return self._historian().versions(prefix)

    async def restore(self, key: str, version: str) -> ObjectInfo:
        """Store that version of *key* once more, as the newest, and return that.

        The version stays what it is. Raises ObjectNotFoundError, also for a delete marker: what
        that hides is back when `delete` removes the marker by its version.
        """
        call = self._historian().restore(check_key(key), check_version(version))
        return await self._watch.writing("restore", (key,), call, actor=self._actor, made=_same)

    async def erase(self, key: str) -> Erasure:
        """Remove *key* for good: every version, delete marker and upload under way.

        What a lock holds stays and is reported: look at `held` before you say that it is gone.
        Raises UnsupportedError where the backend may hide what lies inside another key.
        """
        check_key(key)
        call = erase(self._driver, key, lambda found: found == key)
        return await self._watch.writing("erase", (key,), call, actor=self._actor)

    async def erase_prefix(self, prefix: str) -> Erasure:
        """Do as `erase` with all keys that start with *prefix*, which must not be empty."""
        if not check_prefix(prefix):
            raise InvalidValueError(
                "erasure", "prefix", "it is empty, which means the whole bucket"
            )
        gone: dict[str, None] = {}  # in order, and each once whatever its versions

        def belongs(key: str) -> bool:
            gone[key] = None
            return True

        call = erase(self._driver, prefix, belongs)
        return await self._watch.writing("erase", gone, call, actor=self._actor)

    async def sync_up(
        self, folder: str | Path, prefix: str = "", *, delete: bool = False
    ) -> SyncReport:
        """Upload the files below *folder* that are not the same under *prefix* already.

        Same is what has the same size and time, else the same SHA-256; so a run that broke off is
        continued by another. With *delete*, objects under *prefix* without a file go, last of all.
        Links and what is no regular file are left out; the report names them. Each object appears
        as a whole.
        """
        check_prefix(prefix)
        return await push(self, self._offload, Path(folder), prefix, delete=delete)

    async def sync_down(
        self, prefix: str, folder: str | Path, *, delete: bool = False
    ) -> SyncReport:
        """Download the objects under *prefix* that are not the same below *folder* already.

        As `sync_up`, the other way round; with *delete*, files without an object go. Raises
        ObjectKeyError, before anything is written, for a key that would leave the folder.
        """
        check_prefix(prefix)
        return await pull(self, self._offload, prefix, Path(folder), delete=delete)

    def _reading(self, key: str, version: str | None) -> Reading:
        check_key(key)
        if version is None:
            return self._driver.read(key)
        return self._historian().read_version(key, check_version(version))

    def _tagger(self) -> Tagger:
        need(self._driver, Capability.TAGS)
        return cast("Tagger", self._driver)

    def _historian(self) -> Historian:
        need(self._driver, Capability.VERSIONS)
        return cast("Historian", self._driver)

    def _check_options(self, options: PutOptions) -> None:
        for asked, capability in (
            (options.if_absent, Capability.CONDITIONAL_CREATE),
            (options.if_match is not None, Capability.CONDITIONAL_REPLACE),
            (options.tags, Capability.TAGS),
            (options.resume is not None, Capability.RESUMABLE_UPLOADS),
        ):
            if asked:
                need(self._driver, capability)


def _same(info: ObjectInfo) -> ObjectInfo:
    return info


def _size(info: ObjectInfo) -> int:
    return info.size
