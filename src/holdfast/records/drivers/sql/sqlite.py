"""SQLite: one connection that writes, one that reads, and one more for each open snapshot.

Under the async API every connection lives on a thread of its own, and a call costs one hop there
and back. The file is in WAL mode: readers never wait for the writer. Writers, in this process and
in others, wait for one another, up to `lock_timeout`.
"""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

import sqlalchemy as sa

from holdfast.errors import ConfigurationError, ConflictError, TransactionError
from holdfast.offload import Inline
from holdfast.records.driver import StoreCapability
from holdfast.records.drivers.sql.dialects.sqlite import SQLiteDialect
from holdfast.records.drivers.sql.mapped_tables.mapped_columns import declared
from holdfast.records.drivers.sql.mapped_tables.sqlite import create, drop, mapped_sqlite
from holdfast.records.drivers.sql.schema_inspection import (
    found_tables,
    inspection_query,
    schema_differences,
)
from holdfast.records.drivers.sql.sqlalchemy_bridge.borrowed_connection import Loan
from holdfast.records.drivers.sql.sqlalchemy_bridge.engines import sqlite_engine
from holdfast.records.drivers.sql.sqlite_connection import SQLiteOptions, connect
from holdfast.records.drivers.sql.sqlite_executor import SQLiteExecutor, classified
from holdfast.records.drivers.sql.store_statements import statements_of
from holdfast.records.session import VerbSession
from holdfast.stats import Stats

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from holdfast.offload import Lock, Offload
    from holdfast.records.driver import TransactionOptions
    from holdfast.records.model import Model
    from holdfast.records.schema_diff import Difference

__all__ = ["SQLiteDriver", "SQLiteOptions"]

T = TypeVar("T")

_DIALECT = SQLiteDialect()
OLDEST = (3, 38, 0)  # STRICT tables and RETURNING


class SQLiteDriver:
    """Records in one SQLite file."""

    name = "sqlite"
    capabilities = frozenset(StoreCapability)

    def __init__(
        self, path: Path, options: SQLiteOptions, offload: Callable[[str], Offload]
    ) -> None:
        if sqlite3.sqlite_version_info < OLDEST:
            raise ConfigurationError(
                f"SQLite {sqlite3.sqlite_version} is too old: 3.38 or newer is needed"
            )
        self._path = path
        self._options = options
        self._offload = offload
        self._statements = statements_of((), _DIALECT)
        self._members: list[Member] = []
        self._idle: list[Member] = []
        self._session: SQLiteSession | None = None

    async def open(self, models: Sequence[Model[object]]) -> None:
        dialect = mapped_sqlite(models) or _DIALECT
        self._statements = statements_of(tuple(models), dialect)
        writer = await self._member("writer", read_only=False)
        reader = await self._member("reader", read_only=True)
        writing = writer.offload.lock(self._options.lock_timeout)
        self._session = SQLiteSession(reader, Writer(writer, writing))

    async def close(self) -> None:
        members, self._members, self._session = self._members, [], None
        for member in members:
            await member.close()

    def session(self) -> SQLiteSession:
        if self._session is None:
            raise TransactionError("the store is not open: use it in `async with`")
        return self._session

    async def begin(self, options: TransactionOptions) -> SQLiteTransaction:
        if not options.read_only:
            writer = self.session().writer
            await writer.begin()
            return SQLiteTransaction(writer.member, writer.end)
        self.session()
        member = self._idle.pop() if self._idle else None
        if member is None:
            member = await self._member("snapshot", read_only=True)
        snapshot = member

        async def end(statement: str) -> None:
            try:
                await snapshot.offload.run(snapshot.end, statement)
            finally:
                self._idle.append(snapshot)

        try:
            await member.offload.run(member.begin, "BEGIN")
        except BaseException:
            member.offload.post(member.abandon)
            self._idle.append(member)
            raise
        return SQLiteTransaction(member, end)

    async def differences(self) -> list[Difference]:
        """See `Verifiable`."""
        tables = self._statements.tables
        query = inspection_query(_DIALECT.name, tables)
        rows = await self.session().read(lambda rows: rows.fetched(query))
        return schema_differences(tables, _DIALECT, found_tables(rows))

    async def probe(self) -> None:
        """Read from the file."""
        await self.session().read(lambda rows: rows.fetched("SELECT count(*) FROM sqlite_master"))

    def stats(self) -> Stats:
        """Return the gauge `connections`: how many are open."""
        return Stats(gauges={"connections": len(self._members)})

    async def create_schema(self) -> None:
        theirs = declared(self._statements.models)
        if theirs:
            await self.session().write(lambda rows: create(rows.connection, theirs))
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
        tables = self._own_tables()
        theirs = declared(self._statements.models)
        if theirs:
            await self.session().write(lambda rows: drop(rows.connection, theirs))
        await self._define([sa.schema.DropTable(table, if_exists=True) for table in tables])

    def _own_tables(self) -> list[sa.Table]:
        tables, models = self._statements.tables, self._statements.models
        return [tables[model.table] for model in models if model.adapter is None]

    async def _define(self, wanted: Sequence[sa.schema.ExecutableDDLElement]) -> None:
        texts = [self._statements.compile(ddl).sql for ddl in wanted]

        def work(rows: SQLiteExecutor) -> None:
            rows.connection.execute("PRAGMA defer_foreign_keys = ON")
            for text in texts:
                rows.connection.execute(text)

        await self.session().write(work)

    async def _member(self, role: str, *, read_only: bool) -> Member:
        member = Member(self._offload(f"sqlite-{role}"))
        self._members.append(member)

        def start() -> SQLiteExecutor:
            connection = connect(self._path, self._options, read_only=read_only)
            return SQLiteExecutor(connection, self._statements)

        member.rows = await member.offload.run(start)
        return member


class Member:
    """A connection and where it lives."""

    rows: SQLiteExecutor | None = None

    def __init__(self, offload: Offload) -> None:
        self.offload = offload

    def work(self, call: Callable[[SQLiteExecutor], T]) -> T:
        assert self.rows is not None
        return call(self.rows)

    def begin(self, statement: str) -> None:
        self._execute(statement)
        if statement == "BEGIN":
            # A snapshot is taken at the first read, and this is it.
            self._execute("SELECT 1 FROM sqlite_master LIMIT 1")

    def end(self, statement: str) -> None:
        """COMMIT or ROLLBACK; a commit that fails leaves nothing."""
        try:
            self._execute(statement)
        except BaseException:
            self.abandon()
            raise

    def alone(self, call: Callable[[SQLiteExecutor], T]) -> T:
        """Do *call* as a transaction of its own."""
        self.begin("BEGIN IMMEDIATE")
        try:
            result = self.work(call)
        except BaseException:
            self.abandon()
            raise
        self.end("COMMIT")
        return result

    def single(self, call: Callable[[SQLiteExecutor], T]) -> T:
        """Do *call*, one statement at the most, which commits by itself.

        A statement that is refused changed nothing. It is done again as a transaction, so that
        nobody takes away what refused it before that is named.
        """
        with suppress(ConflictError):
            return self.work(call)
        return self.alone(call)

    def abandon(self) -> None:
        """Undo the open transaction, if there is one."""
        assert self.rows is not None
        if self.rows.connection.in_transaction:
            self.rows.connection.execute("ROLLBACK")

    def savepoint(self, statement: str, depth: int) -> None:
        self._execute(f"{statement} holdfast_{depth}")

    async def close(self) -> None:
        if self.rows is not None:
            await self.offload.run(self.rows.connection.close)
        self.offload.close()

    def _execute(self, statement: str) -> None:
        assert self.rows is not None
        try:
            self.rows.connection.execute(statement)
        except sqlite3.Error as error:
            raise classified(error) from error


class Writer:
    """The connection that writes, and the lock that gives it to one transaction at a time."""

    def __init__(self, member: Member, lock: Lock) -> None:
        self.member = member
        self._lock = lock

    async def begin(self) -> None:
        await self._lock.acquire()
        try:
            await self.member.offload.run(self.member.begin, "BEGIN IMMEDIATE")
        except BaseException:
            self.member.offload.post(self.member.abandon)
            self._lock.release()
            raise

    async def end(self, statement: str) -> None:
        try:
            await self.member.offload.run(self.member.end, statement)
        finally:
            self._lock.release()

    async def alone(self, call: Callable[[SQLiteExecutor], T]) -> T:
        return await self._locked(self.member.alone, call)

    async def single(self, call: Callable[[SQLiteExecutor], T]) -> T:
        return await self._locked(self.member.single, call)

    async def _locked(
        self, how: Callable[[Callable[[SQLiteExecutor], T]], T], call: Callable[[SQLiteExecutor], T]
    ) -> T:
        await self._lock.acquire()
        try:
            return await self.member.offload.run(how, call)
        finally:
            self._lock.release()


class SQLiteSession(VerbSession[SQLiteExecutor]):
    """Each call is a transaction of its own."""

    def __init__(self, reader: Member, writer: Writer) -> None:
        self._reader = reader
        self.writer = writer

    async def read(self, work: Callable[[SQLiteExecutor], T]) -> T:
        return await self._reader.offload.run(self._reader.work, work)

    async def write(self, work: Callable[[SQLiteExecutor], T]) -> T:
        return await self.writer.alone(work)

    async def write_one(self, work: Callable[[SQLiteExecutor], T]) -> T:
        return await self.writer.single(work)


class SQLiteTransaction(VerbSession[SQLiteExecutor]):
    """All calls are one transaction on one connection."""

    def __init__(self, member: Member, end: Callable[[str], Awaitable[None]]) -> None:
        self._member = member
        self._end = end
        self._depth = 0

    async def read(self, work: Callable[[SQLiteExecutor], T]) -> T:
        return await self._member.offload.run(self._member.work, work)

    async def write(self, work: Callable[[SQLiteExecutor], T]) -> T:
        return await self._member.offload.run(self._member.work, work)

    def lend(self) -> Loan:
        rows = self._member.rows
        assert rows is not None
        offload = self._member.offload
        blocking = isinstance(offload, Inline)
        engine = sqlite_engine(rows.connection, None if blocking else offload)

        def meaning(error: BaseException) -> BaseException | None:
            return classified(error) if isinstance(error, sqlite3.Error) else None

        return Loan(engine, before=lambda: None, meaning=meaning)

    async def commit(self) -> None:
        await self._end("COMMIT")

    async def rollback(self) -> None:
        await self._end("ROLLBACK")

    async def savepoint(self) -> None:
        self._depth = depth = self._depth + 1
        opened = False

        def start() -> None:
            nonlocal opened
            self._member.savepoint("SAVEPOINT", depth)
            opened = True

        def forget() -> None:
            if opened:
                self._member.savepoint("RELEASE", depth)

        try:
            await self._member.offload.run(start)
        except BaseException:
            # A caller who stopped waiting never entered it, and the connection must not have it.
            self._depth = depth - 1
            self._member.offload.post(forget)
            raise

    async def release(self) -> None:
        depth, self._depth = self._depth, self._depth - 1
        await self._member.offload.run(self._member.savepoint, "RELEASE", depth)

    async def rollback_to(self) -> None:
        depth, self._depth = self._depth, self._depth - 1

        def undo() -> None:
            self._member.savepoint("ROLLBACK TO", depth)
            self._member.savepoint("RELEASE", depth)

        await self._member.offload.run(undo)
