"""Transactions and savepoints, and how a repository finds the one that it is inside of."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar, runtime_checkable

from holdfast.errors import TransactionError, UnsupportedError
from holdfast.records.driver import Lends

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextvars import Token
    from types import TracebackType

    import sqlalchemy as sa
    from sqlalchemy.ext.asyncio import AsyncSession

    from holdfast.records.driver import (
        Driver,
        DriverTransaction,
        Loan,
        Session,
        TransactionOptions,
    )

T = TypeVar("T")

Callback = Callable[[], Awaitable[object]]

_open: ContextVar[tuple[Transaction, ...]] = ContextVar("holdfast_transactions", default=())


def current(driver: Driver) -> Transaction | None:
    """Return the transaction of *driver* that the running code is inside of."""
    for transaction in reversed(_open.get()):
        if transaction.driver is driver:
            return transaction
    return None


def session_of(driver: Driver) -> Session:
    """Return where a call reads and writes now: the transaction around it, or the driver itself."""
    if not _open.get():
        return driver.session()
    transaction = current(driver)
    return driver.session() if transaction is None else transaction.work


@runtime_checkable
class Watchful(Protocol):
    """A loan that sees when a statement of the borrower's ends the transaction."""

    def check(self) -> None:
        """Raises TransactionError when one has."""
        ...


class Transaction:
    """One unit of work on a store: all of it happens, or nothing.

    `async with store.transaction() as tx:` commits at the end and rolls back on any exception,
    cancellation included. Repositories of the store take part by themselves inside the block, also
    in tasks that are started there and end there.
    """

    def __init__(self, driver: Driver, options: TransactionOptions) -> None:
        self.driver = driver
        self.options = options
        self._work: DriverTransaction | None = None
        self._over = False
        self._savepoints: list[tuple[Savepoint, int]] = []
        self._token: Token[tuple[Transaction, ...]] | None = None
        self._afterwards: list[Callback] = []
        self._loan: Loan | None = None
        self._watch: Watchful | None = None

    def after_commit(self, callback: Callback) -> None:
        """Await *callback* once the whole transaction is committed; never when it is not.

        Callbacks run in the order in which they were added, outside of the transaction and before
        the block is left; those of a savepoint that is undone are dropped with it. Each runs even
        when one before it raises; what they raise then escapes from the block, the first by itself
        or several as an ExceptionGroup, with the transaction committed all the same.
        Raises TransactionError before the start and after the end.
        """
        _ = self.work
        self._afterwards.append(callback)

    @property
    def work(self) -> DriverTransaction:
        """Where to read and write. Raises TransactionError before the start and after the end.

        A statement given to `execute` and its like may have been the end.
        """
        work = self._begun()
        if self._watch is not None:
            self._watch.check()
        return work

    def _begun(self) -> DriverTransaction:
        if self._over:
            raise TransactionError(
                "the transaction that this code was started in is over; a task that outlives its "
                "transaction is started with context=contextvars.Context()"
            )
        if self._work is None:
            raise TransactionError("the transaction is not open; use `async with`")
        return self._work

    async def execute(
        self,
        statement: sa.Executable,
        parameters: Mapping[str, object] | Sequence[Mapping[str, object]] | None = None,
    ) -> sa.Result[Any]:
        """Run a *statement* of SQLAlchemy's in this transaction and return its result, fetched.

        It sees what the transaction has written, and is committed or undone with it. One that
        fails is undone by itself, with SQLAlchemy's own error; but SerializationError,
        LockTimeoutError and the like are raised for what trying again may help with.
        Raises TransactionError when the statement ended the transaction, and so does the block's
        end then: COMMIT, ROLLBACK, and on MariaDB CREATE and the like, which commit by themselves.
        Raises UnsupportedError where the backend is no SQL database.
        """
        return await (await self.lent()).execute(statement, parameters)

    async def run_sync(self, work: Callable[[sa.Connection], T]) -> T:
        """Return what *work* returns, plain code that is given SQLAlchemy's blocking connection."""
        return await (await self.lent()).run(work)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        """Give a session of SQLAlchemy's that works in this transaction.

        At the end of the block it is flushed, and what it did is the transaction's; an exception
        undoes what it did. Its own commit() and rollback() reach no further back than the block.
        """
        loan = await self.lent()
        async with self.savepoint():
            async with loan.async_session() as session:
                yield session
                await session.commit()

    async def lent(self) -> Loan:
        """Return the transaction's connection as lent to SQLAlchemy, until the end."""
        work = self.work
        if self._loan is None:
            if not isinstance(work, Lends):
                raise UnsupportedError("SQLAlchemy's statements and sessions", self.driver.name)
            loan = work.lend()
            await loan.open()
            self._loan = loan
            self._watch = loan if isinstance(loan, Watchful) else None
        return self._loan

    def savepoint(self) -> Savepoint:
        """Return a part of the transaction that is undone alone when its block raises."""
        return Savepoint(self)

    async def __aenter__(self) -> Self:
        if self._work is not None:
            raise TransactionError("a transaction is entered once")
        self._work = await self.driver.begin(self.options)
        self._token = _open.set((*_open.get(), self))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        work = self._begun()
        self._over = True
        if self._token is not None:
            _open.reset(self._token)
        try:
            if self._loan is not None:
                await self._loan.close()
            known = error is not None and not isinstance(error, Exception)  # cancelled
            if self._watch is not None and not known and not isinstance(error, TransactionError):
                self._watch.check()
        except BaseException:
            await work.rollback()
            raise
        if error is not None:
            await work.rollback()
            return
        await work.commit()
        await _run_all(self._afterwards)

    def push(self, savepoint: Savepoint) -> None:
        self._savepoints.append((savepoint, len(self._afterwards)))

    def pop(self, savepoint: Savepoint, *, undone: bool) -> None:
        """Take *savepoint* off, with its callbacks when it is *undone*.

        Raises TransactionError when it is not the innermost.
        """
        if not self._savepoints or self._savepoints[-1][0] is not savepoint:
            raise TransactionError(
                "savepoints end in the reverse order of their start; "
                "don't open them in tasks that run beside each other"
            )
        _, added = self._savepoints.pop()
        if undone:
            del self._afterwards[added:]


class Savepoint:
    """A part of a transaction: `async with tx.savepoint():` undoes it alone when it raises."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def after_commit(self, callback: Callback) -> None:
        """Await *callback* once the whole transaction is committed: `Transaction.after_commit`."""
        self._transaction.after_commit(callback)

    async def __aenter__(self) -> Transaction:
        await self._transaction.work.savepoint()
        self._transaction.push(self)
        return self._transaction

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._transaction.pop(self, undone=error is not None)
        if error is None:
            await self._transaction.work.release()
        else:
            await self._transaction.work.rollback_to()


async def _run_all(callbacks: list[Callback]) -> None:
    errors: list[Exception] = []
    stopped: BaseException | None = None
    for callback in callbacks:
        try:
            await callback()
        except Exception as error:  # noqa: BLE001 - raised below, when the others have had their turn
            errors.append(error)
        except BaseException as error:  # noqa: BLE001 - cancelled: the same
            stopped = stopped or error
    if stopped is not None:
        raise stopped
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise ExceptionGroup("several callbacks failed after the commit", errors)
