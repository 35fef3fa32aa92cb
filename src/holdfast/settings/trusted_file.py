"""Files of settings: read at once, bounded, and only when nobody else may have written them."""

from __future__ import annotations

import os
import stat

from holdfast.errors import ConfigurationError

SETTINGS_VARIABLE = "HOLDFAST_SETTINGS"
"""The variable that names the settings file; those of the working folder are then not read."""
_LONGEST = 1 << 20  # characters of a settings file


def read_named_file(path: str, *, named_by: str) -> str:
    """Return the text of the file that the variable *named_by* names. Raises ConfigurationError."""
    text = _read(path, named=True)
    if text is None:
        raise ConfigurationError(f"{named_by}={path!r}: there is no such file")
    return text


def read_found_file(path: str) -> str:
    """Return the text of a file of the working folder, '' when it is not there.

    It is read only when it is one's own: keys and passwords go to the servers that it names.
    Raises ConfigurationError.
    """
    return _read(path, named=False) or ""


def _read(path: str, *, named: bool) -> str | None:
    try:
        with open(path, encoding="utf-8", opener=_opened_at_once) as file:
            _check_trusted(path, os.fstat(file.fileno()), named=named)
            text = file.read(_LONGEST + 1)
    except FileNotFoundError:
        return None
    except (ValueError, OSError) as error:  # also a NUL in the name, and what is no UTF-8
        raise ConfigurationError(f"{path!r} can't be read: {error}") from None
    if len(text) > _LONGEST:
        raise ConfigurationError(f"{path} has more than {_LONGEST} characters")
    return text


def _opened_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # a pipe without a writer would hold us up


def _check_trusted(path: str, found: os.stat_result, *, named: bool) -> None:
    """Raise ConfigurationError for a file in which somebody else may have put a server's name."""
    if not stat.S_ISREG(found.st_mode):
        raise ConfigurationError(f"{path} is no regular file")
    if named:
        return
    if found.st_uid not in (os.geteuid(), 0):
        reason = f"it belongs to another user (uid {found.st_uid})"
    elif found.st_mode & stat.S_IWOTH:
        reason = "every user may write to it"
    else:
        return
    raise ConfigurationError(
        f"{path} of the working folder is not trusted, for {reason}. Should it be meant, name it: "
        f"{SETTINGS_VARIABLE}={path}"
    )
