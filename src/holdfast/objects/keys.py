"""What a legal object key is, and the file name that a person would recognise it by."""

from __future__ import annotations

from holdfast.errors import ObjectKeyError

LONGEST_KEY = 1024
LONGEST_FILE_NAME = 120


def check_key(key: str) -> str:
    """Return *key* if a bucket may hold it: 1 to 1024 bytes of UTF-8 without NUL.

    Everything else is legal and comes back as it went in: ``..``, ``//``, a leading or trailing
    slash, control characters. Raises ObjectKeyError.
    """
    check_prefix(key)
    if not key:
        raise ObjectKeyError(key, "it is empty; expected 1 to 1024 bytes of UTF-8")
    return key


def check_prefix(prefix: str) -> str:
    """Return *prefix*, which may be empty, if a legal key may start with it.

    Raises ObjectKeyError.
    """
    if not isinstance(prefix, str):
        raise ObjectKeyError(str(prefix), f"expected text, got {type(prefix).__name__}")
    if "\0" in prefix:
        raise ObjectKeyError(prefix, "it holds a NUL character")
    try:
        size = len(prefix.encode())
    except UnicodeEncodeError as error:
        raise ObjectKeyError(
            prefix, f"it holds a lone surrogate at position {error.start}; expected valid Unicode"
        ) from None
    if size > LONGEST_KEY:
        raise ObjectKeyError(prefix, f"it has {size} bytes of UTF-8, expected at most 1024")
    return prefix


def after_every(prefix: str) -> str | None:
    """Return the least text above all that starts with *prefix*, None when there is none."""
    for end in range(len(prefix), 0, -1):
        last = ord(prefix[end - 1])
        if last < 0x10FFFF:
            following = 0xE000 if last == 0xD7FF else last + 1  # surrogates are no characters
            return prefix[: end - 1] + chr(following)
    return None


def file_name(component: str, *, mark: str = "") -> str:
    """Return a legal local file name that shows *component*: its stem, *mark*, its extension.

    It never starts with a dot, holds no ``~`` but the mark's, and is short enough for any file
    system. Different components may give the same name; only a mark tells them apart.
    """
    clean = "".join(
        letter if letter.isprintable() and letter not in '/\\:*?"<>|~' else "_"
        for letter in component
    )
    stem, dot, extension = clean.rpartition(".")
    if not stem or len(extension.encode()) > 16:
        stem, dot, extension = clean, "", ""
    stem = _shortened(stem, LONGEST_FILE_NAME)
    if stem.startswith("."):
        stem = "_" + stem[1:]
    return f"{stem or '_'}{mark}{dot}{extension}"


def _shortened(text: str, size: int) -> str:
    return text.encode()[:size].decode(errors="ignore")
