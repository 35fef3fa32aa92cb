"""Transactions and savepoints, and how a repository finds the one that it is inside of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from holdfast.capability import require
from holdfast.errors import TransactionError
from holdfast.records.driver import StoreCapability

if TYPE_CHECKING:
    from contextvars import Token
    from types import TracebackType

    from holdfast.records.driver import (
        Borrower,
        Driver,
        DriverTransaction,
        Session,
        TransactionOptions,
    )

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


@dataclass(slots=True)
class TransactionCounts:
    """How many transactions of a store were committed and undone since it was opened."""

    committed: int = 0
    rolled_back: int = 0


class Transaction:
    """One unit of work on a store: all of it happens, or nothing.

    `async with store.transaction() as tx:` commits at the end and rolls back on any exception,
    cancellation included. Repositories of the store take part by themselves inside the block, also
    in tasks that are started there and end there.
    """

    def __init__(
        self, driver: Driver, options: TransactionOptions, counts: TransactionCounts
    ) -> None:
        self.driver = driver
        self.options = options
        self._counts = counts
        self._work: DriverTransaction | None = None
        self._over = False
        self._savepoints: list[tuple[Savepoint, int]] = []
        self._token: Token[tuple[Transaction, ...]] | None = None
        self._afterwards: list[Callback] = []
        self._borrower: Borrower | None = None

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

        What a borrower of the connection ran may have been the end.
        """
        work = self._begun()
        if self._borrower is not None:
            self._borrower.check()
        return work

    @property
    def lender(self) -> DriverTransaction:
        """The driver's transaction, for what borrows its connection: see `lend_to`.

        Raises UnsupportedError where the backend lends none, else what `work` raises.
        """
        driver = self.driver
        require(StoreCapability.SQL_STATEMENTS, driver.capabilities, driver.name)
        return self.work

    @property
    def borrower(self) -> Borrower | None:
        """What was lent the transaction's connection, if anything was."""
        return self._borrower

    def lend_to(self, borrower: Borrower) -> None:
        """Note that *borrower* has the connection too: asked before each use, closed at the end.

        Raises TransactionError when something has it already.
        """
        if self._borrower is not None:
            raise TransactionError("the transaction's connection is lent already")
        self._borrower = borrower

    def _begun(self) -> DriverTransaction:
        if self._over:
            raise TransactionError(
                "the transaction that this code was started in is over; a task that outlives its "
                "transaction is started with context=contextvars.Context()"
            )
        if self._work is None:
            raise TransactionError("the transaction is not open; use `async with`")
        return self._work

    def savepoint(self) -> Savepoint:
        """Return a part of the transaction that is undone alone when its block raises.

        Raises UnsupportedError where the backend has no savepoints.
        """
        require(StoreCapability.SAVEPOINTS, self.driver.capabilities, self.driver.name)
        return Savepoint(self)

    async def __aenter__(self) -> Self:
        """Begin. Raises TransactionError the second time, and what `Driver.begin` raises."""
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
            if self._borrower is not None:
                await self._borrower.close()
                cancelled = error is not None and not isinstance(error, Exception)
                if not cancelled and not isinstance(error, TransactionError):
                    self._borrower.check()
        except BaseException:
            await self._undo(work)
            raise
        if error is not None:
            await self._undo(work)
            return
        await work.commit()
        self._counts.committed += 1
        await _run_all(self._afterwards)

    async def _undo(self, work: DriverTransaction) -> None:
        self._counts.rolled_back += 1
        await work.rollback()

    def push(self, savepoint: Savepoint) -> None:
        """Note that *savepoint* is now the innermost."""
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
