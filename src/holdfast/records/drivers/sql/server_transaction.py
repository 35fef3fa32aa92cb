"""A transaction on a server: all calls on one connection, whole even when one is cancelled."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from holdfast.errors import HoldfastError, UnavailableError
from holdfast.records.drivers.sql.executors.server_executor import ServerExecutor
from holdfast.records.drivers.sql.sqlalchemy_bridge.borrowed_connection import BorrowedConnection
from holdfast.records.drivers.sql.sqlalchemy_bridge.engines import engine_for
from holdfast.records.transactions.session import VerbSession

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence

    from holdfast.records.drivers.sql.connections.pool import Pool

T = TypeVar("T")
P = ParamSpec("P")


async def begin_on(
    pool: Pool,
    statements: Sequence[str],
    *,
    blocking: bool,
    wrote: Callable[[], None] | None = None,
) -> ServerTransaction:
    """Begin a transaction, on a new connection when the first one turns out to be dead.

    *wrote* is called when it has been committed. Raises UnavailableError.
    """
    for fresh in (False, True):
        executor = await pool.acquire(fresh=fresh)
        try:
            await pool.use(executor, executor.begin(statements))
        except BaseException as error:
            pool.failed(executor, error)
            if fresh or not executor.lost or not isinstance(error, UnavailableError):
                raise
        else:
            return ServerTransaction(pool, executor, blocking=blocking, wrote=wrote)
    raise AssertionError("unreachable: a fresh connection begins or raises")


class ServerTransaction(VerbSession[ServerExecutor]):
    """All calls are one transaction on one connection.

    A call whose caller stops waiting goes on to its end, and the next one waits for that: so the
    transaction stays whole. Calls of several tasks take turns.
    """

    def __init__(
        self,
        pool: Pool,
        executor: ServerExecutor,
        *,
        blocking: bool,
        wrote: Callable[[], None] | None = None,
    ) -> None:
        self._pool = pool
        self._wrote = wrote
        self.executor = type(executor)
        self._on = executor
        self._blocking = blocking
        self._depth = 0
        self._under_way: asyncio.Future[Any] | None = None
        self._one_at_a_time = threading.RLock()

    async def read(
        self,
        verb: Callable[Concatenate[ServerExecutor, P], Coroutine[object, object, T]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Return what *verb* returns, done in this transaction."""
        return await self._whole(verb(self._on, *args, **kwargs))

    write = read

    def lend(self) -> BorrowedConnection:
        """Return the connection as SQLAlchemy borrows it, not open yet."""
        executor = self._on

        def meaning(error: BaseException) -> BaseException | None:
            return executor.error_of(error) if isinstance(error, Exception) else None

        whole = None if self._blocking else self._whole
        engine = engine_for(executor.connection, whole)
        return BorrowedConnection(engine, before=executor.intruded, meaning=meaning)

    async def commit(self) -> None:
        """See `DriverTransaction`."""
        try:
            await self._whole(self._end(self._on.commit()))
        finally:
            if self._wrote is not None:
                self._wrote()

    async def rollback(self) -> None:
        """See `DriverTransaction`."""

        async def undo() -> None:
            if not self._on.lost:
                await self._on.rollback()

        await self._whole(self._end(undo()))

    async def savepoint(self) -> None:
        """See `DriverTransaction`.

        A caller that stops waiting never entered it; a savepoint too many does no harm, as the
        next one of this depth has its name and hides it.
        """
        depth = self._depth + 1
        await self._whole(self._on.savepoint(depth))
        self._depth = depth

    async def release(self) -> None:
        """See `DriverTransaction`."""
        depth, self._depth = self._depth, self._depth - 1
        await self._whole(self._on.release(depth))

    async def rollback_to(self) -> None:
        """See `DriverTransaction`."""
        depth, self._depth = self._depth, self._depth - 1
        await self._whole(self._on.rollback_to(depth))

    async def _end(self, work: Coroutine[object, object, None]) -> None:
        try:
            await work
        except BaseException as error:
            if not isinstance(error, HoldfastError):
                self._on.lost = True  # nobody knows where it stands
            raise
        finally:
            self._pool.release(self._on)

    async def _whole(self, work: Awaitable[T]) -> T:
        """Do *work* after what is under way, to its end, also when the caller stops waiting."""
        if self._blocking:
            with self._one_at_a_time:
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
                self._pool.later(_ended(task))
            raise


async def _ended(task: asyncio.Future[T]) -> None:
    """Return when *task* has ended, however it did."""
    await asyncio.wait((task,))
    if not task.cancelled():
        task.exception()  # looked at, or asyncio complains that nobody did
