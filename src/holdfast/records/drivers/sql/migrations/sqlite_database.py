"""SQLite as migrations reach it."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.pool import NullPool

from holdfast.errors import StorageError, UnavailableError
from holdfast.records.drivers.sql.connections.sqlite_connection import connect
from holdfast.records.drivers.sql.failure import sqlite_error
from holdfast.records.drivers.sql.migrations.column_types import DIALECTS
from holdfast.records.options import SQLiteOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path


class SQLiteDatabase:
    """See `Database`. Its one lock for writers keeps other migrations out as well."""

    undoes_structure = True
    home = None
    dialect = DIALECTS["sqlite"]

    def __init__(self, path: Path, options: SQLiteOptions) -> None:
        self._path = path
        self._options = options
        self._wait = options.lock_timeout

    def engine(self, *, writing: bool) -> sa.Engine:
        """See `Database`."""
        options = SQLiteOptions(max(self._wait, self._options.lock_timeout))

        def opened() -> sqlite3.Connection:
            connection = connect(self._path, options, read_only=not writing)
            # A table that is copied is dropped, which must not reach the rows that point at it.
            # It can't be turned off inside a transaction; `before` looks at all references.
            connection.execute("PRAGMA foreign_keys = OFF")
            return connection

        engine = sa.create_engine("sqlite://", creator=opened, poolclass=NullPool)
        begin = "BEGIN IMMEDIATE" if writing else "BEGIN"
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
        return engine

    @contextmanager
    def alone(self, wait: float) -> Iterator[None]:
        """See `Database`."""
        self._wait = wait
        yield

    def before(self, connection: sa.Connection) -> Callable[[], None]:
        """See `Database`."""
        numbers = _sequences(connection)

        def look() -> None:
            # A copied table has forgotten the keys of rows that were deleted.
            for table, number in numbers.items():
                connection.exec_driver_sql(
                    "UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = ?", (number, table)
                )
            broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchmany(1)
            for table, _row, target, _number in broken:
                raise DanglingError(f"rows of {table} would point at no row of {target}")

        return look

    def entering(self) -> Sequence[str]:
        """See `Database`: a schema is a part of the names, and the URL names none."""
        return ()

    def meaning(self, error: Exception) -> Exception | None:
        """See `Database`."""
        if not isinstance(error, sqlite3.Error):
            return None
        known = sqlite_error(error)
        return known if isinstance(known, (UnavailableError, StorageError)) else None


class DanglingError(Exception):
    """After the migrations, references would point at no row."""


def _sequences(connection: sa.Connection) -> dict[str, int]:
    query = "SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'"
    if connection.exec_driver_sql(query).scalar() is None:
        return {}
    rows = connection.exec_driver_sql("SELECT name, seq FROM sqlite_sequence").all()
    return {str(name): int(number or 0) for name, number in rows}
