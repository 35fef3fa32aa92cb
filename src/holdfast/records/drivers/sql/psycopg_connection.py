"""PostgreSQL blocking: psycopg. Nothing here suspends."""

from __future__ import annotations

import select
from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson
import psycopg
from psycopg.adapt import Loader
from psycopg.types.json import set_json_loads

from holdfast.errors import UnavailableError
from holdfast.records.drivers.sql.link import Fault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.records.drivers.sql.place import Place


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

    def fault(self, error: Exception) -> Fault | None:
        if not isinstance(error, psycopg.Error):
            return None
        if error.sqlstate is None:
            return Fault("08006", lost=True) if self.raw.closed else None
        lost = self.raw.closed or error.sqlstate.startswith("08")
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
    place: Place, *, settings: dict[str, str], patience: float, prepared: bool, tls: str
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
        sslmode=tls,
        prepare_threshold=2 if prepared else None,
        options=" ".join(f"-c {name}={value}" for name, value in settings.items()),
    )
    raw.prepared_max = 500
    raw.adapters.register_loader("timestamptz", _MomentLoader)
    set_json_loads(orjson.loads, raw)
    return PsycopgConnection(raw)


def unreachable(error: Exception, place: Place) -> Exception:
    """Return what a failure of `connect` means; a bug's error as it is."""
    where = f"PostgreSQL at {place.host}:{place.port}"
    if not isinstance(error, psycopg.OperationalError):
        return error
    # libpq keeps the SQLSTATE of a refused connection to itself.
    return UnavailableError(
        f"{where} does not take connections for user {place.user!r} "
        f"and database {place.database!r} now: {error}"
    )


class _MomentLoader(Loader):
    """Instants in UTC, the zone of the session, as `datetime.UTC`, not as a ZoneInfo."""

    def load(self, data: Any) -> datetime:
        return datetime.fromisoformat(str(data, "ascii"))
