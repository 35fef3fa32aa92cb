"""Synchronizes a folder and a prefix, in either direction."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from holdfast.errors import ObjectKeyError, StorageError
from holdfast.objects.checks import check_key
from holdfast.objects.localfile import refusals

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping

    from holdfast.objects.object_info import ObjectInfo
    from holdfast.offload import Offload

MTIME = "mtime"  # nanoseconds since 1970, in the metadata of what came from a folder


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


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    size: int
    mtime: int


async def push(
    bucket: SyncedBucket, offload: Offload, folder: Path, prefix: str, *, delete: bool
) -> SyncReport:
    """Upload the files of *folder* to *prefix*; remove other objects if *delete*."""
    with refusals(folder):
        files, skipped = await offload.run(_walk, folder)
    local = {check_key(prefix + name): file for name, file in files.items()}
    stale: list[str] = []
    same: set[str] = set()
    async for info in bucket.list(prefix):
        file = local.get(info.key)
        if file is None:
            stale.append(info.key)
        elif await _is_same(bucket, offload, info, file):
            same.add(info.key)
    changed = sorted(local.keys() - same)
    for key in changed:
        await bucket.upload(local[key].path, key, metadata={MTIME: str(local[key].mtime)})
    if delete:
        await bucket.delete_many(stale)
    return SyncReport(tuple(changed), tuple(stale) if delete else (), len(same), tuple(skipped))


async def pull(
    bucket: SyncedBucket, offload: Offload, prefix: str, folder: Path, *, delete: bool
) -> SyncReport:
    """Download the objects under *prefix* to *folder*; remove other files if *delete*.

    All names are checked before the first file is written.
    """
    found = {info.key: info async for info in bucket.list(prefix)}
    skipped = tuple(key for key in found if key.endswith("/"))
    found = {key: info for key, info in found.items() if not key.endswith("/")}
    paths = {key: _path_of(folder, key, key[len(prefix) :]) for key in found}
    with refusals(folder):
        await offload.run(partial(folder.mkdir, parents=True, exist_ok=True))
        files, _ = await offload.run(_walk, folder)
    changed: list[str] = []
    for key, info in found.items():
        file = files.get(paths[key].relative_to(folder).as_posix())
        if file is not None and await _is_same(bucket, offload, info, file):
            continue
        with refusals(paths[key]):
            await offload.run(_make_room, folder, paths[key].parent)
        downloaded = await bucket.download(key, paths[key])
        with refusals(paths[key]):
            await offload.run(_stamp, paths[key], downloaded)
        changed.append(key)
    wanted = {path.relative_to(folder).as_posix() for path in paths.values()}
    stale = sorted(files.keys() - wanted) if delete else []
    for name in stale:
        with refusals(folder / name):
            await offload.run(_remove, folder, files[name].path)
    return SyncReport(tuple(changed), tuple(stale), len(found) - len(changed), skipped)


async def _is_same(bucket: SyncedBucket, offload: Offload, listed: ObjectInfo, file: _File) -> bool:
    """Return whether *file* has the bytes of the object: by size and time, else by SHA-256."""
    info: ObjectInfo | None = listed
    if (
        listed.metadata is None
    ):  # the listing has too little, and its size may be that of compressed bytes
        info = await bucket.head(listed.key)
    if info is None or info.size != file.size:
        return False
    if (info.metadata or {}).get(MTIME) == str(file.mtime):
        return True
    with refusals(file.path):
        return info.sha256 is not None and await offload.run(_sha256, file.path) == info.sha256


def _walk(folder: Path) -> tuple[dict[str, _File], list[str]]:
    """Return the regular files below *folder* by relative name, and the names of the rest.

    Links are not followed.
    """
    if not folder.is_dir():
        raise StorageError(f"{folder}: expected a folder")
    files: dict[str, _File] = {}
    skipped: list[str] = []
    for above, folders, names in os.walk(folder, onerror=_raise):
        folders.sort()
        for name in (*folders, *names):
            path = Path(above) / name
            state = path.lstat()
            relative = path.relative_to(folder).as_posix()
            if not _is_text(relative):
                skipped.append(relative)
            elif stat.S_ISREG(state.st_mode) and not _is_temporary(name):
                files[relative] = _File(path, state.st_size, state.st_mtime_ns)
            elif not stat.S_ISDIR(state.st_mode):
                skipped.append(relative)
    return files, sorted(skipped)


def _is_text(name: str) -> bool:
    """Tell whether a file's name is UTF-8, which keys are."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _raise(error: OSError) -> None:
    raise error


def _is_temporary(name: str) -> bool:
    """Return whether a download that was killed left it."""
    return name.startswith(".") and "~" in name


def _path_of(folder: Path, key: str, name: str) -> Path:
    parts = name.split("/")
    if any(part in ("", ".", "..") or "\0" in part for part in parts):
        raise ObjectKeyError(key, "no file below a folder can have this name")
    return folder.joinpath(*parts)


def _make_room(folder: Path, parent: Path) -> None:
    parent.mkdir(parents=True, exist_ok=True)
    if not parent.resolve().is_relative_to(folder.resolve()):
        raise StorageError(f"{parent}: a link leads out of {folder}")


def _stamp(path: Path, info: ObjectInfo) -> None:
    text = (info.metadata or {}).get(MTIME, "")
    if text.isascii() and text.isdigit() and len(text) < 20:
        os.utime(path, ns=(int(text), int(text)))


def _remove(folder: Path, path: Path) -> None:
    path.unlink(missing_ok=True)
    for above in path.parents:
        if above == folder:
            return
        try:
            above.rmdir()
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            return


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
