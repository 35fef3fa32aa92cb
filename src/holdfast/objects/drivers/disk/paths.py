"""Paths of a key's files under the root, in pure functions without I/O.

Records mirror the key in plain ASCII that any file system keeps apart. A component of the key,
the text between two slashes, becomes one name: bytes other than ``A-Z a-z 0-9 _ - .`` are ``%XX``,
so is a dot that starts the name or its ending ``.json``; an empty component is ``%``. A component
of 80 bytes and more is cut: each 80 bytes are a folder whose name ends in ``%-``. What follows the
32nd slash is one component, slashes and all, so that no key makes folders too deep. The record is a
file ending in ``.json``, which no folder does, so ``a`` and ``a/b`` have room beside one another.

Where versions are kept, the records of a key's older ones lie in a folder that has the name of its
record, below a folder of their own. Each is called as its version is: twelve digits that count the
versions of the key, and twenty that make it unlike any other, or ``null``.

Data files lie in folders that mirror the key for people to see; only the record says which file
belongs to which key.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes
from uuid import uuid4

from holdfast.objects.localfile import file_name
from holdfast.objects.object_info import NULL_VERSION

HIDDEN = ".holdfast"
_RECORD = ".json"
_CUT = "%-"
_EMPTY = "%"
_PIECE = 80
_DEEPEST = 32
_UNESCAPED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.")
_COUNTED = 12
_VERSION = re.compile(r"[0-9a-f]{32}", re.ASCII)
_RESERVED_DOT = re.compile(r"^\.|\.(?=json$)")


def record_path(key: str) -> str:
    """Return where the record of *key* lies, relative to the records folder."""
    *folders, last = key.encode().split(b"/", _DEEPEST)
    parts = [part for folder in folders for part in _names(folder)]
    parts.extend(_names(last))
    return "/".join(parts) + _RECORD


def parse_name(name: str) -> tuple[bytes, bool]:
    """Return the bytes of the key that the entry *name* of a records folder adds.

    And whether it is a record. Sorting entries by their bytes sorts the keys below them.
    """
    # Nearly all names are plain, and this runs for each of a folder's thousands.
    read = _unescaped if "%" in name else str.encode
    if name.endswith(_RECORD):
        return read(name[: -len(_RECORD)]), True
    if name.endswith(_CUT):
        return read(name[: -len(_CUT)]), False
    return read(name) + b"/", False


def new_version(serial: int) -> str:
    """Return the name of a new version, the *serial*th of its key."""
    return f"{serial:0{_COUNTED}x}{uuid4().hex[_COUNTED:]}"


def is_version(version: str) -> bool:
    """Return whether a version can have that name."""
    return version == NULL_VERSION or _VERSION.fullmatch(version) is not None


def serial_of(version: str) -> int:
    """Return the serial number in the name of a version; ``null`` has none."""
    return int(version[:_COUNTED], 16)


def version_path(key: str, version: str) -> str:
    """Return where the record of an older version lies, relative to the versions folder."""
    return f"{record_path(key)}/{version}{_RECORD}"


def version_in(name: str) -> str | None:
    """Return which version the entry *name* of a key's folder is, None for what is none."""
    version = name.removesuffix(_RECORD)
    return version if version != name and is_version(version) else None


def data_path(key: str, identity: str) -> str:
    """Return where a data file of *key* lies, relative to the root.

    *identity* is unique, so that the file belongs to one write alone. Only data files have ``~``
    in their names, and nothing but the hidden folder starts with a dot. Folders beyond the 32nd
    are left out.
    """
    *folders, last = key.split("/")
    parts = [file_name(folder) for folder in folders[:_DEEPEST]]
    return "/".join([*parts, file_name(last, mark=f"~{identity}")])


def is_data_path(path: str) -> bool:
    """Return whether *path* can be a data file: relative, inside the root and not hidden."""
    parts = path.split("/")
    return "~" in parts[-1] and not any(part == "" or part.startswith(".") for part in parts)


def _names(component: bytes) -> list[str]:
    names = []
    while len(component) >= _PIECE:
        names.append(_escaped(component[:_PIECE]) + _CUT)
        component = component[_PIECE:]
    return [*names, _escaped(component) or _EMPTY]


def _escaped(text: bytes) -> str:
    plain = "".join(chr(byte) if byte in _UNESCAPED else f"%{byte:02X}" for byte in text)
    return _RESERVED_DOT.sub("%2E", plain)


def _unescaped(name: str) -> bytes:
    return b"" if name == _EMPTY else unquote_to_bytes(name)
