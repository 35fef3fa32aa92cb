"""One connection to a Redis server, shared by everybody: requests go out together, in order.

What is asked in one turn of the event loop goes out in one write, and the answers come back in one
read. hiredis packs and parses. Why the connection is not redis-py's stands in docs/design.md.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

import hiredis

from holdfast.cache.driver import NotAskedError
from holdfast.cache.drivers.redis.push_messages import Pushes
from holdfast.cache.drivers.redis.replies import Reply, error_of, is_expected
from holdfast.cache.drivers.redis.socket_state import is_closed, unsent
from holdfast.errors import ConfigurationError, HoldfastError, UnavailableError

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence

    from holdfast.cache.drivers.redis.push_messages import PushListener

Command = tuple[str | bytes | int, ...]

pack = cast("Callable[[Command], bytes]", hiredis.pack_command)  # its stub allows one part

WINDOW = 64 * 1024  # bytes read at once
SCAN_BATCH = 500
IDLE = 0.1  # seconds; a connection that was silent for longer is looked at before it is used
LEAST_RATE = 1024 * 1024
"""Bytes a second that a large request is given time for: what lies in the buffers of a slow line
moves where nobody sees it."""
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


class RedisCommands(Protocol):
    """Answers commands about names, whatever servers they live on."""

    @property
    def one_server(self) -> bool:
        """Whether one command may name many."""
        ...

    async def ask(self, commands: Sequence[Command]) -> list[Reply]:
        """Return the answers by position.

        Two refusals are answers: NOSCRIPT for a script that a server does not know, WRONGTYPE for
        something of another type than the command is for. Raises what another refusal means, and
        UnavailableError; any of the commands was carried out then, or none.
        """
        ...

    def scan(self, match: str) -> AsyncIterator[list[bytes]]:
        """Yield the names that fit Redis's glob *match*, in batches; some come more than once."""
        ...


class AskedBeside(Protocol):
    """What is asked while a connection is busy with something large."""

    def ask(self, commands: Sequence[Command], /) -> Awaitable[list[Reply] | None]:
        """Return the answers by position, None when it can't be asked now."""
        ...


class RedisConnection(ABC):
    """A connection to one server, which answers commands in order."""

    one_server = True

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._lost: str | None = None
        self._pushes: Pushes | None = None
        self.second: AskedBeside | None = None  # for what is asked while this one is busy

    @property
    def alive(self) -> bool:
        """False once the connection is known to be lost."""
        return self._lost is None

    @property
    @abstractmethod
    def busy(self) -> bool:
        """Whether a large request or answer is on its way, all of whose callers wait for it."""

    @abstractmethod
    async def exchange(self, commands: Sequence[Command]) -> list[Reply]:
        """Return the answers by position, refusals as ReplyError values.

        Raises UnavailableError when the connection is lost first, or nothing moves on it for the
        endpoint's timeout; then each command was carried out or not. NotAskedError says that it
        had been closed before anything of this was sent.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go; callers who wait get UnavailableError. Idempotent."""

    @abstractmethod
    def abandon(self) -> None:
        """Let go in the child of a fork; the parent, whose it is, notices nothing. No I/O."""

    async def ask(self, commands: Sequence[Command]) -> list[Reply]:
        """Return the answers by position; see `RedisCommands.ask`."""
        if self.second is not None and self.busy:
            answers = await self.second.ask(commands)
            if answers is not None:
                return answers
        replies = await self.exchange(commands)
        for reply in replies:
            if type(reply) is hiredis.ReplyError and not is_expected(reply):
                error = error_of(reply)
                if isinstance(error, UnavailableError):
                    self.close()  # it may have become a replica: look for the primary again
                raise error
        return replies

    async def scan(self, match: str) -> AsyncIterator[list[bytes]]:
        """Yield the server's names that fit *match*, in batches."""
        cursor = b"0"
        while True:
            (reply,) = await self.ask([("SCAN", cursor, "MATCH", match, "COUNT", SCAN_BATCH)])
            cursor, found = cast("tuple[bytes, list[bytes]]", reply)
            yield found
            if cursor == b"0":
                return

    def listen(self, listener: PushListener, *, messages: bool) -> None:
        """Hand what the server says unasked to *listener*, before any answer that comes after it.

        With *messages*, that is what was subscribed to in RESP2, else what RESP3 pushes.
        """
        self._pushes = Pushes(listener, messages=messages)


@contextmanager
def asked_before() -> Iterator[None]:
    """Make a plain UnavailableError of a NotAskedError: an earlier part of the work was asked."""
    try:
        yield
    except NotAskedError as error:
        raise UnavailableError(str(error)) from error


class Dial(Protocol):
    """Connects to an endpoint; see `dial`."""

    async def __call__(self, endpoint: Endpoint, /) -> RedisConnection: ...


async def dial(endpoint: Endpoint) -> RedisConnection:
    """Return a connection of the running event loop.

    Raises UnavailableError, and ConfigurationError for a certificate that is not trusted.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(endpoint.timeout):
            _, connection = await loop.create_connection(
                lambda: AsyncRedisConnection(endpoint),
                endpoint.host,
                endpoint.port,
                ssl=endpoint.tls,
            )
    except OSError as error:  # TimeoutError and ssl.SSLError are such too
        raise connect_error(endpoint, error) from error
    return connection


def connect_error(endpoint: Endpoint, error: OSError) -> HoldfastError:
    """Return what to raise when *endpoint* could not be connected to."""
    how = ""
    if endpoint.tls is not None:
        import ssl  # noqa: PLC0415 - slow to import, and loaded already where there is TLS

        if isinstance(error, ssl.SSLCertVerificationError):
            return ConfigurationError(f"redis {endpoint} is not trusted: {error.verify_message}")
        how = "by TLS: "
    late = isinstance(error, TimeoutError)
    why = f"no connection in {endpoint.timeout} s" if late else reason_of(error)
    return UnavailableError(f"redis {endpoint}: {how}{why}")


def reason_of(error: BaseException) -> str:
    """Return what *error* is and says, for many say nothing."""
    return f"{type(error).__name__}: {error}".removesuffix(": ")


class _Request:
    __slots__ = ("future", "missing", "replies")

    def __init__(self, future: asyncio.Future[list[Reply]], count: int) -> None:
        self.future = future
        self.missing = count
        self.replies: list[Reply] = []


class AsyncRedisConnection(RedisConnection, asyncio.BufferedProtocol):
    """A connection on an event loop; tasks share it."""

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(endpoint)
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader()
        self._window = memoryview(bytearray(WINDOW))
        self._outgoing: list[bytes] = []
        self._waiting: deque[_Request] = deque()
        self._transport: asyncio.Transport | None = None
        self._writable: asyncio.Future[None] | None = None
        self._heard = self._loop.time()
        self._unsent = 0
        self._slow_until = 0.0
        self._receiving = 0  # bytes since the last whole answer
        self._lost_idle = False
        self._watchdog: asyncio.TimerHandle | None = None

    @property
    def busy(self) -> bool:
        """Whether a large request or answer is on its way, all of whose callers wait for it."""
        if not self._waiting or (not self._slow_until and self._receiving <= WINDOW):
            return False
        return not any(request.future.cancelled() for request in self._waiting)

    async def exchange(self, commands: Sequence[Command]) -> list[Reply]:
        """Send *commands* with all that is asked in this turn of the loop, and wait."""
        while self._writable is not None and self._lost is None:
            await asyncio.shield(self._writable)
        if self._lost is not None:
            raise (NotAskedError if self._lost_idle else UnavailableError)(self._lost)
        if not commands:
            return []
        if len(self._waiting) >= _MOST_WAITING:
            raise UnavailableError(
                f"redis {self._endpoint}: {_MOST_WAITING} requests wait already; the server or "
                "this process is too slow for more"
            )
        if not self._waiting:
            now = self._loop.time()
            if now - self._heard > IDLE and self._transport is not None:
                self._check(self._transport)
            self._heard = now
            if self._watchdog is None:
                self._watchdog = self._loop.call_later(self._endpoint.timeout, self._look)
        if not self._outgoing:
            self._loop.call_soon(self._flush)
        self._outgoing.extend(map(pack, commands))
        future: asyncio.Future[list[Reply]] = self._loop.create_future()
        self._waiting.append(_Request(future, len(commands)))
        return await future

    def close(self) -> None:
        """Let go at once; callers who wait get UnavailableError. Idempotent."""
        self._end(f"redis {self._endpoint}: the connection was closed")

    def abandon(self) -> None:
        """Let go without touching the transport: its loop, and what it polls with, are shared."""
        self._lost = f"redis {self._endpoint}: the process has forked"
        self._transport = None

    def _check(self, transport: asyncio.Transport) -> None:
        """Raise NotAskedError when the other side has closed it and the loop has not seen that."""
        if is_closed(transport.get_extra_info("socket").fileno()):
            self._lost_idle = True
            reason = f"redis {self._endpoint}: it closed the connection while nothing was asked"
            self._end(reason)
            raise NotAskedError(reason)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport that asyncio connected."""
        # uvloop's transports are none of asyncio's classes, but have the same methods.
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell everybody who waits that the connection is lost."""
        reason = "closed" if exc is None else reason_of(exc)
        if self._lost is None:
            self._lost_idle = not self._waiting
        self._end(f"redis {self._endpoint}: the connection was lost ({reason})")

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - ours is as large as needed
        """Return where asyncio may put what it reads."""
        return self._window

    def buffer_updated(self, nbytes: int) -> None:
        """Give the answers that came to those who wait, in order."""
        self._heard = self._loop.time()
        self._receiving += nbytes
        reader, waiting = self._reader, self._waiting
        reader.feed(cast("bytes", self._window), 0, nbytes)  # any buffer is taken
        try:
            while (reply := reader.gets()) is not False:
                if self._pushes is not None and self._pushes.takes(reply):
                    continue
                request = waiting[0]
                request.replies.append(reply)
                request.missing -= 1
                self._receiving = 0
                if not request.missing:
                    waiting.popleft()
                    if not waiting:
                        self._slow_until = 0.0
                    if not request.future.done():
                        request.future.set_result(request.replies)
        except (hiredis.ProtocolError, IndexError) as error:
            self._end(f"redis {self._endpoint}: its answer makes no sense ({error})")

    def eof_received(self) -> bool:
        """Let asyncio close the transport."""
        return False

    def pause_writing(self) -> None:
        """Hold back further requests: the transport's buffer is full."""
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        """Let requests go on."""
        if self._writable is not None:
            self._writable.set_result(None)
            self._writable = None

    def _flush(self) -> None:
        outgoing, self._outgoing = self._outgoing, []
        if self._transport is not None and self._lost is None:
            packed = b"".join(outgoing)
            self._transport.write(packed)
            if len(packed) > WINDOW:
                self._unsent = self._count_unsent()
                now = self._loop.time()
                self._slow_until = max(now, self._slow_until) + len(packed) / LEAST_RATE

    def _count_unsent(self) -> int:
        if self._transport is None:
            return 0
        handle = self._transport.get_extra_info("socket").fileno()
        return self._transport.get_write_buffer_size() + unsent(handle)

    def _look(self) -> None:
        """Give up a connection on which something is waited for and nothing moved."""
        self._watchdog = None
        if not self._waiting:
            return
        if self._unsent:  # what was sent is large: it counts when the other side takes some
            before, self._unsent = self._unsent, self._count_unsent()
            if self._unsent < before:
                self._heard = self._loop.time()
        due = max(self._heard + self._endpoint.timeout, self._slow_until)
        if self._loop.time() >= due:
            self._end(f"redis {self._endpoint}: no answer in {self._endpoint.timeout} s")
        else:
            self._watchdog = self._loop.call_at(due, self._look)

    def _end(self, reason: str) -> None:
        if self._lost is not None:
            return
        self._lost = reason
        if self._watchdog is not None:
            self._watchdog.cancel()
            self._watchdog = None
        if self._transport is not None:
            self._transport.abort()
        self.resume_writing()
        waiting, self._waiting = self._waiting, deque()
        for request in waiting:
            if not request.future.done():
                request.future.set_exception(UnavailableError(reason))
