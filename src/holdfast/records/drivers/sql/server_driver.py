"""A driver for a database server: a pool of connections, and transactions on them."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from holdfast.errors import HoldfastError, SerializationError, TransactionError, UnavailableError
from holdfast.records.driver import TransactionOptions
from holdfast.records.drivers.sql.mapped_tables.adapting import mapped_dialect
from holdfast.records.drivers.sql.mapped_tables.mapped_columns import declared
from holdfast.records.drivers.sql.pool import Pool
from holdfast.records.drivers.sql.schema_inspection import (
    found_tables,
    inspection_query,
    schema_differences,
)
from holdfast.records.drivers.sql.server_reader import Catalogue
from holdfast.records.drivers.sql.sqlalchemy_bridge.borrowed_connection import Loan
from holdfast.records.drivers.sql.sqlalchemy_bridge.engines import engine_for
from holdfast.records.drivers.sql.store_statements import StoreStatements, statements_of
from holdfast.stats import Stats

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence

    import sqlalchemy as sa

    from holdfast.errors import ConflictError
    from holdfast.records.driver import AggregateQuery, Select, StoreCapability, Update, Values
    from holdfast.records.drivers.sql.dialect import Dialect
    from holdfast.records.drivers.sql.pool import PoolOptions
    from holdfast.records.drivers.sql.server_connection import Connection
    from holdfast.records.drivers.sql.server_executor import ServerExecutor
    from holdfast.records.model import Model, Row
    from holdfast.records.query import Column, Predicate
    from holdfast.records.schema_diff import Difference

E = TypeVar("E")
T = TypeVar("T")

_ATTEMPTS = 20  # of a call that is a transaction of its own and was undone by a clash
_PAUSE = 0.002  # seconds before the first new attempt; then twice as long each time
_LONGEST = 0.25


class Server(Protocol):
    """One kind of server, reached by one driver: what `ServerDriver` has to know of it."""

    name: str
    capabilities: frozenset[StoreCapability]
    blocking: bool
    shielded: bool
    """Its driver can't be stopped within a statement without losing the connection."""

    @property
    def options(self) -> PoolOptions: ...

    async def connect(self) -> Connection:
        """Raises UnavailableError and ConfigurationError."""
        ...

    async def dialect(self, connection: Connection) -> Dialect:
        """Return the SQL that the server at the other end understands.

        Raises ConfigurationError for a server that is too old.
        """
        ...

    def rows(self, connection: Connection, catalogue: Catalogue) -> ServerExecutor: ...

    def begin(self, options: TransactionOptions) -> Sequence[str]:
        """Return the statements that begin such a transaction."""
        ...

    def creation(self, statements: StoreStatements) -> Sequence[str]:
        """Return the statements that create what is missing of the tables."""
        ...

    def removal(self, statements: StoreStatements) -> Sequence[str]: ...

    async def pause(self, seconds: float) -> None: ...


class ServerDriver:
    """Records on a database server."""

    def __init__(self, server: Server) -> None:
        server.options.check()
        self.name = server.name
        self.capabilities = server.capabilities
        self.server = server
        self._catalogue: Catalogue | None = None
        self._pool: Pool | None = None
        self._session: PooledSession | None = None

    async def open(self, models: Sequence[Model[object]]) -> None:
        server = self.server
        connection = await server.connect()
        try:
            dialect = mapped_dialect(await server.dialect(connection), models)
            catalogue = Catalogue(statements_of(tuple(models), dialect), server.name)
            catalogue.echo, catalogue.slow = server.options.echo, server.options.slow_statement
        except BaseException:
            connection.abandon()
            raise
        self._catalogue = catalogue

        async def connect() -> ServerExecutor:
            return server.rows(await server.connect(), catalogue)

        self._pool = Pool(
            connect, server.options, blocking=server.blocking, shielded=server.shielded
        )
        await self._pool.adopt(server.rows(connection, catalogue))
        self._session = PooledSession(self._pool, server.pause)

    async def close(self) -> None:
        pool, self._pool, self._session = self._pool, None, None
        if pool is not None:
            await pool.close()

    def session(self) -> PooledSession:
        if self._session is None:
            raise TransactionError("the store is not open: use it in `async with`")
        return self._session

    async def begin(self, options: TransactionOptions) -> ServerTransaction:
        pool = self.session().pool
        await pool.decided()
        statements = self.server.begin(options)
        for fresh in (False, True):
            rows = await pool.acquire(fresh=fresh)
            try:
                await pool.use(rows, lambda rows: rows.begin(statements))
            except BaseException as error:
                pool.failed(rows, error)
                if fresh or not rows.lost or not isinstance(error, UnavailableError):
                    raise
            else:
                return ServerTransaction(pool, rows, blocking=self.server.blocking)
        raise AssertionError("unreachable: a fresh connection begins or raises")

    async def differences(self) -> list[Difference]:
        """See `Verifiable`."""
        statements = self._statements
        query = inspection_query(self.name, statements.tables)
        found = found_tables(await self.session().read(lambda rows: rows.asked(query)))
        return schema_differences(statements.tables, statements.dialect, found)

    async def probe(self) -> None:
        """Have the server answer a statement."""
        await self.session().read(lambda rows: rows.asked("SELECT 1"))

    def stats(self) -> Stats:
        """Return the gauges of the pool."""
        return Stats(gauges={} if self._pool is None else self._pool.gauges())

    async def create_schema(self) -> None:
        theirs, ours = self._apart()
        if theirs:
            await self._by_metadata(theirs, lambda metadata: metadata.create_all)
        await self._define(self.server.creation(ours))

    async def drop_schema(self) -> None:
        theirs, ours = self._apart()
        if ours.tables:
            await self._define(self.server.removal(ours))
        if theirs:
            await self._by_metadata(theirs, lambda metadata: metadata.drop_all)

    def _apart(self) -> tuple[list[sa.Table], StoreStatements]:
        """Return the tables that mapped classes declare, and the statements of all others."""
        statements = self._statements
        models = statements.models
        ours = StoreStatements((), statements.dialect)
        ours.tables = {
            model.table: statements.tables[model.table] for model in models if model.adapter is None
        }
        return declared(models), ours

    async def _by_metadata(
        self, tables: list[sa.Table], verb: Callable[[sa.MetaData], Callable[..., None]]
    ) -> None:
        def work(connection: sa.Connection) -> None:
            for metadata in dict.fromkeys(table.metadata for table in tables):
                mine = [table for table in tables if table.metadata is metadata]
                verb(metadata)(connection, tables=mine)

        transaction = await self.begin(TransactionOptions())
        try:
            await transaction.alone(
                self.server.creation(StoreStatements((), self._statements.dialect))
            )
            loan = transaction.lend()
            await loan.open()
            await loan.run(work)
            await loan.close()
        except BaseException:
            await transaction.rollback()
            raise
        await transaction.commit()

    @property
    def _statements(self) -> StoreStatements:
        self.session()
        assert self._catalogue is not None
        return self._catalogue.statements

    async def _define(self, texts: Sequence[str]) -> None:
        async def work(rows: ServerExecutor) -> None:
            async def all_of_them() -> None:
                for text in texts:
                    await rows.command(text)

            await rows.written(all_of_them, several=True)

        await self.session().write(work)


class PooledSession:
    """Each call is a transaction of its own, on whichever connection is free."""

    def __init__(self, pool: Pool, pause: Callable[[float], Awaitable[None]]) -> None:
        self.pool = pool
        self._pause = pause

    async def read(self, work: Callable[[ServerExecutor], Awaitable[T]]) -> T:
        """Return what *work* returns; done again on a new connection when the first was dead."""
        pool = self.pool
        rows = await pool.acquire()
        try:
            result = await pool.use(rows, work)
        except BaseException as error:
            pool.failed(rows, error)
            if not rows.lost or not isinstance(error, UnavailableError):
                raise
        else:
            pool.release(rows)
            return result
        return await self._once(work, fresh=True)

    async def write(self, work: Callable[[ServerExecutor], Awaitable[T]]) -> T:
        """Return what *work* returns; done again when it was undone by a clash, and only then."""
        pool = self.pool
        for attempt in range(_ATTEMPTS):
            await pool.decided()
            try:
                return await self._once(work, fresh=False)
            except SerializationError:
                if attempt == _ATTEMPTS - 1:
                    raise
            await self._pause(random.uniform(0, min(_LONGEST, _PAUSE * 2**attempt)))  # noqa: S311
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _once(self, work: Callable[[ServerExecutor], Awaitable[T]], *, fresh: bool) -> T:
        pool = self.pool
        rows = await pool.acquire(fresh=fresh)
        try:
            result = await pool.use(rows, work)
        except BaseException as error:
            pool.failed(rows, error)
            raise
        pool.release(rows)
        return result

    async def get(self, model: Model[E], key: object) -> E | None:
        return await self.read(lambda rows: rows.get(model, key))

    async def find(self, select: Select[E]) -> list[E]:
        return await self.read(lambda rows: rows.find(select))

    async def values(self, select: Select[E], columns: tuple[Column, ...]) -> list[Values]:
        return await self.read(lambda rows: rows.values(select, columns))

    async def aggregate(self, query: AggregateQuery[E]) -> list[Values]:
        return await self.read(lambda rows: rows.aggregate(query))

    async def insert(
        self, model: Model[E], rows: Sequence[Row], *, atomic: bool
    ) -> list[Row | ConflictError]:
        given = rows
        return await self.write(lambda rows: rows.insert(model, given, atomic=atomic))

    async def replace(self, model: Model[E], row: Row, expected: int | None) -> E | None:
        return await self.write(lambda rows: rows.replace(model, row, expected))

    async def patch(self, update: Update[E]) -> E | None:
        return await self.write(lambda rows: rows.patch(update))

    async def update(self, update: Update[E]) -> int:
        return await self.write(lambda rows: rows.update(update))

    async def upsert(
        self, model: Model[E], rows: Sequence[Row], on: tuple[str, ...]
    ) -> list[tuple[E, bool]]:
        given = rows
        return await self.write(lambda rows: rows.upsert(model, given, on))

    async def delete(self, model: Model[E], where: Predicate) -> int:
        return await self.write(lambda rows: rows.delete(model, where))


class ServerTransaction(PooledSession):
    """All calls are one transaction on one connection.

    A call whose caller stops waiting goes on to its end, and the next one waits for that: so the
    transaction stays whole. Calls of several tasks take turns.
    """

    def __init__(self, pool: Pool, rows: ServerExecutor, *, blocking: bool) -> None:
        self.pool = pool
        self._rows = rows
        self._blocking = blocking
        self._depth = 0
        self._under_way: asyncio.Future[Any] | None = None

    async def read(self, work: Callable[[ServerExecutor], Awaitable[T]]) -> T:
        return await self._whole(work(self._rows))

    async def write(self, work: Callable[[ServerExecutor], Awaitable[T]]) -> T:
        return await self._whole(work(self._rows))

    def lend(self) -> Loan:
        rows = self._rows

        def meaning(error: BaseException) -> BaseException | None:
            return rows.classified(error) if isinstance(error, Exception) else None

        whole = None if self._blocking else self._whole
        return Loan(engine_for(rows.connection, whole), before=rows.intruded, meaning=meaning)

    async def alone(self, texts: Sequence[str]) -> None:
        """Take what the server wants to be taken before its tables are changed."""
        for text in texts:
            await self._whole(self._rows.command(text))

    async def commit(self) -> None:
        await self._whole(self._end(self._rows.commit()))

    async def rollback(self) -> None:
        async def undo() -> None:
            if not self._rows.lost:
                await self._rows.rollback()

        await self._whole(self._end(undo()))

    async def savepoint(self) -> None:
        # Who stops waiting never entered it; a savepoint too many does no harm, as the next one of
        # this depth has its name and hides it.
        depth = self._depth + 1
        await self._whole(self._rows.savepoint(depth))
        self._depth = depth

    async def release(self) -> None:
        depth, self._depth = self._depth, self._depth - 1
        await self._whole(self._rows.release(depth))

    async def rollback_to(self) -> None:
        depth, self._depth = self._depth, self._depth - 1
        await self._whole(self._rows.rollback_to(depth))

    async def _end(self, work: Coroutine[object, object, None]) -> None:
        try:
            await work
        except BaseException as error:
            if not isinstance(error, HoldfastError):
                self._rows.lost = True  # nobody knows where it stands
            raise
        finally:
            self.pool.release(self._rows)

    async def _whole(self, work: Awaitable[T]) -> T:
        if self._blocking:
            return await work
        before = self._under_way

        async def in_turn() -> T:
            if before is not None and not before.done():
                await asyncio.wait((before,))
            return await work

        task = asyncio.ensure_future(in_turn())
        self._under_way = task
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if not task.done():
                self.pool.later(_ended(task))
            raise


async def _ended(task: asyncio.Future[Any]) -> None:
    """Return when *task* has ended, however it did."""
    await asyncio.wait((task,))
    if not task.cancelled():
        task.exception()  # looked at, or asyncio complains that nobody did
