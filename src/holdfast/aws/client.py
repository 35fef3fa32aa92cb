"""An HTTP client of one endpoint: its requests go over connections that are kept."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.aws.http import exchange, more

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from holdfast.aws.endpoint import HTTPEndpoint
    from holdfast.aws.http import Deadline, HTTPRequest, Limits, ResponseParser
    from holdfast.aws.network import Network, NetworkConnection


@dataclass(slots=True)
class _Idle:
    connection: NetworkConnection
    since: float


class HTTPResponse:
    """A response whose head has come. The caller closes it, whatever happens."""

    __slots__ = ("_connection", "_give_back", "_parser", "_read_timeout", "_whole")

    def __init__(
        self,
        connection: NetworkConnection,
        parser: ResponseParser,
        *,
        whole: bool,
        read_timeout: float,
        give_back: Callable[[NetworkConnection, bool], None],
    ) -> None:
        self._connection = connection
        self._parser = parser
        self._whole = whole
        self._read_timeout = read_timeout
        self._give_back: Callable[[NetworkConnection, bool], None] | None = give_back

    @property
    def status(self) -> int:
        """The status code."""
        return self._parser.status

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers by lower-case name; of several with one name, the texts joined by commas."""
        return self._parser.headers

    async def receive(self) -> bytes:
        """Return the next bytes of the body, ``b""`` at its end.

        Raises OSError when the connection dies before, TimeoutError when nothing comes.
        """
        parser = self._parser
        while True:
            piece = parser.take()
            if piece or parser.done:
                return piece
            if self._give_back is None:
                raise ConnectionError("the response is closed")
            await more(self._connection, parser, self._read_timeout)

    async def read(self, most: int) -> bytes:
        """Return the whole body. Raises ConnectionError when it exceeds *most* bytes."""
        pieces: list[bytes] = []
        size = 0
        while piece := await self.receive():
            pieces.append(piece)
            size += len(piece)
            if size > most:
                raise ConnectionError(f"the response exceeds {most} bytes")
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def close(self) -> None:
        """Keep the connection if it is clean, else drop it. Idempotent."""
        if self._give_back is not None:
            give_back, self._give_back = self._give_back, None
            came = self._parser
            clean = self._whole and came.done and came.keep_alive and not came.surplus
            give_back(self._connection, clean)


class HTTPClient:
    """Sends requests to one endpoint.

    A connection serves the next request only when the response before was read to its end: one
    that was cancelled, failed, cut short or answered early is dropped.
    """

    def __init__(
        self,
        network: Network,
        endpoint: HTTPEndpoint,
        limits: Limits,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.network = network
        self.endpoint = endpoint
        self.authority = endpoint.authority
        self._limits = limits
        self._clock = clock
        self._semaphore = network.semaphore(limits.connections)
        self._idle: deque[_Idle] = deque()
        self._closed = False

    async def send(self, request: HTTPRequest, deadline: Deadline) -> HTTPResponse:
        """Send *request* and return its response once its head has come.

        A kept connection that turns out to be closed before a byte of the response came is
        replaced, unless the request is not repeatable. Raises OSError, TimeoutError.
        """
        await self._semaphore.acquire(deadline.read())
        try:
            while (connection := self._kept()) is not None:
                try:
                    return await self._on(connection, request, deadline)
                except TimeoutError:
                    raise
                except OSError:
                    if not request.repeatable:
                        raise
            connection = await self.network.connect(self.endpoint, deadline.connect())
            return await self._on(connection, request, deadline)
        except BaseException:
            self._semaphore.release()
            raise

    def close(self) -> None:
        """Drop what is kept; what comes back is dropped. Idempotent."""
        self._closed = True
        while self._idle:
            self._idle.pop().connection.close()

    async def _on(
        self, connection: NetworkConnection, request: HTTPRequest, deadline: Deadline
    ) -> HTTPResponse:
        try:
            parser, whole = await exchange(connection, request, deadline)
        except BaseException:
            connection.close()
            raise
        return HTTPResponse(
            connection,
            parser,
            whole=whole,
            read_timeout=self._limits.read,
            give_back=self._take_back,
        )

    def _kept(self) -> NetworkConnection | None:
        while self._idle:
            try:
                idle = self._idle.pop()
            except IndexError:  # another thread was faster
                return None
            if self._clock() - idle.since <= self._limits.idle and not idle.connection.has_input:
                return idle.connection
            idle.connection.close()
        return None

    def _take_back(self, connection: NetworkConnection, clean: bool) -> None:
        if clean and not self._closed and not connection.has_input:
            self._idle.append(_Idle(connection, self._clock()))
        else:
            connection.close()
        self._semaphore.release()
