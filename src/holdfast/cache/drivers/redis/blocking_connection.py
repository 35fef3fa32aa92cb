"""A connection to a Redis server for code that blocks."""

from __future__ import annotations

import socket
import threading
import time
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


async def dial_blocking(endpoint: Endpoint) -> RedisConnection:
    """Return a connection whose answers are waited for in place. Raises as `dial` does."""
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
        return BlockingRedisConnection(endpoint, connected)
    except OSError as error:
        raise connect_error(endpoint, error) from error


class BlockingRedisConnection(RedisConnection):
    """A connection on a blocking socket, which threads take turns at."""

    def __init__(self, endpoint: Endpoint, connected: socket.socket) -> None:
        super().__init__(endpoint)
        self._socket = connected
        self._reader = hiredis.Reader()
        self._window = bytearray(WINDOW)
        self._turn = threading.Lock()
        self._used = time.monotonic()
        self._moved = 0
        self._slow_until = 0.0
        self._receiving = 0  # bytes since the last whole answer
        self._lost_idle = False

    @property
    def busy(self) -> bool:
        """Whether another thread's large request or answer is on its way."""
        return self._turn.locked() and (self._slow_until > 0 or self._receiving > WINDOW)

    async def exchange(self, commands: Sequence[Command]) -> list[Reply]:
        """Send *commands* and read their answers, when it is this thread's turn."""
        if not commands:
            return []
        packed = b"".join(map(pack, commands))
        self._take_turn()
        try:
            self._check()
            replies = self._exchange(packed, len(commands))
            self._used = time.monotonic()
            self._slow_until = 0.0
            return replies
        except BaseException as error:
            # Also when interrupted: the answers still to come would be taken for later ones.
            lost = f"redis {self._endpoint}: the connection was lost ({reason_of(error)})"
            self._lost = self._lost or lost
            self._socket.close()
            raise
        finally:
            self._turn.release()

    def close(self) -> None:
        """Let go, after the thread whose turn it is. Idempotent."""
        with self._turn:
            self._lost = self._lost or f"redis {self._endpoint}: the connection was closed"
            self._socket.close()

    def abandon(self) -> None:
        """Close this process's descriptor alone: nothing is said to the server."""
        self._turn = threading.Lock()
        self._lost = f"redis {self._endpoint}: the process has forked"
        self._socket.close()

    def _take_turn(self) -> None:
        """Wait for the other threads, as long as bytes move on the connection."""
        while True:
            seen = self._progress()
            if self._turn.acquire(timeout=self._endpoint.timeout):
                return
            if self._progress() == seen and time.monotonic() >= self._slow_until:
                raise UnavailableError(
                    f"redis {self._endpoint}: busy for {self._endpoint.timeout} s"
                )

    def _progress(self) -> tuple[int, int]:
        try:
            return self._moved, unsent(self._socket.fileno())
        except (OSError, ValueError):  # closed meanwhile
            return self._moved, -1

    def _check(self) -> None:
        if self._lost is not None:
            raise (NotAskedError if self._lost_idle else UnavailableError)(self._lost)
        if time.monotonic() - self._used > IDLE and is_closed(self._socket.fileno()):
            self._lost_idle = True
            raise NotAskedError(
                f"redis {self._endpoint}: it closed the connection while nothing was asked"
            )

    def _exchange(self, packed: bytes, count: int) -> list[Reply]:
        replies: list[Reply] = []
        try:
            left = self._send(packed)
            while len(replies) < count:
                reply = self._reader.gets()
                if reply is not False:
                    self._receiving = 0
                    if self._pushes is None or not self._pushes.takes(reply):
                        replies.append(reply)
                    continue
                try:
                    size = self._socket.recv_into(self._window)
                except TimeoutError:
                    before, left = left, unsent(self._socket.fileno())
                    if left < before or time.monotonic() < self._slow_until:
                        continue  # it takes what was sent
                    raise
                self._moved += size
                self._receiving += size
                if not size:
                    raise UnavailableError(f"redis {self._endpoint}: it closed the connection")
                self._reader.feed(cast("bytes", self._window), 0, size)
        except TimeoutError:
            raise UnavailableError(
                f"redis {self._endpoint}: no answer in {self._endpoint.timeout} s"
            ) from None
        except (OSError, hiredis.ProtocolError) as error:
            raise UnavailableError(f"redis {self._endpoint}: {reason_of(error)}") from error
        return replies

    def _send(self, packed: bytes) -> int:
        """Send *packed*, each piece within the timeout; return how much is still to be taken."""
        rest = memoryview(packed)
        if len(packed) > WINDOW:
            self._slow_until = time.monotonic() + len(packed) / LEAST_RATE
        while rest:  # sendall would bound the whole, not each wait
            count = self._socket.send(rest[:WINDOW])
            rest = rest[count:]
            self._moved += count
        if len(packed) <= WINDOW:
            return 0
        self._slow_until = time.monotonic() + len(packed) / LEAST_RATE
        return unsent(self._socket.fileno())
