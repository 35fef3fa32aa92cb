"""Locks of keys among processes, and locks on temporary files that keep the sweep away."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import stat
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from holdfast.errors import LockTimeoutError, StorageError
from holdfast.objects.localfile import is_at

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class KeyLocks:
    """At most 256 small files, each the lock of a share of the keys, which holds its intent log."""

    def __init__(self, folder: Path, timeout: float, mode: int) -> None:
        self.folder = folder
        self._timeout = timeout
        self._mode = mode

    @contextmanager
    def held(self, key: str) -> Iterator[int]:
        """Hold the lock of *key*, as an open descriptor. Raises LockTimeoutError."""
        path = self.folder / hashlib.sha256(key.encode()).hexdigest()[:2]
        deadline = time.monotonic() + self._timeout
        with _descriptor(path, os.O_RDWR | os.O_CREAT, self._mode) as lock:
            while not _try_lock(lock, fcntl.LOCK_EX):
                if time.monotonic() > deadline:
                    raise LockTimeoutError(
                        f"{path}: another writer held it for {self._timeout} seconds"
                    )
                time.sleep(0.002)
            yield lock

    def left(self) -> Iterator[int]:
        """Yield, held one by one, the locks with a log that nobody else holds."""
        for path in self.folder.iterdir():
            if _is_regular(path) and path.stat().st_size:
                with _descriptor(path, os.O_RDWR) as lock:
                    if _try_lock(lock, fcntl.LOCK_EX):
                        yield lock


def create_held(path: Path, mode: int) -> int:
    """Open a new file for writing that the sweep leaves alone while it is open."""
    while True:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        fcntl.flock(handle, fcntl.LOCK_SH)
        if is_at(handle, path):
            return handle
        os.close(handle)  # a sweep came between the two steps


def copy_held(source: int, path: Path, mode: int = 0o600) -> int:
    """Copy the open file *source*, which is closed, to *path*, as `create_held` opens it."""
    with open(source, "rb") as reader:
        handle = create_held(path, mode)
        try:
            with open(handle, "wb", closefd=False) as writer:
                shutil.copyfileobj(reader, writer, 256 * 1024)
            os.fsync(handle)
        except BaseException:
            path.unlink(missing_ok=True)
            os.close(handle)
            raise
    return handle


def remove_abandoned(folder: Path) -> int:
    """Remove the files in *folder* that nobody holds; return how many.

    Links, pipes and what else no writer makes stay where they are.
    """
    removed = 0
    for path in folder.iterdir():
        if not _is_regular(path):
            continue
        try:
            with _descriptor(path, os.O_RDONLY) as handle:
                if _try_lock(handle, fcntl.LOCK_EX) and is_at(handle, path):
                    path.unlink()
                    removed += 1
        except FileNotFoundError:  # its writer has just ended, or another sweep was here
            continue
    return removed


@contextmanager
def _descriptor(path: Path, flags: int, mode: int = 0o600) -> Iterator[int]:
    # O_NONBLOCK: a pipe that somebody put there must not hang who opens it.
    handle = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, mode)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise StorageError(f"{path}: expected a regular file")
        yield handle
    finally:
        # Closing alone would leave the lock to the child of a fork, which has the descriptor too.
        fcntl.flock(handle, fcntl.LOCK_UN)
        os.close(handle)


def _is_regular(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:
        return False


def _try_lock(handle: int, kind: int) -> bool:
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
