"""A form with one file in it, read as it comes: the fields are kept, the file passes through."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastapi import HTTPException
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

_MOST_FIELDS = 100
_LONGEST_FIELD = 64 * 1024
_PLAIN_ENCODINGS = ("", "binary", "7bit", "8bit")


@dataclass(frozen=True, slots=True)
class FilePart:
    """The head of the file in a form: as the client says, so nothing of it is to be trusted."""

    filename: str
    content_type: str


class MultipartBody:
    """A body of multipart/form-data, read once and in order: fields, the file, more fields.

    Every method raises HTTPException: 400 for a body that is no such form, 413 for fields that
    are too many or too long.
    """

    def __init__(self, content_type: str, chunks: AsyncIterator[bytes]) -> None:
        _, parameters = parse_options_header(content_type)
        boundary = parameters.get(b"boundary")
        if not boundary:
            raise HTTPException(400, "the Content-Type of the form has no boundary")
        self.fields: dict[str, str] = {}
        self._chunks = chunks
        self._ended = False
        self._header: list[bytes] = [b"", b""]
        self._headers: dict[str, str] = {}
        self._events: deque[bytes | dict[str, str] | None] = deque()
        try:
            self._parser = MultipartParser(boundary, self._callbacks())  # type: ignore[arg-type]
        except FormParserError as error:
            raise _malformed(error) from error

    async def file(self) -> FilePart:
        """Read up to the file and return its head. Raises HTTPException 400 when there is none."""
        part = await self._fields()
        if part is None:
            raise HTTPException(400, "the form has no file; expected one part with a file name")
        return part

    async def content(self) -> AsyncGenerator[bytes, None]:
        """Yield the bytes of the file, to its end."""
        while isinstance(event := await self._next(), bytes):
            yield event

    async def rest(self) -> None:
        """Read what comes behind the file. Raises HTTPException 400 for another file."""
        if await self._fields() is not None:
            raise HTTPException(400, "the form has more than one file; expected one")
        async for _ in self._chunks:
            pass

    async def _fields(self) -> FilePart | None:
        """Take the fields up to the next file and return its head, None at the end."""
        while (event := await self._next()) is not None or not self._ended:
            if not isinstance(event, dict):
                continue
            name, filename = _names(event)
            if filename is not None:
                return FilePart(filename, event.get("content-type", ""))
            await self._take_field(name)
        return None

    async def _take_field(self, name: str) -> None:
        if len(self.fields) >= _MOST_FIELDS:
            raise HTTPException(413, f"the form has more than {_MOST_FIELDS} fields")
        if name in self.fields:
            raise HTTPException(400, f"the form has the field {name[:80]!r} twice")
        value = bytearray()
        while isinstance(piece := await self._next(), bytes):
            value += piece
            if len(value) > _LONGEST_FIELD:
                raise HTTPException(
                    413, f"the field {name[:80]!r} has more than {_LONGEST_FIELD} bytes"
                )
        try:
            self.fields[name] = value.decode()
        except UnicodeDecodeError:
            raise HTTPException(400, f"the field {name[:80]!r} is not UTF-8") from None

    async def _next(self) -> bytes | dict[str, str] | None:
        """Return a part's headers, then its bytes, then None; None too when all is read."""
        while not self._events:
            if self._ended:
                return None
            chunk = await anext(self._chunks, None)
            if chunk is None:
                raise HTTPException(400, "the form ends without its last boundary")
            try:
                self._parser.write(chunk)
            except FormParserError as error:
                raise _malformed(error) from error
        return self._events.popleft()

    def _callbacks(self) -> dict[str, object]:
        def add(at: int, data: bytes, start: int, end: int) -> None:
            self._header[at] += data[start:end]

        def header_end() -> None:
            name, value = (each.decode(errors="replace") for each in self._header)
            self._headers[name.strip().lower()] = value.strip()
            self._header = [b"", b""]

        def headers_finished() -> None:
            self._events.append(self._headers)
            self._headers = {}

        def end() -> None:
            self._ended = True

        return {
            "on_header_field": lambda data, start, end: add(0, data, start, end),
            "on_header_value": lambda data, start, end: add(1, data, start, end),
            "on_header_end": header_end,
            "on_headers_finished": headers_finished,
            "on_part_data": lambda data, start, end: self._events.append(bytes(data[start:end])),
            "on_part_end": lambda: self._events.append(None),
            "on_end": end,
        }


def _names(headers: dict[str, str]) -> tuple[str, str | None]:
    """Return the name of the part with *headers*, and that of its file, None for a field."""
    kind, parameters = parse_options_header(headers.get("content-disposition", "").encode())
    name = parameters.get(b"name")
    if kind != b"form-data" or name is None:
        raise HTTPException(400, "a part of the form has no name")
    if headers.get("content-transfer-encoding", "").lower() not in _PLAIN_ENCODINGS:
        raise HTTPException(415, "a part of the form is encoded; expected its bytes as they are")
    filename = parameters.get(b"filename")
    return _text(name), None if filename is None else _text(filename)


def _text(header: bytes) -> str:
    return header.decode(errors="replace")


def _malformed(error: FormParserError) -> HTTPException:
    return HTTPException(400, f"the body is not a form of its boundary: {str(error)[:200]}")
