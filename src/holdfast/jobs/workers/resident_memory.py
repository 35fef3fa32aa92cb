"""How much memory this process has."""

from __future__ import annotations

import os
from pathlib import Path


def resident_memory() -> int:
    """Return the bytes that this process has in memory now, as Linux tells it (proc(5), statm)."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
