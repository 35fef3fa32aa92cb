"""What migrations tell of themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Revision:
    """One migration: a file; *applied* to the database, *current* when it stands exactly there."""

    id: str
    message: str
    follows: tuple[str, ...]
    applied: bool
    current: bool
    path: Path


@dataclass(frozen=True, slots=True)
class MigrationResult:
    """Where the database stood *before*, stands *after*, and by which migrations."""

    before: tuple[str, ...]
    after: tuple[str, ...]
    steps: tuple[str, ...]
