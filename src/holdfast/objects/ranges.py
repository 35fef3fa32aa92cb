"""Numbers of bytes, and the part of an object that is asked for."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, SupportsIndex

from holdfast.errors import InvalidValueError

if TYPE_CHECKING:
    from holdfast.objects.driver import ObjectInfo


def check_count(count: SupportsIndex | None, *, of: str, field: str) -> int | None:
    """Return *count* as an int, None as None. Raises InvalidValueError for no whole number."""
    if count is None:
        return None
    try:
        return operator.index(count)
    except TypeError:
        raise InvalidValueError(
            of, field, f"expected a whole number of bytes, got {count!r}"
        ) from None


def span_of(info: ObjectInfo, start: int | None, end: int | None) -> tuple[int, int]:
    """Return the first offset and the one behind the last.

    Raises InvalidValueError unless both lie in the object, in order.
    """
    first = 0 if start is None else start
    last = info.size if end is None else end
    if not 0 <= first <= last <= info.size:
        raise InvalidValueError(
            "object",
            "range",
            f"{info.key!r} has {info.size} bytes, expected 0 <= start <= end <= {info.size}, "
            f"got start={start}, end={end}",
        )
    return first, last
