"""An SQLite connection on its own thread, as SQLAlchemy's adapter for awaited drivers wants it."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy.connectors.asyncio import AsyncAdapt_dbapi_connection

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from holdfast.offload import Offload


def adapted(raw: sqlite3.Connection, offload: Offload) -> Any:
    """Return a DB-API connection whose calls run on *offload*, awaited through greenlets."""
    connection: Any = _Connection(raw, offload)
    return _Adapted(sqlite3, connection)


class _Adapted(AsyncAdapt_dbapi_connection):
    __slots__ = ()

    @property
    def in_transaction(self) -> bool:
        connection: Any = self._connection
        return bool(connection.raw.in_transaction)


class _Connection:
    def __init__(self, raw: sqlite3.Connection, offload: Offload) -> None:
        self.raw = raw
        self._offload = offload

    def cursor(self) -> _Cursor:
        return _Cursor(self.raw, self._offload)


class _Cursor:
    """One statement at a time; its rows are fetched with it."""

    description: Any = None
    rowcount = -1
    lastrowid: int | None = None
    arraysize = 1

    def __init__(self, raw: sqlite3.Connection, offload: Offload) -> None:
        self._raw = raw
        self._offload = offload
        self._rows: list[Any] = []

    async def __aenter__(self) -> Self:
        return self

    async def execute(self, operation: str, parameters: Sequence[Any] = ()) -> _Cursor:
        return await self._run(lambda: self._raw.execute(operation, parameters))

    async def executemany(self, operation: str, parameters: Sequence[Any]) -> _Cursor:
        return await self._run(lambda: self._raw.executemany(operation, parameters))

    async def _run(self, call: Callable[[], sqlite3.Cursor]) -> _Cursor:
        def work() -> tuple[Any, int, int | None, list[Any]]:
            cursor = call()
            return cursor.description, cursor.rowcount, cursor.lastrowid, cursor.fetchall()

        found = await self._offload.run(work)
        self.description, self.rowcount, self.lastrowid, self._rows = found
        return self

    async def fetchall(self) -> list[Any]:
        rows, self._rows = self._rows, []
        return rows

    async def close(self) -> None:
        """Nothing is held: all rows are here already."""
