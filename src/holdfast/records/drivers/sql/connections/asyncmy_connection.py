"""MariaDB and MySQL awaited, by asyncmy: no call may be stopped within a statement (see `Pool`)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import asyncmy.errors
from asyncmy.connection import Connection
from asyncmy.constants import CLIENT

from holdfast.records.drivers.sql.connections.mysql_connection import (
    MySQLConnection,
    mysql_arguments,
    password_key,
    unreachable_error,
)

if TYPE_CHECKING:
    from holdfast.records.drivers.sql.connections.cleartext import PasswordKey
    from holdfast.records.drivers.sql.connections.encryption import Encryption
    from holdfast.records.drivers.sql.connections.mysql_connection import SessionStart
    from holdfast.records.drivers.sql.connections.server_address import ServerAddress


_QUIT_WAIT = 5  # seconds that a server may take to answer a farewell


class _Connection(Connection):
    """One that ends at once: over TLS asyncio would wait for the farewell of a silent server."""

    _transport: asyncio.WriteTransport | None
    password_key: PasswordKey | None = None
    """What a password is encrypted for; None while the connection is made."""

    @property
    def _server_public_key(self) -> bytes | None:
        return None if self.password_key is None else self.password_key.value

    @_server_public_key.setter
    def _server_public_key(self, key: bytes | None) -> None:
        if self.password_key is not None:
            self.password_key.learn(key)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()  # first: a transport that was closed twice ignores it
        super().close()


class AsyncmyConnection(MySQLConnection):
    """See `ServerConnection`."""

    driver = "asyncmy"
    errors = (asyncmy.errors.MySQLError, asyncmy.errors.InternalError, (OSError, EOFError))

    def __init__(self, raw: Connection) -> None:
        self.raw: Any = raw  # compiled: it has more than its annotations name
        super().__init__(self.raw.cursor())

    def is_open(self) -> bool:
        """Return whether asyncmy believes that its connection stands."""
        return bool(self.raw.connected)

    def stale(self) -> bool:
        """Tell, without waiting, whether the other side has hung up already."""
        transport = self.raw._transport  # noqa: SLF001 - it has no other way to say that it is over
        return not self.raw.connected or transport is None or bool(transport.is_closing())

    async def close(self) -> None:
        """End the session. Idempotent, and silent when nobody is there."""
        try:
            async with asyncio.timeout(_QUIT_WAIT):
                await self.raw.ensure_closed()
        except (OSError, EOFError, asyncmy.errors.MySQLError):
            self.abandon()

    def abandon(self) -> None:
        """Let go of it at once."""
        self.raw.close()


async def connect(
    address: ServerAddress, encryption: Encryption, start: SessionStart
) -> AsyncmyConnection:
    """Return a new connection on which the greeting of *start* was run.

    Raises asyncmy's exceptions, TimeoutError where all of it outlasts the patience of *start*,
    and ConfigurationError for a server that is another product than *start* names, or too old.
    """
    raw = _Connection(  # type: ignore[no-untyped-call]  # compiled: it has no annotations
        **mysql_arguments(address, encryption, start),
        autocommit=True,
        client_flag=CLIENT.FOUND_ROWS,
    )
    raw.password_key = password_key(address, start)
    try:
        async with asyncio.timeout(start.patience):  # asyncmy's own ends with the TCP connection
            await raw.connect()
            connection = AsyncmyConnection(raw)
            start.product.check(raw.get_server_info())
            await connection.command(start.greeting)
    except BaseException:
        raw.close()
        raise
    return connection


def unreachable(error: Exception, address: ServerAddress, start: SessionStart) -> Exception:
    """Return what a failure of `connect` means; a bug's error as it is."""
    return unreachable_error(AsyncmyConnection.errors, error, address, start.product)
