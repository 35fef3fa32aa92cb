"""MariaDB blocking, by PyMySQL: nothing here suspends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pymysql
from pymysql.constants import CLIENT

from holdfast.records.drivers.sql.mysql_connection import (
    MySQLConnection,
    check_version,
    mysql_arguments,
    unreachable_error,
)
from holdfast.records.drivers.sql.server_connection import has_input, open_socket

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.records.drivers.sql.encryption import Encryption
    from holdfast.records.drivers.sql.server_address import ServerAddress


class PyMySQLCursor:
    """PyMySQL's cursor, whose calls can be awaited."""

    def __init__(self, cursor: pymysql.cursors.Cursor) -> None:
        self._cursor = cursor

    @property
    def description(self) -> object:
        """See `MySQLCursor`."""
        return self._cursor.description

    @property
    def rowcount(self) -> int:
        """See `MySQLCursor`."""
        count: int = self._cursor.rowcount
        return count

    async def execute(self, sql: str, values: tuple[object, ...] | None) -> int:
        """See `MySQLCursor`."""
        count: int = self._cursor.execute(sql, values)
        return count

    async def fetchall(self) -> Sequence[Sequence[object]]:
        """See `MySQLCursor`."""
        found: Sequence[Sequence[object]] = self._cursor.fetchall()
        return found

    async def nextset(self) -> object:
        """See `MySQLCursor`."""
        return self._cursor.nextset()


class PyMySQLConnection(MySQLConnection):
    """See `ServerConnection`."""

    driver = "pymysql"
    errors = (pymysql.MySQLError, pymysql.InternalError, (OSError,))

    def __init__(self, raw: pymysql.Connection) -> None:
        super().__init__(PyMySQLCursor(raw.cursor()))
        self.raw: Any = raw  # without annotations: it has more than can be read off its source

    def is_open(self) -> bool:
        """Tell whether PyMySQL believes that its connection stands."""
        return bool(self.raw.open)

    def stale(self) -> bool:
        """Tell, without waiting, whether the other side has hung up already."""
        if not self.raw.open:
            return True
        return has_input(self.raw._sock.fileno())  # noqa: SLF001 - it has no other way

    async def close(self) -> None:
        """End the session. Idempotent, and silent when nobody is there."""
        try:
            self.raw.close()
        except (OSError, pymysql.MySQLError):
            self.abandon()

    def abandon(self) -> None:
        """Let go of it at once."""
        self.raw._force_close()  # noqa: SLF001 - `close` speaks, and may wait for an answer


def open_raw(
    address: ServerAddress,
    encryption: Encryption,
    application: str,
    patience: float,
    **settings: Any,
) -> pymysql.Connection:
    """Return a new connection of PyMySQL, with its own *settings*; *patience* is in seconds."""
    raw: Any = pymysql.Connection(
        **mysql_arguments(address, encryption, application),
        **settings,
        ssl_disabled=encryption.context is None,
        connect_timeout=max(1, round(patience)),
        defer_connect=True,
    )
    link = None
    if address.host.startswith("/"):  # PyMySQL leaves one open when it can't connect it
        link = open_socket(address.host, patience)
        link.settimeout(None)
    raw.connect(link)
    return cast("pymysql.Connection", raw)


async def connect(
    address: ServerAddress,
    *,
    patience: float,
    greeting: str,
    encryption: Encryption,
    application: str,
) -> PyMySQLConnection:
    """Return a new connection on which the statement *greeting* was run.

    *patience* is in seconds. Raises PyMySQL's exceptions, and ConfigurationError for a server that
    is not a MariaDB, or too old.
    """
    raw: Any = open_raw(
        address,
        encryption,
        application,
        patience,
        autocommit=True,
        client_flag=CLIENT.FOUND_ROWS | CLIENT.MULTI_STATEMENTS,
    )
    connection = PyMySQLConnection(raw)
    try:
        check_version(raw.server_version)
        await connection.command(greeting)
    except BaseException:
        connection.abandon()
        raise
    return connection


def unreachable(error: Exception, address: ServerAddress, _how: Encryption) -> Exception:
    """Return what a failure of `connect` means; a bug's error as it is."""
    return unreachable_error(PyMySQLConnection.errors, error, address)
