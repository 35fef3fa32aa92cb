"""SQLite: one connection that writes, one that reads, and one more for each open snapshot.

Under the async API every connection lives on a thread of its own, and a call costs one hop there
and back. The file is in WAL mode: readers never wait for the writer. Writers, in this process and
in others, wait for one another, up to `lock_timeout`.

A read-only transaction needs a connection of its own, for SQLite's snapshots belong to connections:
it begins with BEGIN and a first read, by which the snapshot is taken, and sees that state until it
ends, whatever is committed meanwhile. Its connection is kept for the next one, so there are as many
as there were snapshots open at once. When BEGIN fails or its caller is cancelled, what it may have
begun is undone behind it on the thread, and the connection can be used again.
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import sqlalchemy as sa

from holdfast.errors import (
    ConfigurationError,
    ForeignKeyError,
    TransactionError,
    UnsupportedError,
)
from holdfast.records.driver import StoreCapability
from holdfast.records.drivers.sql.connections.sqlite_connection import (
    SQLiteConnection,
    SQLiteWriter,
)
from holdfast.records.drivers.sql.connections.sqlite_forking import inherited_open
from holdfast.records.drivers.sql.dialects.sqlite import SQLiteDialect
from holdfast.records.drivers.sql.executors.sqlite_executor import SQLiteExecutor
from holdfast.records.drivers.sql.mapped_tables.mapped_columns import declared_tables
from holdfast.records.drivers.sql.mapped_tables.sqlite import create, drop, mapped_sqlite
from holdfast.records.drivers.sql.sqlite_session import SQLiteSession, SQLiteTransaction
from holdfast.records.drivers.sql.statements.schema_inspection import (
    found_tables,
    inspection_query,
    schema_differences,
)
from holdfast.records.drivers.sql.statements.store_statements import statements_of
from holdfast.stats import Stats

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from holdfast.offload import Offload
    from holdfast.records.driver_requests import TransactionOptions
    from holdfast.records.entities.model import Model
    from holdfast.records.options import SQLiteOptions
    from holdfast.records.schema_diff import Difference

_DIALECT = SQLiteDialect()
OLDEST = (3, 38, 0)  # STRICT tables and RETURNING
_LOOKS = 0.025  # seconds between two looks whether others have committed; one takes some 50 us


class SQLiteDriver:
    """Records in one SQLite file."""

    name = "sqlite"
    capabilities = frozenset(StoreCapability) - {
        StoreCapability.ROW_LOCKS,
        StoreCapability.SEQUENCES,
    }

    def __init__(
        self, path: Path, options: SQLiteOptions, offload: Callable[[str], Offload]
    ) -> None:
        if sqlite3.sqlite_version_info < OLDEST:
            raise ConfigurationError(
                f"SQLite {sqlite3.sqlite_version} is too old: 3.38 or newer is needed"
            )
        self._path = path
        self._options = options
        self.lock_timeout = options.lock_timeout
        self.schema = options.schema
        self._offload = offload
        self._statements = statements_of((), _DIALECT)
        self._connections: list[SQLiteConnection] = []
        self._idle: list[SQLiteConnection] = []
        self._opened = 0
        self._session: SQLiteSession | None = None
        self._renewing: threading.Lock | None = None
        """In a forked child, until the first call: held by who opens the file again."""

    async def open(self, models: Sequence[Model[object]]) -> None:
        """Open the file, created when missing. Raises StorageError, LockTimeoutError."""
        dialect = mapped_sqlite(models) or _DIALECT
        self._statements = statements_of(tuple(models), dialect, self.schema)
        writer = await self._connection("writer", read_only=False)
        reader = await self._connection("reader", read_only=True)
        self._use(writer, reader)

    def _use(self, writer: SQLiteConnection, reader: SQLiteConnection) -> None:
        lock = writer.offload.lock(self._options.lock_timeout)
        self._session = SQLiteSession(reader, SQLiteWriter(writer, lock))

    async def close(self) -> None:
        """Close all connections, also when one of them fails to. Idempotent."""
        connections, self._connections, self._session = self._connections, [], None
        self._idle, self._renewing = [], None
        async with AsyncExitStack() as closing:
            for connection in connections:
                closing.push_async_callback(connection.close)

    def renew(self) -> None:
        """See `Renewable`."""
        if self._session is not None or self._renewing is not None:
            self._connections, self._idle, self._session = [], [], None
            self._renewing = threading.Lock()

    @property
    def gives_defaults(self) -> bool:
        """See `DefaultGiver`."""
        return True

    @property
    def takes_rows(self) -> bool:
        """See `RowTaker`."""
        return True

    def session(self) -> SQLiteSession:
        """Return the session in which each call is its own transaction."""
        return self._session or self._renewed()

    def _renewed(self) -> SQLiteSession:
        """Open the file again, once in a child's life; that takes no longer than a read."""
        if self._renewing is None:
            raise TransactionError("the store is not open: use it in `async with`")
        with self._renewing:
            if self._session is None:
                if inherited_open():
                    raise TransactionError(
                        "the process was forked while SQLite was at work in a transaction, and "
                        "what it has locked can't be told apart in the child: fork outside of "
                        "transactions, or start a new child (multiprocessing's 'spawn')"
                    )
                made = [self._unopened(role) for role in ("writer", "reader")]
                for connection, read_only in zip(made, (False, True), strict=True):
                    connection.connect(
                        self._path, self._options, self._statements, read_only=read_only
                    )
                    self._opened += 1
                self._use(*made)
        assert self._session is not None
        return self._session

    async def begin(self, options: TransactionOptions) -> SQLiteTransaction:
        """Begin a transaction: on the writer, or read-only on a snapshot of its own."""
        if not options.read_only:
            writer = self.session().writer
            await writer.begin()
            return SQLiteTransaction(writer.connection, writer.end)
        self.session()
        connection = self._idle.pop() if self._idle else None
        if connection is None:
            connection = await self._connection("snapshot", read_only=True)
        snapshot = connection

        async def end(statement: str) -> None:
            try:
                await snapshot.offload.run(snapshot.end, statement)
            finally:
                self._idle.append(snapshot)

        try:
            await snapshot.offload.run(snapshot.begin, "BEGIN")
        except BaseException:
            snapshot.offload.post(snapshot.abandon)
            self._idle.append(snapshot)
            raise
        return SQLiteTransaction(snapshot, end)

    async def probe(self) -> None:
        """Read from the file. Raises StorageError, LockTimeoutError."""
        await self.session().read(SQLiteExecutor.asked, "SELECT count(*) FROM sqlite_master")

    @property
    def notifies(self) -> bool:
        """See `Notifier`: who commits need not tell, for the file itself does."""
        return False

    @property
    def listens(self) -> bool:
        """See `Notifier`."""
        return True

    async def notify(self, channel: str, texts: Sequence[str]) -> None:  # noqa: ARG002 - the protocol's
        """See `Notifier`."""
        raise UnsupportedError("notifications with a text", self.name)

    async def listen(
        self,
        channel: str,  # noqa: ARG002 - the protocol's
        heard: Callable[[str | None], None],
    ) -> None:
        """See `Notifier`: None for each time that others were found to have committed.

        Others are all but this driver's own writer, whose connection is asked.
        https://sqlite.org/pragma.html#pragma_data_version
        """
        import asyncio  # noqa: PLC0415 - slow to import, and needed by those who await alone

        seen = None
        while True:
            writer = self.session().writer.connection
            found = await writer.offload.run(writer.executor.asked, "PRAGMA data_version")
            if found != seen:
                seen = found
                heard(None)
            await asyncio.sleep(_LOOKS)

    def stats(self) -> Stats:
        """Return how many connections are open, and how many of those for snapshots are idle."""
        return Stats(
            counters={"connections_opened": self._opened},
            gauges={
                "connections_open": len(self._connections),
                "connections_idle": len(self._idle),
            },
        )

    async def differences(self) -> list[Difference]:
        """See `Verifiable`."""
        tables, schema = self._statements.tables.values(), self.schema
        query = inspection_query(_DIALECT.name, tables, schema)
        rows = await self.session().read(SQLiteExecutor.asked, query)
        return schema_differences(tables, _DIALECT, found_tables(rows), schema)

    async def create_schema(self) -> None:
        """Create what is missing: mapped classes' tables by their metadata, the others here."""
        mapped = declared_tables(self._statements.models)
        if mapped:
            await self.session().write(lambda executor: create(executor.connection, mapped))
        tables = self._own_tables()
        wanted: list[sa.schema.ExecutableDDLElement] = [
            sa.schema.CreateTable(table, if_not_exists=True) for table in tables
        ]
        for table in tables:
            wanted += [
                sa.schema.CreateIndex(index, if_not_exists=True)
                for index in sorted(table.indexes, key=lambda index: str(index.name))
            ]
        await self._define(wanted)

    async def drop_schema(self) -> None:
        """Drop all tables, with their rows.

        In whatever way they point at one another. Raises ForeignKeyError, and drops nothing, when
        rows of other tables point at theirs.
        """
        writer = self.session().writer
        texts = [
            self._statements.compile(sa.schema.DropTable(table, if_exists=True)).sql
            for table in self._own_tables()
        ]
        mapped = declared_tables(self._statements.models)
        names = {table.name.lower() for table in self._statements.tables.values()}

        def work(executor: SQLiteExecutor) -> None:
            if mapped:
                drop(executor.connection, mapped)
            for text in texts:
                executor.run(text)
            for child, _row, parent, _number in executor.asked("PRAGMA foreign_key_check"):
                if str(parent).lower() in names:
                    raise ForeignKeyError(str(child), (f"(to {parent})",))

        def unchecked() -> None:
            # A table's rows are looked at when it is dropped, and it can't be turned off inside a
            # transaction.
            writer.connection.execute("PRAGMA foreign_keys = OFF")
            try:
                writer.connection.alone(work)
            finally:
                writer.connection.execute("PRAGMA foreign_keys = ON")

        await writer.run(unchecked)

    def _own_tables(self) -> list[sa.Table]:
        tables, models = self._statements.tables, self._statements.models
        return [tables[model.table] for model in models if model.adapter is None and not model.view]

    async def _define(self, wanted: Sequence[sa.schema.ExecutableDDLElement]) -> None:
        texts = [self._statements.compile(ddl).sql for ddl in wanted]

        def work(executor: SQLiteExecutor) -> None:
            executor.connection.execute("PRAGMA defer_foreign_keys = ON")
            for text in texts:
                executor.connection.execute(text)

        await self.session().write(work)

    def _unopened(self, role: str) -> SQLiteConnection:
        connection = SQLiteConnection(self._offload(f"sqlite-{role}"))
        self._connections.append(connection)
        return connection

    async def _connection(self, role: str, *, read_only: bool) -> SQLiteConnection:
        connection = self._unopened(role)
        await connection.open(self._path, self._options, self._statements, read_only=read_only)
        self._opened += 1
        return connection
