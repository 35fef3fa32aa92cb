"""An HTTP client of one endpoint: its requests go over connections that are kept."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from holdfast.aws.http import Patience, Traffic, exchange
from holdfast.errors import UnavailableError
from holdfast.forks import after_fork

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from holdfast.aws.endpoint import HTTPEndpoint, HTTPProxy
    from holdfast.aws.http import Deadline, HTTPRequest, Limits, ResponseParser
    from holdfast.aws.network import Network, NetworkConnection, Semaphore


@dataclass(slots=True)
class _Idle:
    connection: NetworkConnection
    since: float


@dataclass(slots=True, eq=False)
class _Pool:
    """The connections of one event loop, or of blocking code: those idle, and those in use.

    It is *foreign* in the child of a fork, where its connections are the parent's.
    """

    places: Semaphore
    idle: deque[_Idle] = field(default_factory=deque)
    used: set[NetworkConnection] = field(default_factory=set)
    foreign: bool = False


class HTTPResponse:
    """A response whose head has come. The caller closes it, whatever happens."""

    __slots__ = ("_client", "_connection", "_parser", "_patience", "_pool", "_whole")

    def __init__(
        self,
        client: HTTPClient,
        pool: _Pool,
        connection: NetworkConnection,
        parser: ResponseParser,
        *,
        whole: bool,
    ) -> None:
        self._client = client
        self._pool: _Pool | None = pool
        self._connection = connection
        self._parser = parser
        self._whole = whole
        self._patience: Patience | None = None

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

        Raises OSError when the connection dies before, TimeoutError when nothing comes, and when
        it comes too slowly.
        """
        parser = self._parser
        while True:
            piece = parser.take()
            if piece or parser.done:
                return piece
            if self._pool is None:
                raise ConnectionError("the response is closed")
            if self._pool.foreign:
                raise ConnectionError("the process has forked: the connection is its parent's")
            if self._patience is None:
                self._patience = self._client.patience()
            self._client.traffic.count += await self._patience.wait(self._connection, parser)

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
        if self._pool is not None:
            pool, self._pool = self._pool, None
            came = self._parser
            clean = self._whole and came.done and came.keep_alive and not came.surplus
            self._client.take_back(pool, self._connection, clean=clean)


class HTTPClient:
    """Sends requests to one endpoint, through *proxy* where there is one.

    A connection serves the next request only when the response before was read to its end: one
    that was cancelled, failed, cut short or answered early is dropped. The child of a fork has
    connections of its own, and so has each event loop.
    """

    def __init__(
        self,
        network: Network,
        endpoint: HTTPEndpoint,
        limits: Limits,
        clock: Callable[[], float] = time.monotonic,
        *,
        proxy: HTTPProxy | None = None,
    ) -> None:
        self.network = network
        self.endpoint = endpoint
        self.authority = endpoint.authority
        self.traffic = Traffic()
        self._proxy = proxy
        self._limits = limits
        self._clock = clock
        self._closed = False
        self._pools: dict[object, _Pool] = {}
        after_fork(self._after_fork)

    async def send(self, request: HTTPRequest, deadline: Deadline) -> HTTPResponse:
        """Send *request* and return its response once its head has come.

        A kept connection that turns out to be closed before a byte of the response came is
        replaced, unless the request is not repeatable. Raises OSError, TimeoutError, and
        UnavailableError when every connection is taken and nothing moves on any.
        """
        pool = self._pools.get(self.network.home()) or self._new_pool()
        if not pool.places.acquire_now():
            await self._place(pool, deadline)
        try:
            while (connection := self._kept(pool)) is not None:
                try:
                    return await self._on(pool, connection, request, deadline)
                except TimeoutError:
                    raise
                except OSError:
                    if not request.repeatable:
                        raise
            connection = await self.network.connect(self.endpoint, deadline.connect(), self._proxy)
            return await self._on(pool, connection, request, deadline)
        except BaseException:
            pool.places.release()
            raise

    def close(self) -> None:
        """Drop what is kept; what comes back is dropped. Idempotent."""
        self._closed = True
        for home, pool in self._pools.items():
            while pool.idle and self.network.is_open(home):
                pool.idle.pop().connection.close()

    def patience(self) -> Patience:
        """Return the time that the body of one response may take."""
        return Patience(self._limits, self._clock)

    def take_back(self, pool: _Pool, connection: NetworkConnection, *, clean: bool) -> None:
        """Keep *connection*, which came from *pool*, for the next request if it is *clean*."""
        if pool.foreign:
            return
        pool.used.discard(connection)
        self.traffic.count += 1  # an answer without a body is progress too
        if clean and not self._closed:
            pool.idle.append(_Idle(connection, self._clock()))
        else:
            connection.close()
        pool.places.release()

    async def _place(self, pool: _Pool, deadline: Deadline) -> None:
        """Wait until a connection may be used, as long as bytes move on those that are."""
        while True:
            seen = self.traffic.count
            try:
                await pool.places.acquire(deadline.read())
            except TimeoutError:
                if deadline.left > 0 and self.traffic.count != seen:
                    continue
                raise UnavailableError(
                    f"all {self._limits.connections} connections to {self.authority} are taken, "
                    "by readers that are open or requests that wait: close them, or raise the "
                    "option connections"
                ) from None
            return

    async def _on(
        self, pool: _Pool, connection: NetworkConnection, request: HTTPRequest, deadline: Deadline
    ) -> HTTPResponse:
        if self._proxy is not None and not self.endpoint.secure:
            request = _for_proxy(request, self.authority, self._proxy)
        pool.used.add(connection)
        try:
            parser, whole = await exchange(connection, request, deadline, self.traffic)
        except BaseException:
            pool.used.discard(connection)
            connection.close()
            raise
        return HTTPResponse(self, pool, connection, parser, whole=whole)

    def _kept(self, pool: _Pool) -> NetworkConnection | None:
        while pool.idle:
            try:
                idle = pool.idle.pop()
            except IndexError:  # another thread was faster
                return None
            if self._clock() - idle.since <= self._limits.idle and not idle.connection.has_input:
                return idle.connection
            idle.connection.close()
        return None

    def _new_pool(self) -> _Pool:
        for home in [home for home in self._pools if not self.network.is_open(home)]:
            del self._pools[home]
        places = self.network.semaphore(self._limits.connections)
        return self._pools.setdefault(self.network.home(), _Pool(places))

    def _after_fork(self) -> None:
        pools, self._pools = self._pools, {}
        for pool in pools.values():
            pool.foreign = True
            for connection in (*pool.used, *[idle.connection for idle in pool.idle]):
                connection.abandon()


def _for_proxy(request: HTTPRequest, authority: str, proxy: HTTPProxy) -> HTTPRequest:
    """Return *request* as a proxy takes it that passes on plain HTTP."""
    headers = {**request.headers, **proxy.headers()}
    return replace(request, target=f"http://{authority}{request.target}", headers=headers)
