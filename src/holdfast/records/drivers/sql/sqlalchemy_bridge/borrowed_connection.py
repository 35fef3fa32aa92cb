"""A transaction's connection while SQLAlchemy has it too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.sql.elements import ReleaseSavepointClause, RollbackToSavepointClause

from holdfast.errors import HoldfastError, TransactionError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import orm
    from sqlalchemy.ext.asyncio import AsyncSession

T = TypeVar("T")

_LEAVING = (ReleaseSavepointClause, RollbackToSavepointClause)


class BorrowedConnection:
    """Runs a user's statements and sessions on the connection of one transaction."""

    def __init__(
        self,
        engine: sa.Engine,
        *,
        before: Callable[[], None],
        meaning: Callable[[BaseException], BaseException | None],
    ) -> None:
        self._engine = engine
        self._before = before
        self._meaning = meaning
        self._connection: sa.Connection | None = None
        self._raw: Any = None
        self._driver_connection: Any = None
        self._ended = False
        self._refused: frozenset[str] = frozenset()
        self._reason = ""

    @property
    def awaited(self) -> bool:
        """Return whether its driver is awaited, so that SQLAlchemy needs greenlets."""
        return bool(self._engine.dialect.is_async)

    async def open(self) -> None:
        """Let SQLAlchemy begin to use the connection."""

        def start() -> None:
            connection = self._engine.connect()
            self._engine.dialect.initialize(connection)
            event.listen(self._engine, "before_cursor_execute", self._each)
            event.listen(self._engine, "after_cursor_execute", self._look)
            event.listen(self._engine, "handle_error", self._named)
            if not connection.in_transaction():
                connection.begin()
            self._connection = connection
            self._raw = connection.connection.dbapi_connection
            self._driver_connection = connection.connection.driver_connection

        await self.step(start)

    def refuse_writes(self, tables: frozenset[str], reason: str) -> None:
        """Let statements of SQLAlchemy's that write one of *tables* raise UnsupportedError.

        What is given as text is not looked into.
        """
        self._refused, self._reason = tables, reason

    def _each(self, *about: object) -> None:
        self._before()
        self.check()
        statement = getattr(getattr(about[4], "compiled", None), "statement", None)
        if self._refused and isinstance(statement, sa.UpdateBase):
            table = cast("sa.Table", statement.table).name
            if table in self._refused:
                raise UnsupportedError(f"{self._reason}: {table}", self._engine.dialect.name)

    def check(self) -> None:
        """Raise TransactionError when a statement that was lent the connection ended it all."""
        if self._ended:
            raise TransactionError(
                "the transaction ended before its block did, by a statement that was given to it: "
                "COMMIT, ROLLBACK, what commits by itself (on MariaDB and MySQL: CREATE, ALTER, "
                "DROP and the like), or one whose failure undid it; what came before was kept or "
                "undone by it"
            )

    def _look(self, *_about: object) -> None:
        dialect: Any = self._engine.dialect
        if not dialect.within(self._driver_connection):
            self._ended = True
            self.check()

    def _named(self, context: sa.engine.ExceptionContext) -> None:
        """Let what trying again may help with be known by Holdfast's names."""
        original = context.original_exception
        if isinstance(original, HoldfastError):
            return
        found = self._meaning(original.__cause__ or original)
        if isinstance(found, HoldfastError):
            raise found from original
        compiled = getattr(context.execution_context, "compiled", None)
        ours = isinstance(getattr(compiled, "statement", None), _LEAVING)
        if ours and context.sqlalchemy_exception is not None:
            self._ended = True  # its savepoint is gone, and the transaction that had it
            self.check()

    async def step(self, work: Callable[[], T]) -> T:
        """Do *work*, plain code whose I/O waits as this connection's driver does."""
        if not self.awaited:
            return work()
        from sqlalchemy.util import greenlet_spawn  # noqa: PLC0415 - an extra

        return await greenlet_spawn(work)

    @property
    def connection(self) -> sa.Connection:
        """SQLAlchemy's connection; there is one after `open`."""
        assert self._connection is not None
        return self._connection

    async def execute(
        self,
        statement: sa.Executable,
        parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None,
    ) -> sa.Result[Any]:
        """Run *statement*; when it fails, what it did is undone, and the transaction goes on."""

        def work() -> sa.Result[Any]:
            with self.connection.begin_nested():
                result = self.connection.execute(statement, cast("Any", parameters))
                if result.returns_rows and not self.awaited:
                    return result.freeze()()  # no cursor stays open behind the savepoint
                return result

        return await self.step(work)

    async def run(self, work: Callable[[sa.Connection], T]) -> T:
        """Return what *work* returns, which is given SQLAlchemy's blocking connection."""

        def nested() -> T:
            with self.connection.begin_nested():
                return work(self.connection)

        return await self.step(nested)

    def session(self) -> orm.Session:
        """Return a blocking session of SQLAlchemy's on the connection."""
        from sqlalchemy import orm  # noqa: PLC0415 - a third of SQLAlchemy, which few need

        return orm.Session(
            self.connection, join_transaction_mode="create_savepoint", expire_on_commit=False
        )

    def async_session(self) -> AsyncSession:
        """Return an awaited session of SQLAlchemy's on the connection."""
        from sqlalchemy.ext.asyncio import AsyncSession  # noqa: PLC0415 - an extra

        made = AsyncSession(expire_on_commit=False, join_transaction_mode="create_savepoint")
        made.sync_session.bind = self.connection
        return made

    async def close(self) -> None:
        """Take the connection back, in a transaction as it was lent. Idempotent."""
        if self._connection is not None:
            connection, self._connection = self._connection, None

            def end() -> None:
                dialect: Any = self._engine.dialect
                if dialect.undo_is_strict and not dialect.within(self._driver_connection):
                    cursor = self._raw.cursor()
                    cursor.execute("BEGIN")  # that the owner has one to undo
                    cursor.close()
                connection.close()

            await self.step(end)
