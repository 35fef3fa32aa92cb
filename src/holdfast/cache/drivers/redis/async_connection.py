"""A connection to Redis on an event loop: what tasks ask goes out together, in order.

What is asked in one turn of the event loop goes out in one write, and the answers come back in one
read. hiredis packs and parses. Why the connection is not redis-py's stands in docs/design.md.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, cast

import hiredis

from holdfast.cache.driver import NotAskedError
from holdfast.cache.drivers.redis.redis_connection import (
    IDLE,
    LEAST_RATE,
    WINDOW,
    RedisConnection,
    connect_error,
    pack,
    reason_of,
)
from holdfast.cache.drivers.redis.socket_state import is_closed, unsent
from holdfast.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.cache.drivers.redis.redis_connection import Command, Endpoint
    from holdfast.cache.drivers.redis.replies import Reply

_MOST_WAITING = 65_536


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
                self._watchdog = self._loop.call_later(self._endpoint.timeout, self._watch)
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

    def _watch(self) -> None:
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
            self._watchdog = self._loop.call_at(due, self._watch)

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
