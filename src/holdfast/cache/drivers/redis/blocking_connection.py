"""A connection to a Redis server for code that blocks."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, cast

import hiredis

from holdfast.cache.drivers.redis.redis_connection import (
    WINDOW,
    RedisConnection,
    connect_error,
    pack,
    reason_of,
)
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

    async def exchange(self, commands: Sequence[Command]) -> list[Reply]:
        """Send *commands* and read their answers, when it is this thread's turn."""
        if not commands:
            return []
        packed = b"".join(map(pack, commands))
        if not self._turn.acquire(timeout=self._endpoint.timeout):
            raise UnavailableError(f"redis {self._endpoint}: busy for {self._endpoint.timeout} s")
        try:
            self._check()
            return self._exchange(packed, len(commands))
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
                    if self._pushes is None or not self._pushes.takes(reply):
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
            raise UnavailableError(f"redis {self._endpoint}: {reason_of(error)}") from error
        return replies
