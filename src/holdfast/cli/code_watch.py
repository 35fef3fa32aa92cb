"""Notices that the program's own code has changed: for development."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

_EVERY = 0.5  # seconds between two looks


async def code_changed() -> Path:
    """Wait until the file of a module that is imported changes or vanishes, and return its path.

    Watched are modules outside of the folders in which packages are installed; those that are
    imported later are found at the next look.
    """
    known: dict[Path, int] = {}
    while True:
        for path in _own_files():
            changed = _changed_at(path)
            if known.setdefault(path, changed) != changed:
                return path
        await asyncio.sleep(_EVERY)


def _own_files() -> set[Path]:
    files = (getattr(module, "__file__", None) for module in tuple(sys.modules.values()))
    installed = tuple({sys.base_prefix, sys.prefix})
    return {
        Path(each)
        for each in files
        if each and "site-packages" not in each and not each.startswith(installed)
    }


def _changed_at(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return -1
