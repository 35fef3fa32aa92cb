"""What keys, tags and times may be, and the names under which a driver keeps them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import timedelta

from holdfast.errors import InvalidValueError

TTL = float | timedelta
"""A time to live: seconds, or a timedelta."""

KEYS, TAGS, REFRESHES = "k:", "t:", "r:"
LONGEST_KEY = 1024
LONGEST_TAG = 128
MOST_TAGS = 16
_LONGEST_TTL = 10 * 365 * 86400


def name_of(key: str) -> str:
    """Return the driver's name of *key*. Raises InvalidValueError for what can't be one."""
    if not isinstance(key, str):
        raise InvalidValueError("cache", "key", f"expected text, got {type(key).__name__}: {key!r}")
    if not key.isascii() or not 0 < len(key) <= LONGEST_KEY:
        _check_text("key", key, LONGEST_KEY)
    return KEYS + key


def check_name(name: str) -> str:
    """Return *name*, of a lock or bucket, if a key can be called so. Raises InvalidValueError."""
    return name_of(name).removeprefix(KEYS)


def names_of(keys: Iterable[str]) -> list[str]:
    """Return the driver's names of *keys*. Raises InvalidValueError, also for one lone text."""
    _check_several("keys", keys)
    return [name_of(key) for key in keys]


def names_by_key(keys: Iterable[str]) -> dict[str, str]:
    """Return the driver's name of each of *keys*, in their order. Raises InvalidValueError."""
    _check_several("keys", keys)
    return {key: name_of(key) for key in keys}


def refresh_name_of(name: str) -> str:
    """Return the name under which a caller who loads *name* again says so."""
    return REFRESHES + name.removeprefix(KEYS)


def tags_of(tags: Iterable[str]) -> tuple[str, ...]:
    """Return the driver's names of *tags*, each once. Raises InvalidValueError."""
    _check_several("tags", tags)
    given = tuple(tags)
    for tag in given:
        if not isinstance(tag, str):
            raise InvalidValueError("cache", "tags", f"expected text, got {tag!r}")
        _check_text("tags", tag, LONGEST_TAG)
    return tuple(TAGS + tag for tag in dict.fromkeys(given))


def entry_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Return the driver's names of one entry's *tags*; there may be 16 of them."""
    names = tags_of(tags)
    if len(names) > MOST_TAGS:
        raise InvalidValueError("cache", "tags", f"expected at most {MOST_TAGS}, got {len(names)}")
    return names


def milliseconds(field: str, seconds: TTL | None) -> int | None:
    """Return *seconds*, or a timedelta, in whole milliseconds, at least 1; None stays None.

    Raises InvalidValueError for what is not a positive time of at most ten years.
    """
    if seconds is None:
        return None
    if isinstance(seconds, timedelta):
        seconds = seconds.total_seconds()
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise InvalidValueError(
            "cache", field, f"expected seconds, a timedelta or None, got {seconds!r}"
        )
    if not 0 < seconds <= _LONGEST_TTL:
        raise InvalidValueError(
            "cache", field, f"expected seconds above 0 and at most ten years, got {seconds!r}"
        )
    return max(1, math.ceil(seconds * 1000))


def _check_several(field: str, several: object) -> None:
    if isinstance(several, str):
        raise InvalidValueError(
            "cache", field, f"expected several {field}, got one text: {several!r}"
        )
    if not isinstance(several, Iterable):
        raise InvalidValueError("cache", field, f"expected several {field}, got {several!r}")


def _check_text(field: str, text: str, longest: int) -> None:
    if not text:
        raise InvalidValueError("cache", field, "it is empty")
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise InvalidValueError("cache", field, f"{text!r} holds a lone surrogate") from None
    if size > longest:
        raise InvalidValueError(
            "cache", field, f"expected at most {longest} bytes of UTF-8, got {size}"
        )
