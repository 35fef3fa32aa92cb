"""Files that a command is given to read: what can't be read is bad input, never a bug."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.errors import InvalidValueError

if TYPE_CHECKING:
    from pathlib import Path


def given_bytes(path: Path) -> bytes:
    """Return what the file at *path* holds. Raises InvalidValueError where it can't be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise unreadable(path, error) from error


def given_text(path: Path) -> str:
    """Return the text of the file at *path*. Raises InvalidValueError, for what is no UTF-8 too."""
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: OSError | UnicodeDecodeError) -> InvalidValueError:
    """Return the error for a file that *error* keeps from being read."""
    reason = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
    return InvalidValueError(repr(str(path)), "", f"it can't be read: {reason}")
