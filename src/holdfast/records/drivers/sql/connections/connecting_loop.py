"""The event loop as asyncpg is given it: what the server says first is screened, failures end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from holdfast.records.drivers.sql.connections.cleartext import (
    CLEARTEXT_METHOD,
    CleartextRefusedError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_LONGEST = 1 << 20  # bytes of a message before the session begins


class ConnectingLoop:
    """The running event loop, as one asyncpg connection is given it; the rest is the loop's own.

    asyncpg answers a request for a clear password by itself: so what the server says before it is
    ready for queries is looked at before asyncpg gets it, on plain connections (*screened*). And
    asyncpg ends a connection that fails politely, which over TLS leaves it open for as long as the
    server is silent: `abort` ends it at once.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, *, screened: bool) -> None:
        self._loop = loop
        self._screened = screened
        self._transport: asyncio.WriteTransport | None = None
        # What asyncpg calls for each statement: found here without a detour.
        self.create_future = loop.create_future
        self.call_later = loop.call_later
        self.call_soon = loop.call_soon
        self.create_task = loop.create_task
        self.get_debug = loop.get_debug

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    def abort(self) -> None:
        """End the connection that was made, if there is one. Idempotent."""
        if self._transport is not None:
            self._transport.abort()

    async def create_connection(
        self, factory: Callable[[], asyncio.Protocol], *address: Any, **options: Any
    ) -> tuple[asyncio.BaseTransport, asyncio.BaseProtocol]:
        """Connect, and return the transport and what *factory* made."""
        return await self._made(self._loop.create_connection, factory, *address, **options)

    async def create_unix_connection(
        self, factory: Callable[[], asyncio.Protocol], *address: Any, **options: Any
    ) -> tuple[asyncio.BaseTransport, asyncio.BaseProtocol]:
        """Connect to a socket in the file system, likewise."""
        return await self._made(self._loop.create_unix_connection, factory, *address, **options)

    async def _made(
        self, connect: Any, factory: Callable[[], asyncio.Protocol], *address: Any, **options: Any
    ) -> tuple[asyncio.BaseTransport, asyncio.BaseProtocol]:
        make = (lambda: _Screen(factory())) if self._screened else factory
        transport, protocol = await connect(make, *address, **options)
        self._transport = transport
        return transport, getattr(protocol, "protocol", protocol)


class _Screen(asyncio.Protocol):
    """Passes the server's messages on, whole ones, until it is ready for queries."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        self.protocol = protocol
        self._seen = b""
        self._reason: Exception | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, as asyncio asks."""
        # uvloop's transports are none of asyncio's classes, but have the same methods.
        self._transport = cast("asyncio.Transport", transport)
        self.protocol.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Pass on the messages that have come whole, but not the one that asks for a password."""
        self._seen += data
        while len(self._seen) >= 5:
            kind, size = self._seen[:1], 1 + int.from_bytes(self._seen[1:5], "big")
            if not 5 <= size <= _LONGEST:
                self._end(ConnectionError("the server does not speak PostgreSQL's protocol"))
                return
            if len(self._seen) < size:
                return
            message, self._seen = self._seen[:size], self._seen[size:]
            if kind == b"R" and message[5:9] == CLEARTEXT_METHOD:
                self._end(CleartextRefusedError())
                return
            if kind == b"Z":
                self._transport.set_protocol(self.protocol)
                self.protocol.data_received(message + self._seen)
                return
            self.protocol.data_received(message)

    def _end(self, error: Exception) -> None:
        self._reason = error
        self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Say that it is over, and why, as asyncio asks."""
        self.protocol.connection_lost(self._reason or exc)

    def pause_writing(self) -> None:
        """Say that the network is slower, as asyncio asks."""
        self.protocol.pause_writing()

    def resume_writing(self) -> None:
        """Say that the network has caught up, as asyncio asks."""
        self.protocol.resume_writing()

    def eof_received(self) -> bool | None:
        """Say that the server will say no more, as asyncio asks."""
        return self.protocol.eof_received()
