"""What a bucket keeps besides the objects that stand: versions, markers, uploads under way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.errors import InvalidValueError

if TYPE_CHECKING:
    from datetime import datetime


NULL = "null"  # the version of what is written while none are kept


def check_version(version: str) -> str:
    """Return *version* if it is a word that could name one. Raises InvalidValueError."""
    if not isinstance(version, str) or not version or not version.isprintable():
        raise InvalidValueError(
            "object", "version", f"expected the name of a version as text, got {version!r}"
        )
    return version


@dataclass(frozen=True, slots=True)
class ObjectVersion:
    """One version of a key, or the marker of its deletion.

    *version* is opaque; ``null`` is what was written while no versions were kept. *latest*: it is
    what stands under the key now. A *marker* has no bytes: while it is the latest, there is no
    such object. *size* is in bytes as they are stored, *modified* an aware UTC time.
    """

    key: str
    version: str
    latest: bool
    marker: bool
    size: int
    etag: str
    modified: datetime


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload in parts that is neither done nor aborted. *began* is an aware UTC time."""

    key: str
    id: str
    began: datetime
