"""Temporary folders of workers, removed also after a crash."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator

_PREFIX = "work-"


@contextmanager
def workspace(root: Path) -> Iterator[Path]:
    """Yield a new folder under *root* and remove it afterwards.

    A worker that is killed can't remove its folder; the next worker does, since the lock that
    the worker held on it went with the worker. Raises StorageError when the disk refuses.
    """
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(root):  # nobody sweeps between a folder's making and its being held
            _sweep(root)
            folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=root))
            held = os.open(folder, os.O_RDONLY)
            fcntl.flock(held, fcntl.LOCK_EX)
    except OSError as error:
        raise StorageError(f"can't work in {str(root)!r}: {error}") from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # what may be left is swept by the next
        os.close(held)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    held = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)


def _sweep(root: Path) -> None:
    for folder in root.glob(f"{_PREFIX}*"):
        held = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue  # its worker is alive
        else:
            shutil.rmtree(folder)
        finally:
            os.close(held)
