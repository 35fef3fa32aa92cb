"""PostgreSQL blocking: psycopg. Nothing here suspends."""

from __future__ import annotations

import select
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson
import psycopg
from psycopg.adapt import Loader
from psycopg.sql import SQL, Identifier
from psycopg.types.json import set_json_loads

from holdfast.errors import ConfigurationError, UnavailableError
from holdfast.records.drivers.sql.server_connection import Fault
from holdfast.records.drivers.sql.sqlstate import ENDED, REFUSED
from holdfast.records.drivers.sql.startup import refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    import sqlalchemy as sa

    from holdfast.records.drivers.sql.server_address import ServerAddress

_PATIENCE = 5  # seconds to find out why a connection was refused


class PsycopgConnection:
    """See `Connection`."""

    driver = "psycopg"

    def __init__(self, raw: psycopg.Connection[Any]) -> None:
        self.raw = raw
        self._cursor = psycopg.RawCursor(raw)

    async def fetch(self, sql: str, values: Sequence[object]) -> Sequence[Sequence[object]]:
        found: list[tuple[object, ...]] = self._cursor.execute(
            sql.encode(), values or None
        ).fetchall()
        return found

    async def execute(self, sql: str, values: Sequence[object]) -> int:
        return self._cursor.execute(sql.encode(), values or None).rowcount

    async def command(self, sql: str) -> str:
        return self._cursor.execute(sql.encode()).statusmessage or ""

    async def copy(
        self, table: sa.Table, columns: Sequence[str], rows: Sequence[Sequence[object]]
    ) -> None:
        into = SQL("COPY {} ({}) FROM STDIN").format(
            Identifier(*filter(None, (table.schema, table.name))),
            SQL(", ").join(map(Identifier, columns)),
        )
        with self.raw.cursor().copy(into) as copy:
            for row in rows:
                copy.write_row(row)

    def fault(self, error: Exception) -> Fault | None:
        if not isinstance(error, psycopg.Error):
            return None
        if error.sqlstate is None:
            return Fault("08006", lost=True) if self.raw.closed else None
        lost = self.raw.closed or error.sqlstate.startswith(ENDED)
        return Fault(error.sqlstate, error.diag.constraint_name, lost=lost)

    def stale(self) -> bool:
        if self.raw.closed:
            return True
        # Nobody speaks on an idle connection but to say that it is over.
        poll = select.poll()
        poll.register(self.raw.fileno(), select.POLLIN)
        return bool(poll.poll(0))

    async def close(self) -> None:
        self.raw.close()

    def abandon(self) -> None:
        self.raw.close()


async def connect(
    place: ServerAddress,
    *,
    settings: dict[str, str],
    patience: float,
    prepared: bool,
    tls: tuple[str, str],
) -> PsycopgConnection:
    """Return a new connection, its types being those of `PostgreSQLDialect`."""
    raw = psycopg.connect(
        host=place.host,
        port=place.port,
        user=place.user,
        password=place.password,
        dbname=place.database,
        autocommit=True,
        connect_timeout=max(1, round(patience)),
        sslmode=tls[0],
        sslrootcert=tls[1] or ("system" if tls[0] == "verify-full" else None),
        prepare_threshold=2 if prepared else None,
        application_name="holdfast",
        # PgBouncer takes no options, and needs none: what a session holds is not ours there.
        options=" ".join(f"-c {name}={value}" for name, value in settings.items()) or None,
    )
    if not str(raw.info.parameter_status("DateStyle")).startswith("ISO"):
        raw.close()
        raise ConfigurationError(
            "PostgreSQL's DateStyle is not ISO for this role: ALTER ROLE ... RESET DateStyle"
        )
    raw.prepared_max = 500
    raw.adapters.register_loader("timestamptz", _MomentLoader)
    set_json_loads(orjson.loads, raw)
    return PsycopgConnection(raw)


def unreachable(error: Exception, place: ServerAddress) -> Exception:
    """Return what a failure of `connect` means; a bug's error as it is."""
    where = f"PostgreSQL at {place.host}:{place.port}"
    if not isinstance(error, psycopg.OperationalError):
        return error
    link = error.pgconn
    asked = link is not None and (link.used_password or link.needs_password)
    code = refusal(place, _PATIENCE)
    if code in REFUSED or (asked and not code):
        return ConfigurationError(
            f"{where} refuses user {place.user!r}, the password given, or database "
            f"{place.database!r}{code and f' ({code})'}"
        )
    if code:
        return UnavailableError(f"{where} does not take connections now ({code})")
    return UnavailableError(f"{where} can't be reached: {error}")


class _MomentLoader(Loader):
    """Instants as those of `datetime.UTC`, which is the session's zone but behind PgBouncer."""

    def load(self, data: Any) -> datetime:
        found = datetime.fromisoformat(str(data, "ascii"))
        return found if found.tzinfo is UTC else found.astimezone(UTC)
