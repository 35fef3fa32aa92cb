"""Names of files that strangers gave: made safe to show, and said in a header."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import quote

_LONGEST = 200  # bytes of UTF-8; file systems take 255 and add to a name that is there already
_PATH = re.compile(r"[/\\]")
_NOT_ON_WINDOWS = re.compile(r'[:*?"<>|]')
_PLAIN = re.compile(r"[^A-Za-z0-9 ._()+,=@~!#$&'-]")
_UNNAMED = "download"


def safe_file_name(name: str) -> str:
    """Return *name* as a plain file name: its last part, without what misleads people or systems.

    Control characters, changes of direction, lone surrogates and what Windows refuses are taken
    out or replaced, dots and spaces at the ends too, and a long name is cut with its extension
    kept. Without anything left it is ``download``.
    """
    last = _PATH.split(name)[-1]
    shown = "".join(each for each in last if unicodedata.category(each)[0] != "C")
    shown = " ".join(_NOT_ON_WINDOWS.sub("_", shown).split()).strip(". ")
    return _cut(shown) or _UNNAMED


def content_disposition(kind: str, name: str | None) -> str:
    """Return the header value that has a browser save or show (*kind*) a file called *name*.

    By RFC 6266 and 8187: the name in ASCII for old clients, and as it is in UTF-8.
    """
    if name is None:
        return kind
    safe = safe_file_name(name)
    base = (each for each in unicodedata.normalize("NFKD", safe) if not unicodedata.combining(each))
    plain = _PLAIN.sub("_", "".join(base))
    value = f'{kind}; filename="{plain}"'
    return value if plain == safe else f"{value}; filename*=UTF-8''{quote(safe, safe='')}"


def _cut(name: str) -> str:
    if len(name.encode()) <= _LONGEST:
        return name
    stem, dot, extension = name.rpartition(".")
    kept = dot + extension if stem and len(extension.encode()) <= 16 else ""
    stem = stem if kept else name
    return stem.encode()[: _LONGEST - len(kept.encode())].decode(errors="ignore") + kept
