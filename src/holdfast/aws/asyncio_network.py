"""The network over asyncio: connections of the running event loop."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from typing import TYPE_CHECKING, TypeVar, cast

from holdfast.aws.proxy import open_tunnel
from holdfast.offload import all_as_tasks

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Coroutine, Sequence

    from holdfast.aws.endpoint import HTTPEndpoint, HTTPProxy

T = TypeVar("T")

_RECEIVE = 64 * 1024  # below malloc's mmap threshold, or each receive costs system calls
_HELD = 512 * 1024
_SENT_LATER = 64 * 1024  # what a transport keeps it moves about with each send


class AsyncioConnection(asyncio.BufferedProtocol):
    """One asyncio transport. Holds at most about half a MiB that nobody received yet."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray(_RECEIVE)
        self._view = memoryview(self._buffer)
        self._came: deque[bytes] = deque()
        self._held = 0
        self._paused = False
        self._ended = False
        self._error: OSError | None = None
        self._receiver: asyncio.Future[bool] | None = None
        self._full = False
        self._sender: asyncio.Future[bool] | None = None
        self._waiter: asyncio.Future[bool] | None = None
        self._due = math.inf
        self._timer: asyncio.TimerHandle | None = None

    # The transport's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        # uvloop's transports are none of asyncio's classes, but have the same methods.
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=_SENT_LATER)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's name
        """Return where the next bytes go."""
        return self._view

    def buffer_updated(self, nbytes: int) -> None:
        """Keep the bytes that came; stop reading when too many wait."""
        self._came.append(bytes(self._view[:nbytes]))
        self._held += nbytes
        if self._held >= _HELD and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
        _wake(self._receiver)

    def eof_received(self) -> bool:
        """Note the end of the stream."""
        self._ended = True
        _wake(self._receiver)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end of the connection, and wake the waiters."""
        self._ended = True
        if isinstance(exc, OSError):
            self._error = exc
        elif exc is not None:
            self._error = ConnectionError(f"{type(exc).__name__}: {exc}")
        if self._timer is not None:
            self._timer.cancel()
        _wake(self._receiver)
        _wake(self._sender)

    def pause_writing(self) -> None:
        """Note that the transport takes no more bytes."""
        self._full = True

    def resume_writing(self) -> None:
        """Wake the sender."""
        self._full = False
        _wake(self._sender)

    # The caller's side.

    @property
    def has_input(self) -> bool:
        """Whether something came that was not received yet: bytes, or the end."""
        return self._ended or self._held > 0

    async def send(self, data: bytes, seconds: float) -> None:
        """Send all of *data*. Raises OSError, TimeoutError."""
        if self._ended or self._transport is None:
            raise self._error or ConnectionResetError("the other side has closed the connection")
        self._transport.write(data)
        if self._full:
            waiter = self._sender = self._loop.create_future()
            try:
                await self._woken(waiter, seconds, "the other side takes no more bytes")
            finally:
                self._sender = None
            if self._ended:
                raise self._error or ConnectionResetError("the connection was closed")

    async def receive(self, seconds: float) -> bytes:
        """Return the bytes that came, ``b""`` at the end. Raises OSError, TimeoutError."""
        if not self._came and not self._ended:
            waiter = self._receiver = self._loop.create_future()
            try:
                await self._woken(waiter, seconds, "nothing comes from the other side")
            finally:
                self._receiver = None
        if self._came:
            chunk = self._came.popleft()
            self._held -= len(chunk)
            if self._paused and self._held < _HELD // 2 and self._transport is not None:
                self._paused = False
                self._transport.resume_reading()
            return chunk
        if self._error is not None:
            raise self._error
        return b""

    async def wait(self, seconds: float) -> bool:
        """Return whether something comes within *seconds*."""
        if not self.has_input:
            waiter = self._receiver = self._loop.create_future()
            try:
                await self._woken(waiter, seconds, "")
            except TimeoutError:
                return False
            finally:
                self._receiver = None
        return True

    def close(self) -> None:
        """Drop the connection at once. Idempotent."""
        self._ended = True
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    def abandon(self) -> None:
        """Let go without touching the transport: its loop, and what it polls with, are shared."""
        self._ended = True
        self._transport = None

    async def start_tls(self, context: ssl.SSLContext, host: str) -> None:
        """Go on over TLS, as *host*. Raises OSError."""
        assert self._transport is not None
        secured = await self._loop.start_tls(self._transport, self, context, server_hostname=host)
        assert secured is not None
        self.connection_made(secured)

    async def _woken(self, waiter: asyncio.Future[bool], seconds: float, why: str) -> None:
        """Wait for *waiter*. One timer serves all waits: most end long before it would ring."""
        self._waiter = waiter
        self._due = self._loop.time() + seconds
        if self._timer is None or self._due < self._timer.when():
            self._set_timer()
        try:
            if not await waiter:
                raise TimeoutError(why)
        finally:
            self._due = math.inf

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._due, self._ring)

    def _ring(self) -> None:
        self._timer = None
        if self._due == math.inf:
            return
        if self._loop.time() < self._due:
            self._set_timer()
        elif self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(False)


def _wake(waiter: asyncio.Future[bool] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(True)


class TaskSemaphore:
    """Lets a limited number of tasks through at a time, first come first served."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._waiting: deque[asyncio.Future[bool]] = deque()

    def acquire_now(self) -> bool:
        """Take a place if one is free and nobody waits for it; tell whether it did."""
        if self._free <= 0:
            return False
        self._free -= 1
        return True

    async def acquire(self, seconds: float) -> None:
        """Wait for a place. Raises TimeoutError."""
        if self.acquire_now():
            return
        waiter: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            async with asyncio.timeout(seconds):
                await waiter
        except BaseException:
            if waiter.done() and not waiter.cancelled():
                self.release()  # the place came at the same moment
            raise

    def release(self) -> None:
        """Give the place back: it goes to who has waited longest, if anybody does."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(True)
                return
        self._free += 1


class AsyncioNetwork:
    """Connections of the running event loop; *tls* verifies certificates of secure endpoints."""

    def __init__(self, tls: Callable[[], ssl.SSLContext]) -> None:
        self._tls = tls

    async def connect(
        self, endpoint: HTTPEndpoint, seconds: float, proxy: HTTPProxy | None = None
    ) -> AsyncioConnection:
        """Return a connection, with verified TLS if secure. Raises OSError, TimeoutError."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(seconds):
            if proxy is not None:
                return await self._through(proxy, endpoint, seconds)
            _, connection = await loop.create_connection(
                lambda: AsyncioConnection(loop),
                endpoint.host,
                endpoint.port,
                ssl=self._tls() if endpoint.secure else None,
            )
        return connection

    async def _through(
        self, proxy: HTTPProxy, endpoint: HTTPEndpoint, seconds: float
    ) -> AsyncioConnection:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(
            lambda: AsyncioConnection(loop), proxy.host, proxy.port
        )
        if endpoint.secure:
            try:
                await open_tunnel(connection, endpoint, proxy, seconds)
                await connection.start_tls(self._tls(), endpoint.host)
            except BaseException:
                connection.close()
                raise
        return connection

    def home(self) -> object:
        """Return the running event loop."""
        return asyncio.get_running_loop()

    def is_open(self, home: object) -> bool:
        """Return whether the loop *home* is open."""
        return isinstance(home, asyncio.AbstractEventLoop) and not home.is_closed()

    def semaphore(self, places: int) -> TaskSemaphore:
        """Return a new semaphore that lets *places* callers through."""
        return TaskSemaphore(places)

    async def sleep(self, seconds: float) -> None:
        """Wait *seconds*."""
        await asyncio.sleep(seconds)

    async def all_of(
        self, calls: Sequence[Callable[[], Coroutine[object, None, T]]], *, at_once: int
    ) -> list[T]:
        """Return the results of *calls* in order, at most *at_once* of them under way."""
        return await all_as_tasks(calls, at_once=at_once)

    async def shielded(self, call: Coroutine[object, None, T]) -> T:
        """Return what *call* returns; it runs to its end also when the caller is cancelled."""
        task = asyncio.ensure_future(call)
        cancelled: asyncio.CancelledError | None = None
        while not task.done():
            try:
                await asyncio.shield(task)
            except asyncio.CancelledError as error:
                if task.cancelled():
                    raise
                cancelled = error
            except BaseException:  # noqa: BLE001 - the task holds it, and result() raises it
                break
        if cancelled is not None:
            task.exception()  # retrieved, or asyncio logs it: the cancellation is what counts
            raise cancelled
        return task.result()
