"""SQLAlchemy's statements and sessions inside a Holdfast transaction, on its own connection."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    import sqlalchemy as sa
    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.orm import Session

    from holdfast.records.transactions.transaction import Transaction

T = TypeVar("T")


_UNTOLD = "writing past the repository what hooks are told of"


class LentConnection(Protocol):
    """A transaction's connection as SQLAlchemy has it; it never commits. Also a `Borrower`."""

    async def open(self) -> None:
        """Make SQLAlchemy's connection around the transaction's."""
        ...

    def refuse_writes(self, tables: frozenset[str], reason: str) -> None:
        """Let statements that write one of *tables* raise UnsupportedError."""
        ...

    async def execute(
        self,
        statement: sa.Executable,
        parameters: Mapping[str, object] | Sequence[Mapping[str, object]] | None,
    ) -> sa.Result[Any]:
        """Run *statement*; when it fails, what it did is undone, and the transaction goes on."""
        ...

    async def run(self, work: Callable[[sa.Connection], T]) -> T:
        """Return what *work* returns; when it raises, what it did is undone."""
        ...

    def session(self) -> Session:
        """Return a blocking session on the connection."""
        ...

    def async_session(self) -> AsyncSession:
        """Return an awaited session on the connection."""
        ...

    def check(self) -> None:
        """Raise TransactionError when a statement has ended the transaction."""
        ...

    async def close(self) -> None:
        """Give the connection back."""
        ...


class _Lender(Protocol):
    """A driver's transaction in which SQLAlchemy can work."""

    def lend(self) -> LentConnection: ...


async def execute(
    transaction: Transaction,
    statement: sa.Executable,
    parameters: Mapping[str, object] | Sequence[Mapping[str, object]] | None = None,
) -> sa.Result[Any]:
    """Run a *statement* of SQLAlchemy's in *transaction* and return its result, fetched.

    It sees what the transaction has written, and is committed or undone with it. One that fails is
    undone by itself, with SQLAlchemy's own error; but SerializationError, LockTimeoutError and the
    like are raised for what trying again may help with.
    Raises TransactionError when the statement ended the transaction, and so does the block's end
    then: COMMIT, ROLLBACK, and on MariaDB CREATE and the like, which commit by themselves.
    Raises UnsupportedError where the backend is not an SQL database, and for what writes a table
    of which the store's hooks are told; text is not looked into.
    """
    async with transaction.scopes.alone():
        return await (await _lent(transaction)).execute(statement, parameters)


async def run_sync(transaction: Transaction, work: Callable[[sa.Connection], T]) -> T:
    """Return what *work* returns, plain code that is given SQLAlchemy's blocking connection.

    When it raises, what it did is undone. Raises what `execute` raises.
    """
    async with transaction.scopes.alone():
        return await (await _lent(transaction)).run(work)


@asynccontextmanager
async def orm_session(transaction: Transaction) -> AsyncIterator[AsyncSession]:
    """Give a session of SQLAlchemy's that works in *transaction*.

    At the end of the block it is flushed, and what it did is the transaction's; an exception
    undoes what it did. Its own commit() and rollback() reach no further back than the block.
    """
    connection = await borrowed_connection(transaction)
    async with transaction.savepoint():
        async with connection.async_session() as session:
            yield session
            await session.commit()


async def borrowed_connection(transaction: Transaction) -> LentConnection:
    """Return the connection of *transaction*, lent to SQLAlchemy until the transaction ends."""
    async with transaction.scopes.alone():
        return await _lent(transaction)


async def _lent(transaction: Transaction) -> LentConnection:
    lender = cast("_Lender", transaction.lender)  # what the capability promises
    if transaction.borrower is not None:
        return cast("LentConnection", transaction.borrower)
    connection = lender.lend()
    await connection.open()
    connection.refuse_writes(transaction.watched_tables, _UNTOLD)
    transaction.lend_to(connection)
    return connection
