"""The files of a folder that is synchronized: which there are, and which would be in the way."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.errors import ObjectKeyError, StorageError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from holdfast.objects.object_info import ObjectInfo

MTIME = "mtime"  # seconds since 1970 with a fraction, in the metadata of what came from a folder
_SECONDS = re.compile(r"(-?)(\d{1,11})(?:\.(\d{1,9})\d*)?", re.ASCII)
_NANOSECONDS = re.compile(r"-?\d{12,19}", re.ASCII)  # what Holdfast wrote before


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A regular file; *mtime* is in nanoseconds since 1970."""

    path: Path
    size: int
    mtime: int


def mtime_text(nanoseconds: int) -> str:
    """Return a file's time as metadata: seconds with nine digits behind the point, as rclone."""
    sign = "-" if nanoseconds < 0 else ""
    seconds, rest = divmod(abs(nanoseconds), 10**9)
    return f"{sign}{seconds}.{rest:09d}"


def mtime_of(info: ObjectInfo) -> int | None:
    """Return the file's time in the metadata of *info*, in nanoseconds, None without one."""
    text = (info.metadata or {}).get(MTIME, "")
    if _NANOSECONDS.fullmatch(text):
        found = int(text)
    elif seconds := _SECONDS.fullmatch(text):
        sign, whole, fraction = seconds.groups()
        found = int(whole) * 10**9 + int((fraction or "").ljust(9, "0"))
        found = -found if sign else found
    else:
        return None
    return found if abs(found) < 2**63 else None


def walk(folder: Path) -> tuple[dict[str, LocalFile], list[str]]:
    """Return the regular files below *folder* by relative name, and the names of the rest.

    Links are not followed.
    """
    if not folder.is_dir():
        raise StorageError(f"{folder}: expected a folder")
    files: dict[str, LocalFile] = {}
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
                files[relative] = LocalFile(path, state.st_size, state.st_mtime_ns)
            elif not stat.S_ISDIR(state.st_mode):
                skipped.append(relative)
    return files, sorted(skipped)


def names_below(keys: Iterable[str], prefix: str) -> dict[str, str]:
    """Return the name below a folder of each of *keys*, which start with *prefix*.

    Raises ObjectKeyError for one that no file could have, and for one that is a folder to another.
    """
    names = {key: key[len(prefix) :] for key in keys}
    by_name = {name: key for key, name in names.items()}
    for key, name in names.items():
        parts = name.split("/")
        if any(part in ("", ".", "..") or "\0" in part for part in parts):
            raise ObjectKeyError(key, "no file below a folder can have this name")
        for end in range(1, len(parts)):
            above = by_name.get("/".join(parts[:end]))
            if above is not None:
                raise ObjectKeyError(
                    key, f"a folder can't hold it beside {above!r}, which is no folder"
                )
    return names


def clear_way(
    folder: Path, names: Iterable[str], files: Mapping[str, LocalFile], removable: Collection[str]
) -> set[str]:
    """Look at what is in the way of files with *names* below *folder*, before any is written.

    Of *files*, those that are *removable* and in the way are removed; returns which. Raises
    StorageError for anything else: a link where a file must be or that leads out of the folder, a
    pipe, a folder where a file must be, a file where a folder must be.
    """
    doomed: set[str] = set()
    seen: set[Path] = set()
    for name in names:
        path = folder / name
        for place in (*reversed(path.relative_to(folder).parents), None):
            here = path if place is None else folder / place
            if here == folder or (here in seen and place is not None):
                continue
            seen.add(here)
            relative = here.relative_to(folder).as_posix()
            try:
                mode = here.lstat().st_mode
            except (FileNotFoundError, NotADirectoryError):
                break
            wanted = stat.S_ISREG if place is None else stat.S_ISDIR
            if wanted(mode):
                continue
            if place is not None and stat.S_ISLNK(mode) and here.is_dir():
                if not here.resolve().is_relative_to(folder.resolve()):
                    raise StorageError(f"{here}: a link leads out of {folder}")
                continue
            inside = [each for each in files if each == relative or each.startswith(relative + "/")]
            if not inside or not all(each in removable for each in inside):
                kind = "a regular file" if place is None else "a folder"
                raise StorageError(f"{here}: it is in the way of {name!r}; expected {kind}")
            doomed.update(inside)
            break
    for relative in sorted(doomed):
        remove(folder, files[relative].path)
    return doomed


def make_room(folder: Path, parent: Path) -> None:
    """Make *parent*, which is below *folder*. Raises StorageError when a link leads out of it."""
    existing = parent
    while not existing.exists() and not existing.is_symlink():
        existing = existing.parent
    if not existing.resolve().is_relative_to(folder.resolve()):
        raise StorageError(f"{parent}: a link leads out of {folder}")
    parent.mkdir(parents=True, exist_ok=True)


def stamp(path: Path, info: ObjectInfo) -> None:
    """Give the file *path* the time in the metadata of *info*, if there is one."""
    mtime = mtime_of(info)
    if mtime is None:
        return
    try:
        os.utime(path, ns=(mtime, mtime))
    except OverflowError:  # a time that this system can't hold
        return


def remove(folder: Path, path: Path) -> None:
    """Remove the file *path*, and the folders above it, below *folder*, that are empty then."""
    path.unlink(missing_ok=True)
    for above in path.parents:
        if above == folder:
            return
        try:
            above.rmdir()
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT):
                raise
            return


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of the file *path* in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_text(name: str) -> bool:
    """Return whether a file's name is UTF-8, which keys are."""
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
