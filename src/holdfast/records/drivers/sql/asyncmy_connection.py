"""MariaDB awaited: asyncmy. A call must not be stopped within a statement (see `Pool`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import asyncmy
import asyncmy.errors
from asyncmy.constants import CLIENT

from holdfast.errors import ConfigurationError, UnavailableError
from holdfast.records.drivers.sql.errno import LOST, REFUSED, UNREACHED, check_version
from holdfast.records.drivers.sql.server_connection import Fault

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence

    from holdfast.records.drivers.sql.server_address import ServerAddress


class AsyncmyConnection:
    """See `Connection`."""

    driver = "asyncmy"

    def __init__(self, raw: Any) -> None:
        self.raw = raw
        self._cursor = raw.cursor()

    async def fetch(self, sql: str, values: Sequence[object]) -> Sequence[Sequence[object]]:
        await self._cursor.execute(sql, tuple(values) or None)
        found: Sequence[Sequence[object]] = await self._cursor.fetchall()
        return found

    async def execute(self, sql: str, values: Sequence[object]) -> int:
        count: int = await self._cursor.execute(sql, tuple(values) or None)
        return count

    async def command(self, sql: str) -> str:
        await self.several(sql, ())
        return ""

    async def several(
        self, sql: str, values: Sequence[object]
    ) -> list[tuple[int, Sequence[Sequence[object]]]]:
        """Run the statements of one text; return of each how many rows it found, and the rows."""
        cursor = self._cursor
        await cursor.execute(sql, tuple(values) or None)
        found: list[tuple[int, Sequence[Sequence[object]]]] = []
        while True:
            rows = await cursor.fetchall() if cursor.description else ()
            found.append((cursor.rowcount, rows))
            if not await cursor.nextset():
                return found

    def fault(self, error: Exception) -> Fault | None:
        if isinstance(error, asyncmy.errors.MySQLError):
            code = error.args[0] if error.args else None
            desynced = isinstance(error, asyncmy.errors.InternalError) and not isinstance(code, int)
            lost = desynced or code in LOST or not self.raw.connected
            return Fault(str(code), lost=lost) if lost or isinstance(code, int) else None
        if isinstance(error, (OSError, EOFError)):
            return Fault("2013", lost=True)
        return None

    def stale(self) -> bool:
        transport = self.raw._transport  # noqa: SLF001 - it has no other way to say that it is over
        return not self.raw.connected or transport is None or bool(transport.is_closing())

    async def close(self) -> None:
        try:
            await self.raw.ensure_closed()
        except (OSError, EOFError, asyncmy.errors.MySQLError):
            self.abandon()

    def abandon(self) -> None:
        self.raw.close()


async def connect(
    place: ServerAddress, *, patience: float, greeting: str, tls: ssl.SSLContext | None
) -> AsyncmyConnection:
    """Return a new connection on which the statement *greeting* was run.

    Raises ConfigurationError for a server that is no MariaDB, or too old.
    """
    raw = await asyncmy.connect(
        host=place.host,
        port=place.port,
        user=place.user,
        password=place.password or "",
        db=place.database,
        charset="utf8mb4",
        autocommit=True,
        connect_timeout=max(1, round(patience)),
        client_flag=CLIENT.FOUND_ROWS,
        ssl=tls,
    )
    connection = AsyncmyConnection(raw)
    try:
        check_version(raw.get_server_info())
        await connection.command(greeting)
    except BaseException:
        connection.abandon()
        raise
    return connection


def unreachable(error: Exception, place: ServerAddress) -> Exception:
    """Return what a failure of `connect` means; a bug's error as it is."""
    where = f"MariaDB at {place.host}:{place.port}"
    if isinstance(error, asyncmy.errors.MySQLError):
        code = error.args[0] if error.args else None
        if code in REFUSED:
            return ConfigurationError(
                f"{where} refuses user {place.user!r}, the password given, or database "
                f"{place.database!r} ({code})"
            )
        if code in UNREACHED:
            return UnavailableError(f"{where} can't be reached: {error.args[-1]}")
        return UnavailableError(f"{where} does not take connections now ({code})")
    if isinstance(error, (OSError, EOFError)):
        return UnavailableError(f"{where} can't be reached: {error}")
    return error
