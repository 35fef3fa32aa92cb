"""The network over blocking sockets, whose coroutines never suspend."""

from __future__ import annotations

import select
import socket
import ssl
import threading
import time
from typing import TYPE_CHECKING, TypeVar

from holdfast.aws.proxy import open_tunnel
from holdfast.offload import all_on_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from holdfast.aws.endpoint import HTTPEndpoint, HTTPProxy

T = TypeVar("T")

_RECEIVE = 256 * 1024


class SocketConnection:
    """One blocking socket."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._ahead: bytes | None = None
        self._seconds = -1.0

    @property
    def has_input(self) -> bool:
        """Whether something came that was not received yet: bytes, or the end."""
        return self._has_come()

    async def send(self, data: bytes, seconds: float) -> None:
        """Send all of *data*. Raises OSError, TimeoutError."""
        # sendall would bound the whole, not each wait: a slow but steady peer is not a failure.
        self._set_timeout(max(seconds, 0.001))
        rest = memoryview(data)
        while rest:
            rest = rest[self._socket.send(rest) :]

    async def receive(self, seconds: float) -> bytes:
        """Return the bytes that came, ``b""`` at the end. Raises OSError, TimeoutError."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            return ahead
        self._set_timeout(max(seconds, 0.001))
        return self._socket.recv(_RECEIVE)

    async def wait(self, seconds: float) -> bool:
        """Return whether something comes within *seconds*."""
        ends = time.monotonic() + seconds
        while not self._has_come():
            left = ends - time.monotonic()
            if left <= 0 or not self._readable(left):
                return False
        return True

    def close(self) -> None:
        """Drop the connection at once. Idempotent."""
        self._socket.close()

    def abandon(self) -> None:
        """Close the child's descriptor alone: nothing is said to the other side."""
        self._socket.close()

    def _has_come(self) -> bool:
        """Take what is there without waiting: in TLS, what can be read may be no data at all."""
        if self._ahead is None and self._readable(0):
            self._set_timeout(0)
            try:
                self._ahead = self._socket.recv(_RECEIVE)
            except (BlockingIOError, ssl.SSLWantReadError):
                return False
            except OSError:
                self._ahead = b""  # the connection is gone; its end is what comes
        return self._ahead is not None

    def _set_timeout(self, seconds: float) -> None:
        """Let the socket wait so long; mostly it does already, and this is a system call."""
        if seconds != self._seconds:
            self._socket.settimeout(seconds)
            self._seconds = seconds

    def _readable(self, seconds: float) -> bool:
        if isinstance(self._socket, ssl.SSLSocket) and self._socket.pending():
            return True
        poll = select.poll()
        poll.register(self._socket, select.POLLIN | select.POLLHUP | select.POLLERR)
        return bool(poll.poll(max(seconds, 0) * 1000))


class ThreadSemaphore:
    """Lets a limited number of threads through at a time."""

    def __init__(self, places: int) -> None:
        self._places = threading.BoundedSemaphore(places)

    def acquire_now(self) -> bool:
        """Take a place if one is free; tell whether it did."""
        return self._places.acquire(blocking=False)

    async def acquire(self, seconds: float) -> None:
        """Wait for a place. Raises TimeoutError."""
        if not self._places.acquire(timeout=max(seconds, 0)):
            raise TimeoutError("no connection became free")

    def release(self) -> None:
        """Give the place back."""
        self._places.release()


class SocketNetwork:
    """Connections of blocking sockets; *tls* verifies certificates of secure endpoints."""

    def __init__(self, tls: Callable[[], ssl.SSLContext]) -> None:
        self._tls = tls

    async def connect(
        self, endpoint: HTTPEndpoint, seconds: float, proxy: HTTPProxy | None = None
    ) -> SocketConnection:
        """Return a connection, with verified TLS if secure. Raises OSError, TimeoutError."""
        place = (endpoint.host, endpoint.port) if proxy is None else (proxy.host, proxy.port)
        connected = socket.create_connection(place, timeout=seconds)
        try:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if proxy is not None and endpoint.secure:
                await open_tunnel(SocketConnection(connected), endpoint, proxy, seconds)
                connected.settimeout(seconds)
            if endpoint.secure:
                connected = self._tls().wrap_socket(connected, server_hostname=endpoint.host)
            return SocketConnection(connected)
        except BaseException:
            connected.close()
            raise

    def home(self) -> object:
        """Return None: any thread may use a connection."""
        return None

    def is_open(self, home: object) -> bool:  # noqa: ARG002 - all have one home
        """Return True."""
        return True

    def semaphore(self, places: int) -> ThreadSemaphore:
        """Return a new semaphore that lets *places* callers through."""
        return ThreadSemaphore(places)

    async def sleep(self, seconds: float) -> None:
        """Wait *seconds*."""
        time.sleep(seconds)  # noqa: ASYNC251 - nothing else waits on this thread

    async def all_of(
        self, calls: Sequence[Callable[[], Coroutine[object, None, T]]], *, at_once: int
    ) -> list[T]:
        """Return the results of *calls* in order, at most *at_once* of them under way."""
        return all_on_threads(calls, at_once=at_once)

    async def shielded(self, call: Coroutine[object, None, T]) -> T:
        """Return what *call* returns; it runs to its end also when the caller is cancelled."""
        return await call
