"""HTTP/1.1 on one connection: a request goes out, a response comes in, piece by piece."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

import httptools

from holdfast.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from holdfast.aws.network import NetworkConnection

_LONGEST_HEAD = 64 * 1024
_WORTH_ASKING = 1024 * 1024  # bodies from here on are sent only when the server wants them
_LONGEST_CONTINUE = 1.0
_LEAST_RATE = 16 * 1024  # bytes a second: what moves slower makes no progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Seconds and counts that bound what one call may take.

    *connect*: until a connection is open. *read*: until the next bytes come or go. *total*: for
    one request with all its retries, and for the body of its response, in which less than 16 KiB a
    second moves. *attempts*: how often one request is sent at most. *connections*: how many are
    open at once. *idle*: how long one is kept for the next request.
    """

    connect: float = 5.0
    read: float = 30.0
    total: float = 300.0
    attempts: int = 6
    connections: int = 32
    idle: float = 15.0


class SlowPeerError(TimeoutError):
    """What comes is less than 16 KiB a second, for longer than the limit *total*."""


class Deadline:
    """The end of the time that one request may take, with all its retries.

    Bytes that move earn time, as much as they take at 16 KiB a second; so what moves steadily is
    never cut off, and what drips is.
    """

    __slots__ = ("_clock", "_ends", "_limits")

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._ends = clock() + limits.total

    def moved(self, count: int) -> None:
        """Earn time for *count* bytes; never is more left than at the beginning."""
        latest = self._clock() + self._limits.total
        self._ends = min(self._ends + count / _LEAST_RATE, latest)

    @property
    def left(self) -> float:
        """The seconds until then, negative behind it."""
        return self._ends - self._clock()

    def connect(self) -> float:
        """Return the seconds that connecting may take. Raises TimeoutError when none is left."""
        self.read()
        return min(self.left, self._limits.connect)

    def read(self) -> float:
        """Return the seconds to wait for the next bytes. Raises TimeoutError when none is left."""
        left = self._ends - self._clock()
        if left <= 0:
            raise TimeoutError(f"it took longer than {self._limits.total} s")
        return min(self._limits.read, left)


class Patience:
    """The seconds that may still be waited for the body of one response.

    Only waiting counts, not what the reader does in between, and bytes that come earn time.
    """

    __slots__ = ("_clock", "_left", "_limits")

    def __init__(self, limits: Limits, clock: Callable[[], float]) -> None:
        self._limits = limits
        self._clock = clock
        self._left = limits.total

    async def wait(self, connection: NetworkConnection, parser: ResponseParser) -> int:
        """Take in what comes next; return how many bytes. Raises OSError, SlowPeerError."""
        limits, before = self._limits, parser.received
        if self._left <= 0:
            raise SlowPeerError(f"less than {_LEAST_RATE} bytes a second came for {limits.total} s")
        began = self._clock()
        try:
            await more(connection, parser, min(limits.read, self._left))
        except TimeoutError:
            if self._left >= limits.read:
                raise
            self._left = 0
            return 0
        count = parser.received - before
        took = self._clock() - began
        self._left = min(self._left - took + count / _LEAST_RATE, limits.total)
        return count


class RequestBody(Protocol):
    """A body that can be sent again."""

    @property
    def size(self) -> int:
        """The number of its bytes."""
        ...

    def windows(self) -> AsyncGenerator[bytes, None]:
        """Yield it from its first byte, exactly *size* bytes in all."""
        ...


@dataclass(slots=True)
class HTTPRequest:
    """One request. *target* is path and query as they are sent; *headers* have lower-case names.

    The caller sets ``content-length`` and ``host`` right. A request that is not *repeatable* is
    never sent a second time unless its caller asks again.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes | RequestBody = b""
    repeatable: bool = True


@dataclass(slots=True)
class ResponseParser:
    """Parses one response out of the bytes that come; httptools calls its ``on_`` methods."""

    bodiless: bool
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    has_head: bool = False
    done: bool = False
    keep_alive: bool = False
    surplus: bool = False
    received: int = 0
    empty: int = 0
    _pieces: deque[bytes] = field(default_factory=deque)
    _interim: bool = False
    _parser: httptools.HttpResponseParser = field(init=False)

    def __post_init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        """Take in *data*. Raises ConnectionError for what is not an HTTP/1.1 response."""
        self.received += len(data)
        pieces = len(self._pieces)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            raise ConnectionError("the server changed to another protocol, unasked") from None
        except httptools.HttpParserError as error:
            if self.done:  # garbage behind a whole answer spoils only the connection
                self.surplus = True
                return
            raise ConnectionError(f"what came is not an HTTP response: {error}") from None
        if not self.has_head and self.received > _LONGEST_HEAD:
            raise ConnectionError(f"the response's headers exceed {_LONGEST_HEAD} bytes")
        if self.has_head and not self.done and len(self._pieces) == pieces:
            self.empty += len(data)
            if self.empty > _LONGEST_HEAD:
                raise ConnectionError("the response goes on forever without a byte of its body")

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

    # What httptools calls.

    def on_message_begin(self) -> None:
        """Note that another response begins behind a whole one."""
        if self.done:
            self.surplus = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep one header; those of one name are joined by commas."""
        if self.has_head:
            return  # a trailer
        lower = _lower(name)
        text = value.decode("utf-8", "surrogateescape")
        known = self.headers.get(lower)
        self.headers[lower] = text if known is None else f"{known}, {text}"

    def on_headers_complete(self) -> None:
        """Keep the status, unless the response is an interim one."""
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
        """Keep a piece of the body."""
        if self.done:
            self.surplus = True
        else:
            self._pieces.append(body)

    def on_message_complete(self) -> None:
        """Note the end of the response, or of an interim one."""
        if self._interim:
            self._interim = False
            self.headers.clear()
        else:
            self.done = True


@dataclass(slots=True)
class Traffic:
    """The bytes of bodies that moved over all connections of a client."""

    count: int = 0


async def exchange(
    connection: NetworkConnection, request: HTTPRequest, deadline: Deadline, traffic: Traffic
) -> tuple[ResponseParser, bool]:
    """Send *request*; return its response once its head is there, and whether all was sent.

    A server may answer before it took the whole body: then the rest is not sent, and the
    connection can't be used again. Raises OSError, TimeoutError.
    """
    parser = ResponseParser(bodiless=request.method == "HEAD")
    body, whole = request.body, True
    try:
        if isinstance(body, bytes):
            await connection.send(_encoded(request) + body, deadline.read())
        else:
            whole = await _send_windows(connection, request, body, parser, (deadline, traffic))
    except TimeoutError:
        raise
    except OSError:
        # Refused in the middle of the body: the reason may be waiting to be read.
        whole = False
        try:
            await _head(connection, parser, deadline)
        except OSError:
            parser.has_head = False
        if not parser.has_head:
            raise
    if not parser.has_head:
        await _head(connection, parser, deadline)
    return parser, whole


async def more(connection: NetworkConnection, parser: ResponseParser, seconds: float) -> None:
    """Take in what comes next. Raises OSError, TimeoutError."""
    data = await connection.receive(seconds)
    if data:
        parser.feed(data)
    else:
        parser.end()


async def _head(connection: NetworkConnection, parser: ResponseParser, deadline: Deadline) -> None:
    while not parser.has_head:
        await more(connection, parser, deadline.read())


async def _send_windows(
    connection: NetworkConnection,
    request: HTTPRequest,
    body: RequestBody,
    parser: ResponseParser,
    bounds: tuple[Deadline, Traffic],
) -> bool:
    deadline, traffic = bounds
    head = _encoded(request)
    if body.size >= _WORTH_ASKING:
        await connection.send(head[:-2] + b"expect: 100-continue\r\n\r\n", deadline.read())
        if await connection.wait(min(_LONGEST_CONTINUE, deadline.read())):
            await more(connection, parser, deadline.read())
            if parser.has_head:
                return False
    else:
        await connection.send(head, deadline.read())
    sent = 0
    windows = body.windows()
    try:
        async for window in windows:
            if connection.has_input:
                await more(connection, parser, deadline.read())
                if parser.has_head:
                    return False
            sent += len(window)
            await connection.send(window, deadline.read())
            deadline.moved(len(window))
            traffic.count += len(window)
    finally:
        await windows.aclose()
    if sent != body.size:  # the server would take the next request for the rest of this one
        raise RuntimeError(f"a body of {body.size} bytes yielded {sent}")
    return True


@lru_cache(maxsize=512)
def _lower(name: bytes) -> str:
    return name.decode("latin-1").lower()


def _encoded(request: HTTPRequest) -> bytes:
    lines = [f"{request.method} {request.target} HTTP/1.1\r\n"]
    lines += [f"{name}: {text}\r\n" for name, text in request.headers.items()]
    text = "".join(lines)
    if not text.count("\r") == text.count("\n") == len(lines) or "\0" in text:
        name = next((name for name, text in request.headers.items() if _breaks(text)), "target")
        raise InvalidValueError("request", name, "it holds a line break or NUL")
    return text.encode() + b"\r\n"


def _breaks(text: str) -> bool:
    return any(letter in text for letter in "\r\n\0")
