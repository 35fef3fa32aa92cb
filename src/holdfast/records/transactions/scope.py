"""The blocks of a transaction: which one a call belongs to, and whose turn it is.

A transaction and the parts inside it are scopes. They lie in one another like the blocks that
opened them, and the database has one stack of savepoints for all. So while a part is open, calls
that belong to a scope around it, made by tasks or threads beside it, wait until it has ended: the
part would undo their work with its own, or keep what it should have undone.
"""

from __future__ import annotations

import sys
import threading
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING
from weakref import ref

from holdfast.errors import LockTimeoutError, TransactionError
from holdfast.forks import after_fork
from holdfast.records.transactions.iteration import iteration

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from holdfast.errors import HoldfastError
    from holdfast.records.driver import Driver, Session
    from holdfast.records.transactions.iteration import Iteration
    from holdfast.records.transactions.turns import Turns

inside: ContextVar[tuple[TransactionScope, ...]] = ContextVar("holdfast_transactions", default=())
"""The scopes that the running code is inside of, the innermost last."""
by_thread: dict[int, list[TransactionScope]] = {}
"""The blocking transactions that are open, by the thread that entered them."""

LOST_CONTEXT = (
    "Web frameworks run each plain `def` dependency and each plain `def` route in a copy of the "
    "context, and threads that are handed the steps of one generator do the same. Open the "
    "transaction in the route itself, or in an `async def` dependency, whose context it inherits"
)


class TransactionScope:
    """A transaction or a part of one, from its entry to its end."""

    driver: Driver
    scopes: Scopes
    session: Session

    def __init__(self) -> None:
        self.over = False
        self.failure: HoldfastError | None = None
        """What ended the scope: a read that failed, or what could not be undone."""
        self.entered_by: object = None
        self.cut_off = False
        """It ended elsewhere than in the context where it began, which goes on having it."""
        self._iteration: Iteration | None = None

    def check(self) -> None:
        """Raise TransactionError where nothing can be done in the scope."""
        raise NotImplementedError

    def enter_context(self) -> None:
        """Let the running context be inside, and what it starts."""
        self.entered_by = caller()
        self._iteration = iteration()
        inside.set((*inside.get(), self))

    def leave_context(self) -> bool:
        """Let the running context be outside; False when it never was inside."""
        scopes = inside.get()
        found = self in scopes
        if found:
            inside.set(tuple(scope for scope in scopes if scope is not self))
        self.cut_off = not found or self.entered_by != caller()
        return found

    def forgotten(self) -> bool:
        """Return whether the running code is inside by a leftover of its context alone.

        Code that has left an async generator by `break` is outside of its blocks at once, with
        all tasks that are started then; the event loop closes the generator later.
        """
        ended = self.over and self.cut_off
        if self._iteration is not None and (ended or self._iteration.abandoned()):
            return not self._iteration.runs_here()
        return ended and self.entered_by == caller()


class Scopes:
    """The open scopes of one transaction, the innermost last."""

    def __init__(self, outermost: TransactionScope, turns: Turns, patience: float) -> None:
        self.outermost = outermost
        self.turns = turns
        self.patience = patience
        """Seconds that a call waits for its turn."""
        self.stack: list[TransactionScope] = []
        self.ready: TransactionScope | None = None
        """The innermost scope, when nothing has to be looked at before a call in it."""
        self._watched = False

    def push(self, scope: TransactionScope) -> None:
        """Let *scope* be the innermost from here on."""
        self.stack.append(scope)
        self._set_ready()

    def watch(self) -> None:
        """Let each call look first whether it may go on."""
        self._watched = True
        self.ready = None

    def fail(self, scope: TransactionScope, failure: HoldfastError) -> None:
        """Let nothing but its end happen in *scope*, which then is undone."""
        scope.failure = scope.failure or failure
        self.watch()

    async def turn(self, scope: TransactionScope) -> None:
        """Return when *scope* is the innermost. To be called with the turns held.

        Raises LockTimeoutError when that takes longer than `patience`, and TransactionError when
        nothing can be done in *scope*.
        """
        scope.check()
        if self.stack[-1] is scope:
            return

        def ready() -> bool:
            return scope.over or self.stack[-1] is scope

        if not await self.turns.wait(ready, self.patience):
            raise LockTimeoutError(
                "a part of the transaction that another task or thread opened is still open after "
                f"{self.patience:g} s; does its block wait for this call, which waits for its end?"
            )
        scope.check()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Let the block alone use the connection, in several steps of its own.

        Raises what `turn` raises.
        """
        with self.turns.held:
            await self.turn(self.here())
            if self.turns.exclusive:
                yield
                return
        step = TransactionScope()
        self.push(step)
        try:
            yield
        finally:
            self.leave(step)

    def leave(self, scope: TransactionScope) -> list[TransactionScope]:
        """End *scope* and what is still open inside it; return the latter, the innermost first.

        Nothing is left to do where a scope around it ended meanwhile.
        """
        if scope not in self.stack:
            return []
        at = self.stack.index(scope)
        open_inside = self.stack[:at:-1]
        scope.over = True
        for each in open_inside:
            each.over = each.cut_off = True
        del self.stack[at:]
        self._set_ready()
        self.turns.notify()
        return open_inside

    def here(self) -> TransactionScope:
        """Return the innermost of the open ones that the running code is inside of."""
        for scope in reversed(inside.get()):
            if scope.scopes is self and not scope.over and not scope.forgotten():
                return scope
        return self.outermost

    def _set_ready(self) -> None:
        self.ready = self.stack[-1] if self.stack and not self._watched else None


def in_transaction() -> bool:
    """Return whether the running code is inside a transaction, of whatever store."""
    return any(not scope.over and not scope.forgotten() for scope in inside.get())


def scope_of(driver: Driver) -> TransactionScope | None:
    """Return the innermost scope of *driver* that the running code is inside of.

    Raises TransactionError in the thread of a blocking transaction whose context was lost.
    """
    for scope in reversed(inside.get()):
        if scope.driver is driver and not scope.forgotten():
            return scope
    if by_thread:
        for scope in by_thread.get(threading.get_ident(), ()):
            if scope.driver is driver and scope.entered_by == caller():
                raise TransactionError(
                    "a transaction is open in this thread, but this call runs in another context "
                    f"and would not be a part of it. {LOST_CONTEXT}. What is to happen beside a "
                    "transaction is done in another thread"
                )
    return None


def forked() -> None:
    """Let no transaction of the parent's go on in this process, a child of it."""
    by_thread.clear()
    for scope in inside.get():
        scope.scopes.watch()


after_fork(forked)


def why_undone(
    scope: TransactionScope, open_inside: Sequence[TransactionScope], *, found: bool
) -> str:
    """Return why *scope*, whose block ended well, is undone all the same; '' when it is not."""
    if scope.failure is not None:
        return f"something in it failed: {scope.failure}"
    if open_inside:
        return (
            "a part of it was still open: await the tasks that were started in it, and close its "
            "generators, by contextlib.aclosing"
        )
    if not found:
        return (
            "it was left in another context than it was entered in, and what was called in "
            f"between was not a part of it. {LOST_CONTEXT}"
        )
    return ""


def caller() -> object:
    """Return what tells the running task, or else the running thread, from others."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is not None and asyncio._get_running_loop() is not None:  # noqa: SLF001 - the public one raises where no loop runs
        task = asyncio.current_task()
        if task is not None:
            return ref(task)
    return threading.get_ident()


def note(reason: BaseException, failed: HoldfastError) -> None:
    """Tell with *reason*, which is raised, what else *failed*."""
    if type(failed) is not type(reason):
        reason.add_note(f"What was to be undone for it failed to be: {failed!r}")


def note_context(error: Exception) -> None:
    """Tell with *error* that its block was left in another context than it was entered in."""
    error.add_note(f"The transaction was left in another context than entered. {LOST_CONTEXT}.")
