"""One connection to a Redis server, shared by everybody: requests go out together, in order.

What is asked in one turn of the event loop goes out in one write, and the answers come back in
one read. hiredis packs and parses; the connection is ours, because a client's own took longer than
the server (benchmarks/cache.py) and answers for one caller at a time.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

import hiredis

from holdfast.errors import ConfigurationError, HoldfastError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Command = tuple[str | bytes | int, ...]
Reply = object
"""What hiredis makes of an answer: bytes, int, None, a list, or a ReplyError as a value."""

_pack = cast("Callable[[Command], bytes]", hiredis.pack_command)  # its stub allows one part

_WINDOW = 64 * 1024
_MOST_WAITING = 65_536


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a server listens, and how it is spoken to. *timeout* is in seconds."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None
    timeout: float = 1.0

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class Listener(Protocol):
    def __call__(self, message: Sequence[Reply], /) -> None: ...


class _Ear:
    """Tells what a server says unasked from its answers."""

    __slots__ = ("_messages", "_told")

    def __init__(self, told: Listener, *, messages: bool) -> None:
        self._told = told
        self._messages = messages

    def takes(self, reply: Reply) -> bool:
        pushed = isinstance(reply, hiredis.PushNotification)
        if self._messages and not pushed:
            pushed = isinstance(reply, list) and reply[:1] == [b"message"]
        if pushed:
            self._told(cast("list[Reply]", reply))
        return pushed


class Wire(Protocol):
    """A connection that answers commands in order."""

    @property
    def alive(self) -> bool: ...

    async def ask(self, commands: Sequence[Command]) -> list[Reply]:
        """Return the answers by position, refusals as ReplyError values.

        Raises UnavailableError when the connection is lost first, or silent for *timeout*; then
        each command was carried out or not.
        """
        ...

    def listen(self, told: Listener, *, messages: bool) -> None:
        """Hand what the server says unasked to *told*, before any answer that comes after it.

        With *messages*, that is what was subscribed to in RESP2, else what RESP3 pushes.
        """
        ...

    def close(self) -> None:
        """Let go; whoever waits gets UnavailableError. Idempotent."""
        ...


async def connect(endpoint: Endpoint) -> Wire:
    """Return a connection of the running event loop.

    Raises UnavailableError, and ConfigurationError for a certificate that is not trusted.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(endpoint.timeout):
            _, wire = await loop.create_connection(
                lambda: AsyncWire(endpoint), endpoint.host, endpoint.port, ssl=endpoint.tls
            )
    except OSError as error:  # TimeoutError and ssl.SSLError are such too
        raise _unconnected(endpoint, error) from error
    return wire


async def connect_blocking(endpoint: Endpoint) -> Wire:
    """Return a connection whose answers are waited for in place. Raises as `connect` does."""
    try:
        place = (endpoint.host, endpoint.port)
        connected = socket.create_connection(place, timeout=endpoint.timeout)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if endpoint.tls is not None:
            try:
                connected = endpoint.tls.wrap_socket(connected, server_hostname=endpoint.host)
            except BaseException:
                connected.close()
                raise
        return BlockingWire(endpoint, connected)
    except OSError as error:
        raise _unconnected(endpoint, error) from error


def _unconnected(endpoint: Endpoint, error: OSError) -> HoldfastError:
    if isinstance(error, ssl.SSLCertVerificationError):
        return ConfigurationError(f"redis {endpoint} is not trusted: {error.verify_message}")
    late = isinstance(error, TimeoutError)
    why = f"no connection in {endpoint.timeout} s" if late else _reason(error)
    how = "by TLS: " if endpoint.tls is not None else ""
    return UnavailableError(f"redis {endpoint}: {how}{why}")


def _reason(error: BaseException) -> str:
    """Return what *error* is and says, for many say nothing."""
    return f"{type(error).__name__}: {error}".removesuffix(": ")


class _Request:
    __slots__ = ("future", "missing", "replies")

    def __init__(self, future: asyncio.Future[list[Reply]], count: int) -> None:
        self.future = future
        self.missing = count
        self.replies: list[Reply] = []


class AsyncWire(asyncio.BufferedProtocol):
    """A connection on an event loop."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader()
        self._window = memoryview(bytearray(_WINDOW))
        self._outgoing: list[bytes] = []
        self._waiting: deque[_Request] = deque()
        self._transport: asyncio.Transport | None = None
        self._writable: asyncio.Future[None] | None = None
        self._lost: str | None = None
        self._heard = self._loop.time()
        self._watch: asyncio.TimerHandle | None = None
        self._ear: _Ear | None = None

    @property
    def alive(self) -> bool:
        return self._lost is None

    async def ask(self, commands: Sequence[Command]) -> list[Reply]:
        while self._writable is not None and self._lost is None:
            await asyncio.shield(self._writable)
        if self._lost is not None:
            raise UnavailableError(self._lost)
        if not commands:
            return []
        if len(self._waiting) >= _MOST_WAITING:
            raise UnavailableError(
                f"redis {self._endpoint}: {_MOST_WAITING} requests wait already; the server or "
                "this process is too slow for more"
            )
        if not self._outgoing:
            self._loop.call_soon(self._flush)
        self._outgoing.extend(map(_pack, commands))
        future: asyncio.Future[list[Reply]] = self._loop.create_future()
        if not self._waiting:
            self._heard = self._loop.time()
            if self._watch is None:
                self._watch = self._loop.call_later(self._endpoint.timeout, self._look)
        self._waiting.append(_Request(future, len(commands)))
        return await future

    def listen(self, told: Listener, *, messages: bool) -> None:
        self._ear = _Ear(told, messages=messages)

    def close(self) -> None:
        self._end(f"redis {self._endpoint}: the connection was closed")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        reason = "closed" if exc is None else _reason(exc)
        self._end(f"redis {self._endpoint}: the connection was lost ({reason})")

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - ours is as large as needed
        return self._window

    def buffer_updated(self, nbytes: int) -> None:
        self._heard = self._loop.time()
        reader, waiting = self._reader, self._waiting
        reader.feed(cast("bytes", self._window), 0, nbytes)  # any buffer is taken
        try:
            while (reply := reader.gets()) is not False:
                if self._ear is not None and self._ear.takes(reply):
                    continue
                request = waiting[0]
                request.replies.append(reply)
                request.missing -= 1
                if not request.missing:
                    waiting.popleft()
                    if not request.future.done():
                        request.future.set_result(request.replies)
        except (hiredis.ProtocolError, IndexError) as error:
            self._end(f"redis {self._endpoint}: no sense in what it answers ({error})")

    def eof_received(self) -> bool:
        return False

    def pause_writing(self) -> None:
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        if self._writable is not None:
            self._writable.set_result(None)
            self._writable = None

    def _flush(self) -> None:
        outgoing, self._outgoing = self._outgoing, []
        if self._transport is not None and self._lost is None:
            self._transport.write(b"".join(outgoing))

    def _look(self) -> None:
        """Give up a connection on which something is waited for and nothing was heard."""
        self._watch = None
        if not self._waiting:
            return
        due = self._heard + self._endpoint.timeout
        if self._loop.time() >= due:
            self._end(f"redis {self._endpoint}: no answer in {self._endpoint.timeout} s")
        else:
            self._watch = self._loop.call_at(due, self._look)

    def _end(self, reason: str) -> None:
        if self._lost is not None:
            return
        self._lost = reason
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        if self._transport is not None:
            self._transport.abort()
        self.resume_writing()
        waiting, self._waiting = self._waiting, deque()
        for request in waiting:
            if not request.future.done():
                request.future.set_exception(UnavailableError(reason))


class BlockingWire:
    """A connection that threads take turns at."""

    def __init__(self, endpoint: Endpoint, connected: socket.socket) -> None:
        self._endpoint = endpoint
        self._socket = connected
        self._reader = hiredis.Reader()
        self._window = bytearray(_WINDOW)
        self._turn = threading.Lock()
        self._lost: str | None = None
        self._ear: _Ear | None = None

    @property
    def alive(self) -> bool:
        return self._lost is None

    async def ask(self, commands: Sequence[Command]) -> list[Reply]:
        if not commands:
            return []
        packed = b"".join(map(_pack, commands))
        if not self._turn.acquire(timeout=self._endpoint.timeout):
            raise UnavailableError(f"redis {self._endpoint}: busy for {self._endpoint.timeout} s")
        try:
            self._check()
            return self._exchange(packed, len(commands))
        except BaseException as error:
            # Also when interrupted: the answers still to come would be taken for later ones.
            self._lost = (
                self._lost or f"redis {self._endpoint}: the connection was lost ({_reason(error)})"
            )
            self._socket.close()
            raise
        finally:
            self._turn.release()

    def listen(self, told: Listener, *, messages: bool) -> None:
        self._ear = _Ear(told, messages=messages)

    def close(self) -> None:
        with self._turn:
            self._lost = self._lost or f"redis {self._endpoint}: the connection was closed"
            self._socket.close()

    def _check(self) -> None:
        if self._lost is not None:
            raise UnavailableError(self._lost)

    def _exchange(self, packed: bytes, count: int) -> list[Reply]:
        replies: list[Reply] = []
        try:
            self._socket.sendall(packed)
            while len(replies) < count:
                reply = self._reader.gets()
                if reply is not False:
                    if self._ear is None or not self._ear.takes(reply):
                        replies.append(reply)
                    continue
                size = self._socket.recv_into(self._window)
                if not size:
                    raise UnavailableError(f"redis {self._endpoint}: it closed the connection")
                self._reader.feed(cast("bytes", self._window), 0, size)
        except TimeoutError:
            raise UnavailableError(
                f"redis {self._endpoint}: no answer in {self._endpoint.timeout} s"
            ) from None
        except (OSError, hiredis.ProtocolError) as error:
            raise UnavailableError(f"redis {self._endpoint}: {_reason(error)}") from error
        return replies


__all__ = ["Command", "Endpoint", "Reply", "Wire", "connect", "connect_blocking"]
