"""Synchronizes a folder and a prefix, in either direction."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

from holdfast.objects.checks import check_key
from holdfast.objects.folder_files import (
    MTIME,
    clear_way,
    make_room,
    mtime_of,
    mtime_text,
    names_below,
    remove,
    sha256_of,
    stamp,
    walk,
)
from holdfast.objects.localfile import refusals

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
    from pathlib import Path

    from holdfast.objects.folder_files import LocalFile
    from holdfast.objects.object_info import ObjectInfo
    from holdfast.offload import Offload

_AT_ONCE = 32  # files and objects, so that the way to a server is waited for together


@dataclass(frozen=True, slots=True)
class SyncReport:
    """The keys that were *transferred* and *deleted*, and how many were *unchanged*.

    *skipped* is what was left out. Of `sync_up`: the names below the folder of links, pipes and
    other things that are not regular files, names that are not UTF-8, and what looks like a
    download that broke off (``.…~…``). Of `sync_down`: keys that end in a slash.
    """

    transferred: tuple[str, ...]
    deleted: tuple[str, ...]
    unchanged: int
    skipped: tuple[str, ...] = ()


class SyncedBucket(Protocol):
    """What a sync needs of a bucket: `Bucket` has these, with more parameters."""

    def list(self, prefix: str) -> AsyncIterator[ObjectInfo]:
        """Yield the objects under *prefix*."""
        ...

    async def head(self, key: str) -> ObjectInfo | None:
        """Return the description of *key*."""
        ...

    async def upload(self, path: Path, key: str, *, metadata: Mapping[str, str]) -> ObjectInfo:
        """Store a local file."""
        ...

    async def download(self, key: str, path: Path) -> ObjectInfo:
        """Write an object to a local file."""
        ...

    async def delete_many(self, keys: Iterable[str]) -> int:
        """Remove *keys*."""
        ...


async def push(
    bucket: SyncedBucket, offload: Offload, folder: Path, prefix: str, *, delete: bool
) -> SyncReport:
    """Upload the files of *folder* to *prefix*; remove other objects if *delete*."""
    with refusals(folder):
        files, skipped = await offload.run(walk, folder)
    local = {check_key(prefix + name): file for name, file in files.items()}
    found = {info.key: info async for info in bucket.list(prefix)}
    both = [key for key in local if key in found]
    same = await _same(bucket, offload, [(found[key], local[key]) for key in both])
    changed = sorted(local.keys() - same)

    async def upload(key: str) -> None:
        file = local[key]
        await bucket.upload(file.path, key, metadata={MTIME: mtime_text(file.mtime)})

    await offload.all_of([partial(upload, key) for key in changed], at_once=_AT_ONCE)
    stale = [key for key in found if key not in local] if delete else []
    if stale:
        await bucket.delete_many(stale)
    return SyncReport(tuple(changed), tuple(stale), len(same), tuple(skipped))


async def pull(
    bucket: SyncedBucket, offload: Offload, prefix: str, folder: Path, *, delete: bool
) -> SyncReport:
    """Download the objects under *prefix* to *folder*; remove other files if *delete*.

    All names, and what is in their way, are checked before the first file is written.
    """
    found = {info.key: info async for info in bucket.list(prefix)}
    skipped = tuple(key for key in found if key.endswith("/"))
    found = {key: info for key, info in found.items() if not key.endswith("/")}
    names = names_below(found, prefix)
    with refusals(folder):
        await offload.run(partial(folder.mkdir, parents=True, exist_ok=True))
        files, _ = await offload.run(walk, folder)
        stale = sorted(files.keys() - set(names.values())) if delete else []
        gone = await offload.run(clear_way, folder, names.values(), files, frozenset(stale))
    there = [(found[key], files[name]) for key, name in names.items() if name in files]
    same = await _same(bucket, offload, there)
    changed = [key for key in found if key not in same]

    async def download(key: str) -> None:
        path = folder / names[key]
        with refusals(path):
            await offload.run(make_room, folder, path.parent)
        downloaded = await bucket.download(key, path)
        with refusals(path):
            await offload.run(stamp, path, downloaded)

    await offload.all_of([partial(download, key) for key in changed], at_once=_AT_ONCE)
    for name in (name for name in stale if name not in gone):
        with refusals(folder / name):
            await offload.run(remove, folder, files[name].path)
    return SyncReport(tuple(changed), tuple(stale), len(same), skipped)


async def _same(
    bucket: SyncedBucket, offload: Offload, pairs: Sequence[tuple[ObjectInfo, LocalFile]]
) -> set[str]:
    """Return the keys of those *pairs* whose file has the bytes of the object."""
    calls = [partial(_is_same, bucket, offload, info, file) for info, file in pairs]
    answers = await offload.all_of(calls, at_once=_AT_ONCE)
    return {info.key for (info, _), same in zip(pairs, answers, strict=True) if same}


async def _is_same(
    bucket: SyncedBucket, offload: Offload, listed: ObjectInfo, file: LocalFile
) -> bool:
    """Return whether *file* has the bytes of the object: by size and time, else by SHA-256."""
    info: ObjectInfo | None = listed
    if (
        listed.metadata is None
    ):  # the listing has too little, and its size may be that of compressed bytes
        info = await bucket.head(listed.key)
    if info is None or info.size != file.size:
        return False
    if mtime_of(info) == file.mtime:
        return True
    with refusals(file.path):
        return info.sha256 is not None and await offload.run(sha256_of, file.path) == info.sha256
