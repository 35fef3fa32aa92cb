"""Locks of keys among processes, and locks on temporary files that keep the sweep away."""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from holdfast.errors import LockTimeoutError
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
            if path.stat().st_size:
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


def remove_abandoned(folder: Path) -> int:
    """Remove the files in *folder* that nobody holds; return how many."""
    removed = 0
    for path in folder.iterdir():
        try:
            with _descriptor(path, os.O_RDONLY | os.O_NOFOLLOW) as handle:
                if _try_lock(handle, fcntl.LOCK_EX) and is_at(handle, path):
                    path.unlink()
                    removed += 1
        except FileNotFoundError:  # its writer has just ended, or another sweep was here
            continue
    return removed


@contextmanager
def _descriptor(path: Path, flags: int, mode: int = 0o600) -> Iterator[int]:
    handle = os.open(path, flags | os.O_CLOEXEC, mode)
    try:
        yield handle
    finally:
        os.close(handle)


def _try_lock(handle: int, kind: int) -> bool:
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
