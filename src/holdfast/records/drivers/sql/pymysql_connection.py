"""MariaDB blocking: PyMySQL. Nothing here suspends."""

from __future__ import annotations

import select
from typing import TYPE_CHECKING, Any

import pymysql
from pymysql.constants import CLIENT

from holdfast.errors import ConfigurationError, UnavailableError
from holdfast.records.drivers.sql.errno import LOST, REFUSED, UNREACHED, check_version
from holdfast.records.drivers.sql.server_connection import Fault

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence

    from holdfast.records.drivers.sql.server_address import ServerAddress


class PyMySQLConnection:
    """See `Connection`."""

    driver = "pymysql"

    def __init__(self, raw: Any) -> None:
        self.raw = raw
        self._cursor = raw.cursor()

    async def fetch(self, sql: str, values: Sequence[object]) -> Sequence[Sequence[object]]:
        self._cursor.execute(sql, tuple(values) or None)
        found: Sequence[Sequence[object]] = self._cursor.fetchall()
        return found

    async def execute(self, sql: str, values: Sequence[object]) -> int:
        count: int = self._cursor.execute(sql, tuple(values) or None)
        return count

    async def command(self, sql: str) -> str:
        await self.several(sql, ())
        return ""

    async def several(
        self, sql: str, values: Sequence[object]
    ) -> list[tuple[int, Sequence[Sequence[object]]]]:
        """Run the statements of one text; return of each how many rows it found, and the rows."""
        cursor = self._cursor
        cursor.execute(sql, tuple(values) or None)
        found: list[tuple[int, Sequence[Sequence[object]]]] = []
        while True:
            rows = cursor.fetchall() if cursor.description else ()
            found.append((cursor.rowcount, rows))
            if not cursor.nextset():
                return found

    def fault(self, error: Exception) -> Fault | None:
        if isinstance(error, pymysql.MySQLError):
            code = error.args[0] if error.args else None
            desynced = isinstance(error, pymysql.InternalError) and not isinstance(code, int)
            lost = desynced or code in LOST or not self.raw.open
            return Fault(str(code), lost=lost) if lost or isinstance(code, int) else None
        if isinstance(error, OSError):
            return Fault("2013", lost=True)
        return None

    def stale(self) -> bool:
        if not self.raw.open:
            return True
        # Nobody speaks on an idle connection but to say that it is over.
        poll = select.poll()
        poll.register(self.raw._sock.fileno(), select.POLLIN)  # noqa: SLF001 - it has no other way
        return bool(poll.poll(0))

    async def close(self) -> None:
        try:
            self.raw.close()
        except (OSError, pymysql.MySQLError):
            self.abandon()

    def abandon(self) -> None:
        self.raw._force_close()  # noqa: SLF001 - `close` speaks, and may wait for an answer


async def connect(
    place: ServerAddress, *, patience: float, greeting: str, tls: ssl.SSLContext | None
) -> PyMySQLConnection:
    """Return a new connection on which the statement *greeting* was run.

    Raises ConfigurationError for a server that is no MariaDB, or too old.
    """
    raw: Any = pymysql.connect(
        host=place.host,
        port=place.port,
        user=place.user,
        password=place.password or "",
        database=place.database,
        charset="utf8mb4",
        autocommit=True,
        connect_timeout=max(1, round(patience)),
        client_flag=CLIENT.FOUND_ROWS | CLIENT.MULTI_STATEMENTS,
        ssl=tls,
        ssl_disabled=tls is None,
    )
    connection = PyMySQLConnection(raw)
    try:
        check_version(raw.server_version)
        await connection.command(greeting)
    except BaseException:
        connection.abandon()
        raise
    return connection


def unreachable(error: Exception, place: ServerAddress) -> Exception:
    """Return what a failure of `connect` means; a bug's error as it is."""
    where = f"MariaDB at {place.host}:{place.port}"
    if isinstance(error, pymysql.MySQLError):
        code = error.args[0] if error.args else None
        if code in REFUSED:
            return ConfigurationError(
                f"{where} refuses user {place.user!r}, the password given, or database "
                f"{place.database!r} ({code})"
            )
        if code in UNREACHED:
            return UnavailableError(f"{where} can't be reached: {error.args[-1]}")
        return UnavailableError(f"{where} does not take connections now ({code})")
    if isinstance(error, OSError):
        return UnavailableError(f"{where} can't be reached: {error}")
    return error
