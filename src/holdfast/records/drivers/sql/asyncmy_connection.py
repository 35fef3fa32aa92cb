"""MariaDB awaited, by asyncmy: a call must not be stopped within a statement (see `Pool`)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import asyncmy.errors
from asyncmy.connection import Connection
from asyncmy.constants import CLIENT

from holdfast.records.drivers.sql.mysql_connection import (
    MySQLConnection,
    check_version,
    mysql_arguments,
    unreachable_error,
)

if TYPE_CHECKING:
    from holdfast.records.drivers.sql.encryption import Encryption
    from holdfast.records.drivers.sql.server_address import ServerAddress


_QUIT_WAIT = 5  # seconds that a server may take to answer a farewell


class _Connection(Connection):
    """One that ends at once: over TLS asyncio would wait for the farewell of a silent server."""

    _transport: asyncio.WriteTransport | None

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
        """Tell whether asyncmy believes that its connection stands."""
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
    address: ServerAddress,
    *,
    patience: float,
    greeting: str,
    encryption: Encryption,
    application: str,
) -> AsyncmyConnection:
    """Return a new connection on which the statement *greeting* was run.

    *patience* is in seconds. Raises asyncmy's exceptions, and ConfigurationError for a server that
    is not a MariaDB, or too old.
    """
    raw = _Connection(  # type: ignore[no-untyped-call]  # compiled: it has no annotations
        **mysql_arguments(address, encryption, application),
        autocommit=True,
        connect_timeout=max(1, round(patience)),
        client_flag=CLIENT.FOUND_ROWS,
    )
    await raw.connect()
    connection = AsyncmyConnection(raw)
    try:
        check_version(raw.get_server_info())
        await connection.command(greeting)
    except BaseException:
        connection.abandon()
        raise
    return connection


def unreachable(error: Exception, address: ServerAddress, _how: Encryption) -> Exception:
    """Return what a failure of `connect` means; a bug's error as it is."""
    return unreachable_error(AsyncmyConnection.errors, error, address)
