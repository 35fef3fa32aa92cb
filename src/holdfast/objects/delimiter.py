"""Groups listed keys by a delimiter, over any ordered scan that can start anywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.objects.object_info import CommonPrefix, ObjectInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def grouped(
    scan: Callable[[str], Iterator[ObjectInfo]],
    prefix: str,
    *,
    after: str | None,
    delimiter: str | None,
) -> Iterator[ObjectInfo | CommonPrefix]:
    """Yield objects and common prefixes that come after *after*, in code-point order.

    ``scan(start)`` yields, in order, the objects under *prefix* whose key is not below *start*.
    Each group of keys costs one look at its first key: the scan starts again behind the group.
    """
    start: str | None = "" if after is None else after + "\0"
    if after is not None and delimiter is not None:
        group = group_of(after, prefix, delimiter)
        if group is not None:  # the group itself is not after *after*, so neither is all of it
            start = after_every(group)
    while start is not None:
        for info in scan(start):
            group = None if delimiter is None else group_of(info.key, prefix, delimiter)
            if group is not None:
                yield CommonPrefix(group)
                start = after_every(group)
                break
            yield info
        else:
            return


def group_of(key: str, prefix: str, delimiter: str) -> str | None:
    """Return the common prefix that stands for *key*, None when it stands for itself."""
    if not key.startswith(prefix):
        return None
    end = key.find(delimiter, len(prefix))
    return None if end < 0 else key[: end + len(delimiter)]


def after_every(prefix: str) -> str | None:
    """Return the least text above all that starts with *prefix*, None when there is none."""
    for end in range(len(prefix), 0, -1):
        last = ord(prefix[end - 1])
        if last < 0x10FFFF:
            following = 0xE000 if last == 0xD7FF else last + 1  # surrogates are no characters
            return prefix[: end - 1] + chr(following)
    return None
