"""A driver for a database server: a pool of connections, and the sessions that use it."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar, cast

from holdfast.clock import sleep_thread
from holdfast.errors import SerializationError, TransactionError, UnavailableError
from holdfast.records.driver_requests import TransactionOptions
from holdfast.records.drivers.sql.connections.pool import Pool
from holdfast.records.drivers.sql.executors.server_executor import ServerExecutor
from holdfast.records.drivers.sql.executors.server_reader import StatementLog
from holdfast.records.drivers.sql.mapped_tables.mapped_columns import declared_tables
from holdfast.records.drivers.sql.replica_reads import ReplicaReads
from holdfast.records.drivers.sql.server_transaction import ServerTransaction, begin_on
from holdfast.records.drivers.sql.statements.schema_inspection import (
    found_tables,
    inspection_query,
    schema_differences,
)
from holdfast.records.drivers.sql.statements.store_statements import StoreStatements, statements_of
from holdfast.records.entities.table_names import schema_of
from holdfast.records.transactions.session import VerbSession
from holdfast.stats import Stats

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence

    import sqlalchemy as sa

    from holdfast.records.drivers.sql.server import Server
    from holdfast.records.entities.model import Model
    from holdfast.records.schema_diff import Difference

T = TypeVar("T")
P = ParamSpec("P")

_ATTEMPTS = 20  # of a call that is a transaction of its own and was undone by a clash
_PAUSE = 0.002  # seconds before the first new attempt; then twice as long each time
_LONGEST = 0.25
_GRACE = 1.0  # seconds that a connection which nobody waits for any more has to be made
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ServerDriver:
    """Records on a database server."""

    def __init__(self, server: Server, replicas: Server | None = None) -> None:
        server.options.check()
        self._replicas = None if replicas is None else ReplicaReads(replicas)
        self.name = server.name
        self.capabilities = server.capabilities
        self.server = server
        self.lock_timeout = server.options.lock_timeout
        self.schema = server.options.schema
        self._statements: StoreStatements | None = None
        self._session: PooledSession | None = None
        self._connect: Callable[[], Awaitable[ServerExecutor]] | None = None
        self._listening: list[ServerExecutor] = []
        self._inherited: list[Pool] = []
        """Those of the parent, in a forked child: kept, as what is dropped would be ended."""

    async def open(self, models: Sequence[Model[object]]) -> None:
        """Connect. Raises UnavailableError, and ConfigurationError for a server not to be used."""
        server, options = self.server, self.server.options
        connection = await server.connect()
        try:
            dialect = await server.dialect(connection)
            if any(each.adapter is not None for each in models):
                dialect = server.mapped_dialect(dialect, models)
            named = any(each.adapter is None and schema_of(each.table) for each in models)
            schema = self.schema or (server.home if named else "")
            statements = statements_of(tuple(models), dialect, schema)
        except BaseException:
            connection.abandon()
            raise
        log = StatementLog(echo=options.echo, slow=options.slow_statement)

        async def connect() -> ServerExecutor:
            return server.execute_on(await server.connect(), statements, log)

        self._connect = connect
        pool = self._new_pool(connect)
        await pool.adopt(server.execute_on(connection, statements, log))
        self._statements = statements
        self._session = PooledSession(pool, server, self._wrote)
        if self._replicas is not None:
            self._replicas.open(statements, log)

    @property
    def records_changes(self) -> bool:
        """See `ChangeRecorder`."""
        return hasattr(self.server.executor, "replace_recorded")

    @property
    def gives_defaults(self) -> bool:
        """See `DefaultGiver`."""
        return True

    @property
    def takes_rows(self) -> bool:
        """See `RowTaker`."""
        return hasattr(self.server.executor, "take")

    @property
    def _wrote(self) -> Callable[[], None] | None:
        return None if self._replicas is None else self._replicas.wait

    def _new_pool(self, connect: Callable[[], Awaitable[ServerExecutor]]) -> Pool:
        server = self.server
        return Pool(connect, server.options, blocking=server.blocking, shielded=server.shielded)

    def renew(self) -> None:
        """See `Renewable`."""
        if self._session is not None and self._connect is not None:
            self._inherited.append(self._session.pool)
            self._session = PooledSession(self._new_pool(self._connect), self.server, self._wrote)
            if self._replicas is not None:
                self._inherited += self._replicas.renew()

    async def close(self) -> None:
        """Let go of all connections. Idempotent."""
        session, self._session = self._session, None
        try:
            if session is not None:
                await session.pool.close()
        finally:
            if self._replicas is not None:
                await self._replicas.close()

    def session(self) -> PooledSession:
        """Return the session in which each call is its own transaction."""
        if self._session is None:
            raise TransactionError("the store is not open: use it in `async with`")
        return self._session

    async def begin(self, options: TransactionOptions) -> ServerTransaction:
        """Begin a transaction, on a new connection when the first one turns out to be dead."""
        pool = self.session().pool
        if self._replicas is not None:
            there = await self._replicas.begin(options)
            if there is not None:
                return there
        await pool.decided()
        wrote = None if options.read_only else self._wrote
        statements = self.server.begin(options)
        return await begin_on(pool, statements, blocking=self.server.blocking, wrote=wrote)

    async def probe(self) -> None:
        """Run the least statement there is. Raises UnavailableError."""
        await self.session().read(ServerExecutor.asked, "SELECT 1")

    async def server_time(self) -> datetime:
        """See `TimeTeller`."""
        ((moment,),) = await self.session().read(ServerExecutor.asked, self.server.time)
        return _EPOCH + timedelta(microseconds=int(cast("int", moment)))

    @property
    def notifies(self) -> bool:
        """See `Notifier`."""
        return self.server.notification is not None

    @property
    def listens(self) -> bool:
        """See `Notifier`."""
        return self.server.listens

    async def notify(self, channel: str, texts: Sequence[str]) -> None:
        """See `Notifier`."""
        query = self.server.notification
        assert query is not None
        await self.session().read(ServerExecutor.asked, query, channel, list(texts))

    async def listen(self, channel: str, heard: Callable[[str | None], None]) -> None:
        """See `Notifier`."""
        self.session()
        assert self._connect is not None
        executor = await _uninterrupted(self._connect())
        self._listening.append(executor)  # a forked child keeps it: see `_inherited`
        try:
            await executor.listen(channel, heard)
        finally:
            self._listening.remove(executor)
            await executor.connection.close()

    def stats(self) -> Stats:
        """Return the pool's figures since the opening."""
        pool = self.session().pool
        return Stats({}, pool.counters(), pool.gauges())

    async def differences(self) -> list[Difference]:
        """See `Verifiable`."""
        statements = self._opened_statements
        tables, schema = statements.tables.values(), self.schema
        query = inspection_query(self.name, tables, schema)
        found = found_tables(await self._ask(query))
        differences = schema_differences(tables, statements.dialect, found, schema)
        if self.server.mapped_schema is not None:
            differences += await self.server.mapped_schema.differences(self._ask, statements, found)
        return differences

    async def create_schema(self) -> None:
        """Create what is missing: mapped classes' tables by their metadata, the others here.

        Raises SchemaMismatchError where those of mapped classes then don't keep values to the
        rules, as by a collation of their own.
        """
        mapped, own = self._apart()
        schema = self.server.mapped_schema
        if mapped and schema is not None:
            await schema.create(self.server, self._define, self._ask, self._opened_statements)
        elif mapped:
            await self._by_metadata(mapped, lambda metadata: metadata.create_all)
        await self._define(self.server.creation(own))

    @property
    def indexes_words(self) -> bool:
        """See `WordIndexer`."""
        return bool(self.server.word_indexes(self._opened_statements))

    async def index_words(self) -> None:
        """See `WordIndexer`."""
        texts = self.server.word_indexes(self._opened_statements)
        if texts:
            await self._define(texts)

    async def drop_schema(self) -> None:
        """Drop all tables, with their rows."""
        mapped, own = self._apart()
        if own.tables:
            await self._define(self.server.removal(own))
        schema = self.server.mapped_schema
        if mapped and schema is not None:
            await schema.drop(self.server, self._define, self._opened_statements)
        elif mapped:
            await self._by_metadata(mapped, lambda metadata: metadata.drop_all)

    async def _ask(self, query: str) -> Sequence[Sequence[object]]:
        return await self.session().read(ServerExecutor.asked, query)

    async def _define(self, texts: Sequence[str]) -> None:
        await self.session().write(self.server.executor.define, texts)

    def _apart(self) -> tuple[list[sa.Table], StoreStatements]:
        """Return the tables that mapped classes declare, and the statements of all others."""
        statements = self._opened_statements
        models = statements.models
        own = StoreStatements((), statements.dialect)
        own.tables = {
            model.table: statements.tables[model.table]
            for model in models
            if model.adapter is None and not model.view
        }
        return declared_tables(models), own

    async def _by_metadata(
        self, tables: list[sa.Table], verb: Callable[[sa.MetaData], Callable[..., None]]
    ) -> None:
        def work(connection: sa.Connection) -> None:
            for metadata in dict.fromkeys(table.metadata for table in tables):
                mine = [table for table in tables if table.metadata is metadata]
                verb(metadata)(connection, tables=mine)

        transaction = await self.begin(TransactionOptions())
        try:
            # What the server wants to be taken before its tables are changed.
            nothing = StoreStatements((), self._opened_statements.dialect)
            for text in self.server.creation(nothing):
                await transaction.read(ServerExecutor.command, text)
            borrowed = transaction.lend()
            await borrowed.open()
            await borrowed.run(work)
            await borrowed.close()
        except BaseException:
            await transaction.rollback()
            raise
        await transaction.commit()

    @property
    def _opened_statements(self) -> StoreStatements:
        self.session()
        assert self._statements is not None
        return self._statements


class PooledSession(VerbSession[ServerExecutor]):
    """Each call is a transaction of its own, on whichever connection is free."""

    keeps_verbs = True

    def __init__(self, pool: Pool, server: Server, wrote: Callable[[], None] | None) -> None:
        self.pool = pool
        self._wrote = wrote
        self.executor = server.executor
        self._blocking = server.blocking

    async def read(
        self,
        verb: Callable[Concatenate[ServerExecutor, P], Coroutine[object, object, T]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Return what *verb* returns; done again on a new connection when the first was dead."""
        pool = self.pool
        executor = await pool.acquire()
        try:
            result = await pool.use(executor, verb(executor, *args, **kwargs))
        except BaseException as error:
            pool.failed(executor, error)
            if not executor.lost or not isinstance(error, (UnavailableError, SerializationError)):
                raise
        else:
            pool.release(executor)
            return result
        return await self._once(True, verb, *args, **kwargs)

    async def write(
        self,
        verb: Callable[Concatenate[ServerExecutor, P], Coroutine[object, object, T]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Return what *verb* returns; done again when it was undone by a clash, and only then."""
        for attempt in range(_ATTEMPTS):
            await self.pool.decided()
            try:
                return await self._once(False, verb, *args, **kwargs)
            except SerializationError:
                if attempt == _ATTEMPTS - 1:
                    raise
            finally:
                if self._wrote is not None:
                    self._wrote()
            await self._pause(random.uniform(0, min(_LONGEST, _PAUSE * 2**attempt)))  # noqa: S311
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _once(
        self,
        fresh: bool,
        verb: Callable[Concatenate[ServerExecutor, P], Coroutine[object, object, T]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        pool = self.pool
        executor = await pool.acquire(fresh=fresh)
        try:
            result = await pool.use(executor, verb(executor, *args, **kwargs))
        except BaseException as error:
            pool.failed(executor, error)
            raise
        pool.release(executor)
        return result

    async def _pause(self, seconds: float) -> None:
        if self._blocking:
            await sleep_thread(seconds)
        else:
            await asyncio.sleep(seconds)


async def _uninterrupted(connecting: Awaitable[ServerExecutor]) -> ServerExecutor:
    """Return the connection that is being made; when cancelled, have it made and let go of it.

    To stop asyncpg in the middle leaves failures behind that nobody looks at.
    """
    task = asyncio.ensure_future(connecting)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task}, timeout=_GRACE)
        if not task.cancel() and task.exception() is None:
            await task.result().connection.close()
        raise
