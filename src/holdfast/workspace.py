"""Temporary folders of workers and servers, removed also after a crash."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import tempfile
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

_PREFIX = "work-"


@contextmanager
def workspace(root: Path) -> Iterator[Path]:
    """Yield a new folder under *root* and remove it afterwards.

    A process that is killed can't remove its folder; whoever makes the next one does, and
    `sweep_workspaces`, since the lock that the process held on it went with the process. Raises
    StorageError when the disk refuses.
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


@asynccontextmanager
async def open_workspace(root: Path) -> AsyncIterator[Path]:
    """Yield what `workspace` does, for code on an event loop: disk and locks are a thread's affair.

    Raises StorageError.
    """
    manager = workspace(root)
    folder = await asyncio.to_thread(manager.__enter__)
    try:
        yield folder
    finally:
        await asyncio.to_thread(manager.__exit__, None, None, None)


def sweep_workspaces(root: Path) -> None:
    """Remove the folders under *root* whose processes are gone. Raises StorageError."""
    try:
        if root.exists():
            with _locked(root):
                _sweep(root)
    except OSError as error:
        raise StorageError(f"can't clean up {str(root)!r}: {error}") from error


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
            continue  # its process is alive
        else:
            shutil.rmtree(folder)
        finally:
            os.close(held)
