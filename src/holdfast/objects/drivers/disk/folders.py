"""Makes and removes folders as they are needed, while other processes do the same."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.errors import LockTimeoutError
from holdfast.objects.localfile import sync_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Modes:
    """Who may read what is made, as bits of a mode; the process's umask takes from them."""

    folder: int
    file: int


PRIVATE = Modes(0o700, 0o600)
SHARED = Modes(0o777, 0o666)

_IN_USE = {errno.ENOTEMPTY, errno.EEXIST, errno.EBUSY, errno.EACCES, errno.EPERM}
_RACES = 1000


def make_folders(folder: Path, modes: Modes) -> None:
    """Make *folder* and those above it that are not there; each survives a power cut.

    Raises OSError where one of them can't be a folder.
    """
    missing = [folder]
    for _ in range(_RACES):  # others may remove what was just made
        try:
            missing[-1].mkdir(modes.folder)
        except FileExistsError:
            if missing[-1].is_symlink() and not missing[-1].exists():
                path = os.fspath(missing[-1])
                raise NotADirectoryError(
                    errno.ENOTDIR, "it is a link to nothing; expected a folder", path
                ) from None
            missing.pop()
        except FileNotFoundError:
            missing.append(missing[-1].parent)
        else:
            sync_folder(missing.pop().parent)
        if not missing:
            return
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), os.fspath(folder))


def place(source: Path, target: Path, modes: Modes) -> None:
    """Rename *source* to *target*, over what is there; the name survives a power cut."""
    _give(source, target, modes, source.replace)


def link(source: Path, target: Path, modes: Modes) -> None:
    """Give *source* the second name *target*, which survives a power cut."""
    _give(source, target, modes, lambda name: name.hardlink_to(source))


def _give(source: Path, target: Path, modes: Modes, call: Callable[[Path], object]) -> None:
    for _ in range(_RACES):
        try:
            make_folders(target.parent, modes)
            call(target)
        except FileNotFoundError:
            if not source.exists():
                raise
            continue  # somebody removed the empty folder meanwhile
        sync_folder(target.parent)
        return
    raise LockTimeoutError(f"{target.parent}: others remove it as often as it is made")


def sync_nearest(folder: Path) -> None:
    """Sync *folder*, or what is above it where somebody removed it, being empty, meanwhile."""
    while True:
        try:
            sync_folder(folder)
        except FileNotFoundError:
            folder = folder.parent
        else:
            return


def remove(path: Path) -> int:
    """Remove the file *path*; return how many that were: 0 when it was not there."""
    try:
        path.unlink()
    except (FileNotFoundError, NotADirectoryError):
        return 0
    return 1


def prune(folder: Path, end: Path) -> None:
    """Remove *folder* and those above it, below *end*, as far as they are empty."""
    while folder != end:
        try:
            folder.rmdir()
        except OSError as error:
            if error.errno in _IN_USE:
                return
            if error.errno != errno.ENOENT:
                raise
        folder = folder.parent
