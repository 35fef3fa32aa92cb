"""HTTP/1.1 on one connection: a request goes out, a response comes in, piece by piece."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

import httptools

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from holdfast.aws.network import Pipe
    from holdfast.aws.patience import Patience

_LONGEST_HEAD = 64 * 1024
_WORTH_ASKING = 1024 * 1024  # bodies from here on are sent only when the server wants them
_LONGEST_CONTINUE = 1.0


class Content(Protocol):
    """A body that can be sent again."""

    @property
    def size(self) -> int:
        """Its bytes."""
        ...

    def windows(self) -> AsyncGenerator[bytes, None]:
        """Yield it from its first byte, exactly *size* bytes in all."""
        ...


@dataclass(slots=True)
class Request:
    """*target* is path and query as they go over the wire; *headers* have lower-case names.

    ``content-length`` and ``host`` among them are the sender's to get right. One that is not
    *repeatable* is never sent a second time without its caller's word.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes | Content = b""
    repeatable: bool = True


@dataclass(slots=True)
class Incoming:
    """What httptools has made of the bytes so far."""

    bodiless: bool
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    has_head: bool = False
    done: bool = False
    keep_alive: bool = False
    surplus: bool = False
    received: int = 0
    _pieces: deque[bytes] = field(default_factory=deque)
    _interim: bool = False
    _parser: httptools.HttpResponseParser = field(init=False)

    def __post_init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        """Take in *data*. Raises ConnectionError for what is no HTTP/1.1 response."""
        self.received += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            raise ConnectionError("the server changed to another protocol, unasked") from None
        except httptools.HttpParserError as error:
            if self.done:  # rubbish behind a whole answer spoils the connection alone
                self.surplus = True
                return
            raise ConnectionError(f"what came is no HTTP response: {error}") from None
        if not self.has_head and self.received > _LONGEST_HEAD:
            raise ConnectionError(f"the response's headers exceed {_LONGEST_HEAD} bytes")

    def end(self) -> None:
        """Take in the end of the stream. Raises ConnectionError when it comes too early."""
        if self.has_head and not self.done and self._lasts_until_the_end():
            self.done = True
            self.keep_alive = False
        if not self.done:
            raise ConnectionError("the server closed the connection before its response was over")

    def take(self) -> bytes:
        """Return the next piece of the body, ``b""`` when none is there yet."""
        return self._pieces.popleft() if self._pieces else b""

    def _lasts_until_the_end(self) -> bool:
        return "content-length" not in self.headers and "transfer-encoding" not in self.headers

    # httptools calls these.

    def on_message_begin(self) -> None:
        if self.done:
            self.surplus = True

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.has_head:
            return  # a trailer
        lower = _lower(name)
        text = value.decode("utf-8", "surrogateescape")
        known = self.headers.get(lower)
        self.headers[lower] = text if known is None else f"{known}, {text}"

    def on_headers_complete(self) -> None:
        if self.done:
            return
        self.status = self._parser.get_status_code()
        if self.status < 200:
            self._interim = True
            return
        self.has_head = True
        self.keep_alive = self._parser.should_keep_alive()
        if self.bodiless:
            self.done = True

    def on_body(self, body: bytes) -> None:
        if self.done:
            self.surplus = True
        else:
            self._pieces.append(body)

    def on_message_complete(self) -> None:
        if self._interim:
            self._interim = False
            self.headers.clear()
        else:
            self.done = True


async def exchange(pipe: Pipe, request: Request, patience: Patience) -> tuple[Incoming, bool]:
    """Send *request*; return its response once its head is there, and whether all was sent.

    A server may answer before it took the whole body: then the rest is not sent, and the
    connection is good for nothing more. Raises OSError, TimeoutError.
    """
    incoming = Incoming(bodiless=request.method == "HEAD")
    try:
        whole = await _send(pipe, request, incoming, patience)
    except TimeoutError:
        raise
    except OSError:
        # Refused in the middle of the body: the reason may be waiting to be read.
        whole = False
        try:
            await _head(pipe, incoming, patience)
        except OSError:
            incoming.has_head = False
        if not incoming.has_head:
            raise
    await _head(pipe, incoming, patience)
    return incoming, whole


async def more(pipe: Pipe, incoming: Incoming, seconds: float) -> None:
    """Take in what comes next. Raises OSError, TimeoutError."""
    data = await pipe.receive(seconds)
    if data:
        incoming.feed(data)
    else:
        incoming.end()


async def _head(pipe: Pipe, incoming: Incoming, patience: Patience) -> None:
    while not incoming.has_head:
        await more(pipe, incoming, patience.read())


async def _send(pipe: Pipe, request: Request, incoming: Incoming, patience: Patience) -> bool:
    head = _encoded(request)
    body = request.body
    if isinstance(body, bytes):
        await pipe.send(head + body, patience.read())
        return True
    if body.size >= _WORTH_ASKING:
        await pipe.send(head[:-2] + b"expect: 100-continue\r\n\r\n", patience.read())
        if await pipe.wait(min(_LONGEST_CONTINUE, patience.read())):
            await more(pipe, incoming, patience.read())
            if incoming.has_head:
                return False
    else:
        await pipe.send(head, patience.read())
    sent = 0
    windows = body.windows()
    try:
        async for window in windows:
            if pipe.stirred:
                await more(pipe, incoming, patience.read())
                if incoming.has_head:
                    return False
            sent += len(window)
            await pipe.send(window, patience.read())
    finally:
        await windows.aclose()
    assert sent == body.size, "a content yields as many bytes as it says"
    return True


@lru_cache(maxsize=512)
def _lower(name: bytes) -> str:
    return name.decode("latin-1").lower()


def _encoded(request: Request) -> bytes:
    lines = [f"{request.method} {request.target} HTTP/1.1\r\n"]
    lines += [f"{name}: {text}\r\n" for name, text in request.headers.items()]
    text = "".join(lines)
    assert text.count("\r") == text.count("\n") == len(lines), "a header holds no line break"
    return text.encode() + b"\r\n"
