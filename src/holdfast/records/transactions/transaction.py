"""Transactions and savepoints, and how a repository finds the one that it is inside of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, TypeVar, cast

from holdfast.capability import require
from holdfast.errors import HoldfastError, SerializationError, TransactionError
from holdfast.records.driver import StoreCapability
from holdfast.records.transactions.after_commit import Callbacks, finished
from holdfast.records.transactions.measured_session import MeasuredSession
from holdfast.records.transactions.scope import (
    Scopes,
    TransactionScope,
    by_thread,
    inside,
    note,
    note_context,
    scope_of,
    why_undone,
)
from holdfast.records.transactions.scoped_session import ScopedSession, TaskSession
from holdfast.records.transactions.turns import PATIENCE, TaskTurns, ThreadTurns

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from types import TracebackType

    from holdfast.records.driver import Borrower, Driver, DriverTransaction, Session
    from holdfast.records.driver_requests import TransactionOptions
    from holdfast.records.transactions.affinity import Affinity
    from holdfast.records.transactions.after_commit import Callback
    from holdfast.stats import OperationRecorder

T = TypeVar("T")

_FORKED = (
    "the process was forked inside this transaction, which belongs to the parent and is ended "
    "there. Fork outside of transactions, or do the child's work in contextvars.Context()"
)


def current(driver: Driver) -> Transaction | None:
    """Return the transaction of *driver* that the running code is inside of.

    Raises TransactionError in the thread of a blocking transaction whose context was lost.
    """
    scope = scope_of(driver)
    return None if scope is None else cast("Transaction", scope.scopes.outermost)


def session_of(driver: Driver, affinity: Affinity, recorder: OperationRecorder | None) -> Session:
    """Return where a call reads and writes now: the transaction around it, or the driver itself.

    What happens outside of transactions is told to *recorder*, where there is one.

    A write calls `Affinity.check` first; of a read this does, where the backend needs it.
    Raises ConfigurationError in another event loop than the store's, and what `current` raises.
    """
    if affinity.strict:
        affinity.check()
    if (inside.get() or by_thread) and (scope := scope_of(driver)) is not None:
        return scope.session
    if recorder is None:
        return driver.session()
    return MeasuredSession(driver.session(), recorder)


@dataclass(slots=True)
class TransactionCounts:
    """How many transactions of a store were committed and undone since it was opened."""

    committed: int = 0
    rolled_back: int = 0


class Transaction(TransactionScope):
    """One unit of work on a store: all of it happens, or nothing.

    `async with store.transaction() as tx:` commits at the end and rolls back on any exception,
    cancellation included. Repositories of the store take part by themselves inside the block, also
    in tasks that are started there and end there. Calls of several tasks take turns; while one of
    them has a part of the transaction open, those from outside of the part wait.

    A read that fails because the server stopped it, or because of its connection, disk or schema,
    ends the block around it on every backend: later calls in it raise TransactionError, and so
    does its end. A savepoint around such a read keeps that to itself.
    """

    def __init__(
        self,
        driver: Driver,
        options: TransactionOptions,
        counts: TransactionCounts,
        affinity: Affinity,
        recorder: OperationRecorder | None = None,
    ) -> None:
        super().__init__()
        self.driver = driver
        self.options = options
        turns = ThreadTurns() if affinity.blocking else TaskTurns()
        self.scopes = Scopes(self, turns, getattr(driver, "lock_timeout", PATIENCE))
        self.session_type = ScopedSession if affinity.blocking else TaskSession
        self._counts = counts
        self.recorder = recorder
        self._affinity = affinity
        self._forks = affinity.forks
        self._work: DriverTransaction | None = None
        self.callbacks = Callbacks()
        self._borrower: Borrower | None = None
        self.watched_tables: frozenset[str] = frozenset()
        """Tables of whose rows the store's hooks are told."""

    def after_commit(self, callback: Callback) -> None:
        """Await *callback* once the whole transaction is committed; never when it is not.

        Callbacks run in the order in which they were added, outside of the transaction and before
        the block is left, or behind it when its task is cancelled while it commits; those of a
        savepoint that is undone are dropped with it. Each runs even when one before it raises; what
        they raise then escapes from the block, the first by itself or several as an ExceptionGroup,
        with the transaction committed all the same. Raises TransactionError before the start and
        after the end.
        """
        self.check()
        self.callbacks.add(callback, self.scopes.here())

    @property
    def work(self) -> DriverTransaction:
        """Where to read and write. Raises TransactionError before the start and after the end.

        What a borrower of the connection ran may have been the end.
        """
        self.check()
        assert self._work is not None
        return self._work

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
        self.scopes.watch()

    @property
    def forked(self) -> bool:
        """Whether this process is a child of the one in which the transaction began."""
        return self._affinity.forks != self._forks

    def check(self) -> None:
        """Raise TransactionError before the start, after the end, and where it can't go on."""
        self.check_life()
        if self.failure is not None:
            raise TransactionError(
                f"the transaction can't go on, for something in it failed: {self.failure}. Leave "
                "its block; a savepoint around what may fail keeps that to itself"
            ) from self.failure

    def check_life(self) -> None:
        """Raise TransactionError before the start and after the end."""
        if self.over:
            raise TransactionError(
                "the transaction that this code was started in is over; a task that outlives its "
                "transaction is started with context=contextvars.Context()"
            )
        if self._work is None:
            raise TransactionError("the transaction is not open; use `async with`")
        if self.forked:
            raise TransactionError(_FORKED)
        if self._borrower is not None:
            self._borrower.check()

    def ending(self) -> DriverTransaction:
        """Return where a part of the transaction ends, also one in which something failed.

        Raises TransactionError before the start and after the end.
        """
        self.check_life()
        assert self._work is not None
        return self._work

    def savepoint(self) -> Savepoint:
        """Return a part of the transaction that is undone alone when its block raises.

        While its block runs, calls of tasks that were started outside of it wait for its end.
        Raises UnsupportedError where the backend has no savepoints.
        """
        require(StoreCapability.SAVEPOINTS, self.driver.capabilities, self.driver.name)
        return Savepoint(self)

    async def __aenter__(self) -> Self:
        """Begin. Raises TransactionError the second time, and what `Driver.begin` raises."""
        if self._work is not None:
            raise TransactionError("a transaction is entered once")
        self._affinity.check()
        self._forks = self._affinity.forks
        self._work = await self._timed("begin", self.driver.begin(self.options))
        self.session = _session_in(self, self)
        self.scopes.push(self)
        self.enter_context()
        if self._affinity.blocking and isinstance(self.entered_by, int):
            by_thread.setdefault(self.entered_by, []).append(self)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Commit, or undo; in whatever context and task this runs, the transaction is over.

        A block that ended well is undone, and raises TransactionError, when a read in it failed,
        when a part of it is still open, and when this context never was inside of it.
        """
        work = self._work
        if self.over or work is None:
            self.check_life()
            return
        found = self.leave_context()
        self._leave_thread()
        if self.forked:
            self.over = True
            if error is None:
                raise TransactionError(_FORKED)
            return
        with self.scopes.turns.held:
            open_inside = self.scopes.leave(self)
        reason = error
        if error is None and (why := why_undone(self, open_inside, found=found)):
            reason = TransactionError(f"the transaction was undone, for {why}")
            reason.__cause__ = self.failure
        try:
            await self._take_back(reason)
        except BaseException as failed:
            await self._undo(work, failed)
            raise
        if reason is not None:
            await self._undo(work, reason)
            if error is None:
                raise reason
            if not found and isinstance(error, Exception):
                note_context(error)
            return
        alone = self._affinity.blocking or not self.callbacks.added
        await (self._commit(work) if alone else finished(self._commit(work)))

    async def _commit(self, work: DriverTransaction) -> None:
        await self._timed("commit", work.commit())
        self._counts.committed += 1
        await self.callbacks.run()

    async def _timed(self, operation: str, call: Awaitable[T]) -> T:
        return await (call if self.recorder is None else self.recorder.timed(operation, call))

    def _leave_thread(self) -> None:
        thread = self.entered_by
        if isinstance(thread, int) and self in (entered := by_thread.get(thread, [])):
            entered.remove(self)
            if not entered:
                del by_thread[thread]

    async def _take_back(self, reason: BaseException | None) -> None:
        """Take the connection back from its borrower, who may have ended what the block did."""
        if self._borrower is None:
            return
        await self._borrower.close()
        cancelled = reason is not None and not isinstance(reason, Exception)
        if not cancelled and not isinstance(reason, TransactionError):
            self._borrower.check()

    async def _undo(self, work: DriverTransaction, reason: BaseException) -> None:
        """Roll back for *reason*, of which the caller hears, whatever fails on the way."""
        self._counts.rolled_back += 1
        try:
            await self._timed("rollback", work.rollback())
        except HoldfastError as failed:
            note(reason, failed)


def _session_in(transaction: Transaction, scope: TransactionScope) -> Session:
    """Return where calls of *scope*, the *transaction* or a part of it, read and write."""
    session = transaction.session_type(transaction.work, scope, transaction.scopes)
    recorder = transaction.recorder
    return session if recorder is None else MeasuredSession(session, recorder)


class Savepoint(TransactionScope):
    """A part of a transaction: `async with tx.savepoint():` undoes it alone when it raises."""

    def __init__(self, transaction: Transaction) -> None:
        super().__init__()
        self._transaction = transaction
        self.driver = transaction.driver
        self.scopes = transaction.scopes
        self._around: TransactionScope | None = None

    def after_commit(self, callback: Callback) -> None:
        """Await *callback* once the whole transaction is committed: `Transaction.after_commit`."""
        self._transaction.after_commit(callback)

    def check(self) -> None:
        """Raise TransactionError where nothing can be done in the part."""
        if self._around is None:
            raise TransactionError("the part of a transaction is not open; use `async with`")
        if self.over and not self._transaction.over:
            raise TransactionError(
                "the part of a transaction that this code was started in is over; start what "
                "outlives it outside of it"
            )
        self._around.check()
        if self.failure is not None:
            raise TransactionError(
                "this part of the transaction can't go on, for something in it failed: "
                f"{self.failure}. Leave its block"
            ) from self.failure

    async def __aenter__(self) -> Transaction:
        """Begin, when no other part is open beside it.

        Raises TransactionError the second time and outside of the transaction's life, and
        LockTimeoutError when the part beside it is open for longer than `lock_timeout`.
        """
        if self._around is not None:
            raise TransactionError("a part of a transaction is entered once")
        transaction, scopes = self._transaction, self.scopes
        around = scopes.here()
        with scopes.turns.held:
            await scopes.turn(around)
            work = transaction.work
            self._around = around
            self.session = _session_in(transaction, self)
            scopes.push(self)  # from here on what stands beside it waits
            try:
                await work.savepoint()
            except BaseException:
                scopes.leave(self)
                raise
        self.enter_context()
        return transaction

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Keep or undo the part; it is over in whatever context and task this runs.

        A block that ended well is undone, and raises TransactionError, where that of a whole
        transaction would be.
        """
        transaction, scopes = self._transaction, self.scopes
        found = self.leave_context()
        if self.over or self._around is None or transaction.forked:
            if error is None:
                self.check()
            return
        with scopes.turns.held:
            self.over = True
            scopes.ready = None  # it stays the innermost, so that nobody comes in between
            try:
                await self._end(error, found=found)
            finally:
                scopes.leave(self)

    async def _end(self, error: BaseException | None, *, found: bool) -> None:
        transaction, scopes = self._transaction, self.scopes
        work = transaction.ending()
        open_inside = scopes.stack[scopes.stack.index(self) + 1 :]
        reason = error
        if error is None and (why := why_undone(self, open_inside, found=found)):
            reason = TransactionError(f"a part of the transaction was undone, for {why}")
            reason.__cause__ = self.failure
        ended = [self, *open_inside]
        if reason is not None:
            transaction.callbacks.drop(ended)
        elif self._around is not None:
            transaction.callbacks.move(ended, self._around)
        try:
            if reason is None:
                await work.release()
            elif open_inside:
                # Who opened them may be at work on them still: only the whole can be undone.
                scopes.fail(
                    transaction, TransactionError("a part ended while one inside it was open")
                )
            else:
                await work.rollback_to()
        except HoldfastError as failed:
            if not isinstance(failed, SerializationError):  # which the backend keeps in mind
                scopes.fail(transaction, failed)
            if reason is None:
                raise
            note(reason, failed)
        if error is None and reason is not None:
            raise reason
        if not found and isinstance(error, Exception):
            note_context(error)
