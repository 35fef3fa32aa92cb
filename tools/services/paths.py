"""Paths: what a checkout's servers keep, and what all checkouts share."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tools.services.failure import StateError

if TYPE_CHECKING:
    from collections.abc import Iterator

CHECKOUT = Path(__file__).resolve().parents[2]


def default_folder() -> Path:
    """The folder of this checkout's servers: `.services`, or HOLDFAST_SERVICES_FOLDER."""
    chosen = os.environ.get("HOLDFAST_SERVICES_FOLDER")
    return Path(chosen).resolve() if chosen else CHECKOUT / ".services"


def cache_folder() -> Path:
    """The folder of programs installed here, by version, shared by all checkouts."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "holdfast-services"


@contextmanager
def replaced(folder: Path) -> Iterator[Path]:
    """Yield a new folder that becomes *folder* when all goes well, and is deleted when not."""
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def fingerprint(folder: Path) -> str:
    """Return a text that tells *folder* from every other one."""
    return hashlib.sha256(os.fsencode(folder)).hexdigest()


def server_folder(folder: Path, name: str, user: str | None) -> Path:
    """The folder of server *name*, which will run as *user*.

    A checkout below a folder that others may not enter (root's own home) is out of reach of a
    server that refuses to be root: its data lies in /var/tmp then, named after the checkout.
    Raises StateError when somebody else made that folder.
    """
    within_reach, elsewhere = server_folders(folder, name)
    if user is None or all(_others_may_enter(parent) for parent in (folder, *folder.parents)):
        return within_reach
    elsewhere.parent.mkdir(exist_ok=True)
    if elsewhere.parent.stat().st_uid != os.geteuid():
        raise StateError(f"{elsewhere.parent} belongs to another user; expected it to be ours")
    return elsewhere


def server_folders(folder: Path, name: str) -> tuple[Path, Path]:
    """Both places where the folder of server *name* may be."""
    elsewhere = Path("/var/tmp") / f"holdfast-services-{fingerprint(folder)[:16]}"  # noqa: S108
    return folder / name, elsewhere / name


def _others_may_enter(folder: Path) -> bool:
    try:
        return bool(folder.stat().st_mode & stat.S_IXOTH)
    except FileNotFoundError:
        return True  # it will be made, with the usual permissions
