"""What SQLite's calls are done in: a transaction each, or one for all on one connection."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from holdfast.offload import Inline
from holdfast.records.drivers.sql.executors.sqlite_executor import SQLiteExecutor
from holdfast.records.drivers.sql.failure import sqlite_error
from holdfast.records.drivers.sql.sqlalchemy_bridge.borrowed_connection import BorrowedConnection
from holdfast.records.drivers.sql.sqlalchemy_bridge.engines import sqlite_engine
from holdfast.records.transactions.session import VerbSession

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from holdfast.records.drivers.sql.connections.sqlite_connection import (
        SQLiteConnection,
        SQLiteWriter,
    )
    from holdfast.records.entities.model import Model, Row

E = TypeVar("E")
T = TypeVar("T")
P = ParamSpec("P")


class SQLiteSession(VerbSession[SQLiteExecutor]):
    """Each call is a transaction of its own."""

    executor = SQLiteExecutor
    keeps_verbs = True

    def __init__(self, reader: SQLiteConnection, writer: SQLiteWriter) -> None:
        self._reader = reader
        self.writer = writer

    async def read(
        self,
        verb: Callable[Concatenate[SQLiteExecutor, P], T],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Return what *verb* returns, run by the connection that reads."""
        reader = self._reader
        return await reader.offload.run(verb, reader.executor, *args, **kwargs)

    async def write(
        self,
        verb: Callable[Concatenate[SQLiteExecutor, P], T],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Return what *verb* returns, done in a transaction."""
        writer = self.writer
        return await writer.run(writer.connection.alone, verb, *args, **kwargs)

    async def write_one(
        self,
        verb: Callable[Concatenate[SQLiteExecutor, P], T],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Return what *verb*, one statement at the most, returns; that commits by itself."""
        writer = self.writer
        return await writer.run(writer.connection.single, verb, *args, **kwargs)

    async def write_rows(
        self,
        verb: Callable[..., T],
        model: Model[E],
        rows: Sequence[Row],
        /,
        *,
        atomic: bool,
    ) -> T:
        """Return what *verb* returns, which inserts *rows*: one of them is one statement."""
        how = self.write_one if atomic and len(rows) == 1 else self.write
        return await how(verb, model, rows, atomic=atomic)


class SQLiteTransaction(VerbSession[SQLiteExecutor]):
    """All calls are one transaction on one connection."""

    executor = SQLiteExecutor

    def __init__(self, connection: SQLiteConnection, end: Callable[[str], Awaitable[None]]) -> None:
        self._connection = connection
        self._end = end
        self._depth = 0

    async def read(
        self,
        verb: Callable[Concatenate[SQLiteExecutor, P], T],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Return what *verb* returns, done in this transaction."""
        connection = self._connection
        return await connection.offload.run(verb, connection.executor, *args, **kwargs)

    write = read

    def lend(self) -> BorrowedConnection:
        """Return the connection as SQLAlchemy borrows it, not open yet."""
        connection = self._connection.executor.connection
        offload = self._connection.offload
        blocking = isinstance(offload, Inline)
        engine = sqlite_engine(connection, None if blocking else offload)

        def meaning(error: BaseException) -> BaseException | None:
            return sqlite_error(error) if isinstance(error, sqlite3.Error) else None

        return BorrowedConnection(engine, before=lambda: None, meaning=meaning)

    async def commit(self) -> None:
        """See `DriverTransaction`."""
        await self._end("COMMIT")

    async def rollback(self) -> None:
        """See `DriverTransaction`."""
        await self._end("ROLLBACK")

    async def savepoint(self) -> None:
        """See `DriverTransaction`, and `SQLiteConnection` on callers that stop waiting."""
        self._depth = depth = self._depth + 1
        connection = self._connection
        opened = False

        def start() -> None:
            nonlocal opened
            connection.execute(f"SAVEPOINT holdfast_{depth}")
            opened = True

        def forget() -> None:
            if opened:
                connection.execute(f"RELEASE holdfast_{depth}")

        try:
            await connection.offload.run(start)
        except BaseException:
            self._depth = depth - 1
            connection.offload.post(forget)
            raise

    async def release(self) -> None:
        """See `DriverTransaction`."""
        depth, self._depth = self._depth, self._depth - 1
        connection = self._connection
        await connection.offload.run(connection.execute, f"RELEASE holdfast_{depth}")

    async def rollback_to(self) -> None:
        """See `DriverTransaction`."""
        depth, self._depth = self._depth, self._depth - 1
        connection = self._connection

        def undo() -> None:
            connection.execute(f"ROLLBACK TO holdfast_{depth}")
            connection.execute(f"RELEASE holdfast_{depth}")

        await connection.offload.run(undo)
