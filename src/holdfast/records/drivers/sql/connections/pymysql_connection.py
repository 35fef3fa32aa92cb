"""MariaDB and MySQL blocking, by PyMySQL: nothing here suspends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pymysql
from pymysql.constants import CLIENT

from holdfast.records.drivers.sql.connections.mysql_connection import (
    MySQLConnection,
    mysql_arguments,
    password_key,
    unreachable_error,
)
from holdfast.records.drivers.sql.connections.server_connection import has_input, open_socket

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.records.drivers.sql.connections.cleartext import PasswordKey
    from holdfast.records.drivers.sql.connections.encryption import Encryption
    from holdfast.records.drivers.sql.connections.mysql_connection import SessionStart
    from holdfast.records.drivers.sql.connections.server_address import ServerAddress


class _Connection(pymysql.Connection):  # type: ignore[misc]  # without annotations
    """One that encrypts a password for the right key alone."""

    password_key: PasswordKey | None = None

    @property
    def server_public_key(self) -> bytes | None:
        """The key that a password is encrypted for; None where the server is to name it."""
        return None if self.password_key is None else self.password_key.value

    @server_public_key.setter
    def server_public_key(self, key: bytes | None) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
        if self.password_key is not None:
            self.password_key.learn(key)


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

    @property
    def lastrowid(self) -> int:
        """See `MySQLCursor`."""
        number: int = self._cursor.lastrowid
        return number

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
        """Return whether PyMySQL believes that its connection stands."""
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
    address: ServerAddress, encryption: Encryption, start: SessionStart, **settings: Any
) -> pymysql.Connection:
    """Return a new connection of PyMySQL, with its own *settings*, on which the greeting was run.

    Raises PyMySQL's exceptions, and ConfigurationError for a server that is another product than
    *start* names, or too old.
    """
    raw: Any = _Connection(
        **mysql_arguments(address, encryption, start),
        **settings,
        ssl_disabled=encryption.context is None,
        defer_connect=True,
        read_timeout=start.whole_seconds,  # of the login: `connect_timeout` is TCP's alone
    )
    raw.password_key = password_key(address, start)
    link = None
    if address.host.startswith("/"):  # PyMySQL leaves one open when it can't connect it
        link = open_socket(address.host, start.patience)
        link.settimeout(None)
        raw._secure = True  # noqa: SLF001 - what PyMySQL says of a socket that it opened itself
    raw.connect(link)
    try:
        start.product.check(raw.server_version)
        raw.query(start.greeting)
        raw._read_timeout = None  # noqa: SLF001 - a statement may take as long as it likes
    except BaseException:
        raw._force_close()  # noqa: SLF001 - see `PyMySQLConnection.abandon`
        raise
    return cast("pymysql.Connection", raw)


async def connect(
    address: ServerAddress, encryption: Encryption, start: SessionStart
) -> PyMySQLConnection:
    """Return a new connection. Raises as `open_raw` does."""
    raw = open_raw(
        address,
        encryption,
        start,
        autocommit=True,
        client_flag=CLIENT.FOUND_ROWS | CLIENT.MULTI_STATEMENTS,
    )
    return PyMySQLConnection(raw)


def unreachable(error: Exception, address: ServerAddress, start: SessionStart) -> Exception:
    """Return what a failure of `connect` means; a bug's error as it is."""
    return unreachable_error(PyMySQLConnection.errors, error, address, start.product)
