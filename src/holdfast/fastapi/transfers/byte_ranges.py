"""Ranges of bytes that a request asks for, by RFC 9110, section 14."""

from __future__ import annotations

import re

_SET = re.compile(r"bytes=(.*)", re.IGNORECASE | re.DOTALL)
_ONE = re.compile(r"([0-9]*)-([0-9]*)", re.ASCII)
_MOST_DIGITS = 18  # more bytes than any object has
_WORTH_A_PART = 100  # bytes between two ranges that are sent sooner than the head of another part

Span = tuple[int, int]
"""The offset of the first byte, and of the one behind the last."""


class RangeRefusedError(Exception):
    """No part of the object can be sent for this Range; *reason* says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def spans_of(header: str, size: int, *, most: int) -> list[Span] | None:
    """Return the spans of an object of *size* bytes that the Range *header* asks for.

    Spans that overlap or lie close together are one, and those outside of the object are left
    out. None means that the header says nothing here: another unit than bytes, or an object
    without any. Raises RangeRefusedError for what is no range, for more than *most* of them, and
    when none lies in the object.
    """
    asked = _SET.fullmatch(header.strip())
    if asked is None or size == 0:
        return None
    items = [item.strip(" \t") for item in asked[1].split(",", most + 1)]
    if len(items) > most:
        raise RangeRefusedError(f"more than {most} ranges; expected at most {most}")
    spans = [span for item in items if (span := _span(item, size)) is not None]
    if not spans:
        raise RangeRefusedError(f"no range lies in the {size} bytes")
    return _joined(spans)


def _span(item: str, size: int) -> Span | None:
    found = _ONE.fullmatch(item)
    if found is None or item == "-" or max(map(len, found.groups())) > _MOST_DIGITS:
        raise RangeRefusedError("what is asked for is not a range; expected such as bytes=0-99")
    first, last = found.groups()
    if not first:
        start, end = max(size - int(last), 0), size
    else:
        start, end = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            raise RangeRefusedError("a range ends before it begins")
    return (start, end) if start < end else None


def _joined(spans: list[Span]) -> list[Span]:
    """Return *spans* with those that overlap or nearly touch made one, in the order of asking."""
    joined: list[Span] = []
    for start, end in sorted(spans):
        if joined and start - joined[-1][1] < _WORTH_A_PART:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return sorted(joined, key=lambda span: _first_asked(spans, span))


def _first_asked(spans: list[Span], joined: Span) -> int:
    return next(at for at, (start, _) in enumerate(spans) if joined[0] <= start < joined[1])
