"""What is written down of an upload in parts, so that another process can go on with it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Notes:
    """One upload: where and what it is, and the mark of its write."""

    place: str
    content: str
    part: int
    upload: str
    mark: str


def content_of(headers: Mapping[str, str], size: int, mark: str) -> str:
    """Return what is the same for equal uploads alone: of all headers, but the mark's."""
    told = sorted((name, text) for name, text in headers.items() if name != mark)
    return hashlib.sha256(json.dumps([size, told]).encode()).hexdigest()


def read(path: Path) -> Notes | None:
    """Return what *path* says, None when there is nothing of use."""
    try:
        found = json.loads(path.read_bytes())
        return Notes(**found) if isinstance(found, dict) else None
    except (FileNotFoundError, ValueError, TypeError):
        return None


def keep(path: Path, notes: Notes) -> None:
    """Write *notes* to *path* in one step."""
    temporary = path.with_name(f"{path.name}~")
    temporary.write_text(json.dumps(asdict(notes)))
    temporary.replace(path)
