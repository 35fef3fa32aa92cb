"""The fields of a protobuf message in a file, read where they lie, however large the message is."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.errors import ModelFileError

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_FIELDS = 400_000
"""Fields that are looked at in one file."""
LONGEST_TEXT = 64 << 10
_LONGEST_VARINT = 10
_WINDOW = 1 << 16
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


@dataclass(frozen=True, slots=True)
class ProtobufField:
    """A field: its *number*, a whole number as *value*, or where its bytes lie in the file."""

    number: int
    value: int
    start: int
    end: int


class ProtobufFile:
    """A file of protobuf, read by offset in windows. Lengths are checked before they are used."""

    def __init__(self, handle: int, size: int, shown: str) -> None:
        """*shown* is what errors call the file whose open descriptor is *handle*."""
        self.size = size
        self._handle = handle
        self._shown = shown
        self._window = b""
        self._offset = 0
        self._left = MOST_FIELDS

    def fields(self, start: int, end: int) -> Iterator[ProtobufField]:
        """Yield the fields of the message from *start* to *end*. Raises ModelFileError."""
        at = start
        while at < end:
            self._left -= 1
            if self._left < 0:
                raise self.error(f"it has more than {MOST_FIELDS} fields")
            tag, at = self._varint(at, end)
            number, kind = tag >> 3, tag & 7
            if number == 0:
                raise self.error("it is not protobuf")
            if kind == _VARINT:
                value, at = self._varint(at, end)
                yield ProtobufField(number, value, at, at)
                continue
            if kind == _BYTES:
                length, at = self._varint(at, end)
            elif kind in {_FIXED64, _FIXED32}:
                length = 8 if kind == _FIXED64 else 4
            else:
                raise self.error("it is not protobuf")
            if length > end - at:
                raise self.error(f"a field ends behind its message, at byte {at + length}")
            yield ProtobufField(number, 0, at, at + length)
            at += length

    def text(self, field: ProtobufField) -> str:
        """Return the text of *field*. Raises ModelFileError for one that is too long, or none."""
        length = field.end - field.start
        if length > LONGEST_TEXT:
            raise self.error(f"a text has {length} bytes; expected {LONGEST_TEXT} at most")
        try:
            return self._bytes(field.start, length).decode()
        except UnicodeDecodeError:
            raise self.error("a text is not UTF-8") from None

    def numbers(self, field: ProtobufField) -> list[int]:
        """Return the whole numbers that are packed into *field*, or its single one."""
        if field.start == field.end:
            return [field.value]
        if field.end - field.start > LONGEST_TEXT:
            raise self.error("a list of numbers is too long")
        found, at = [], field.start
        while at < field.end:
            value, at = self._varint(at, field.end)
            found.append(value)
        return found

    def error(self, reason: str) -> ModelFileError:
        """Return the error that says *reason* of this file."""
        return ModelFileError(self._shown, reason)

    def _varint(self, at: int, end: int) -> tuple[int, int]:
        value = 0
        for place, byte in enumerate(self._bytes(at, min(_LONGEST_VARINT, end - at))):
            value |= (byte & 0x7F) << (7 * place)
            if byte < 0x80:
                return value & 0xFFFF_FFFF_FFFF_FFFF, at + place + 1
        raise self.error("a number has no end")

    def _bytes(self, at: int, length: int) -> bytes:
        inside = at - self._offset
        if not 0 <= inside <= len(self._window) - length:
            self._window = os.pread(self._handle, max(length, _WINDOW), at)
            self._offset, inside = at, 0
        found = self._window[inside : inside + length]
        if len(found) != length:
            raise self.error("it ends in the middle")
        return found
