"""A pool of connections that is one semaphore and one stack.

SQLAlchemy's pool waits through a greenlet when it is awaited, and costs as much as the statement.
This one is written once for tasks and threads, gives out without suspending while there is a
connection, and knows of calls that were cancelled: what they left behind is decided before the
next write begins.
"""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from holdfast.errors import ConfigurationError, TransactionError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from holdfast.records.drivers.sql.server_executor import ServerExecutor

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PoolOptions:
    """What tunes the connections to a server. Times are in seconds; 0 is no limit, but for two.

    *pool_size* connections are kept and up to *max_overflow* more are opened when those are in
    use; who finds none waits *pool_timeout*, 0 not at all. A connection is replaced when it is
    older than *pool_recycle*; with *pool_pre_ping* it is tried before each use. *echo* logs each
    statement; those slower than *slow_statement* are logged as warnings, without their values.
    A statement waits *lock_timeout* for a lock, 0 not at all, and is stopped after
    *statement_timeout*.
    """

    pool_size: int = 5
    max_overflow: int = 10
    pool_timeout: float = 30.0
    pool_recycle: float = 0.0
    pool_pre_ping: bool = False
    echo: bool = False
    slow_statement: float = 0.0
    connect_timeout: float = 10.0
    lock_timeout: float = 60.0
    statement_timeout: float = 0.0

    def check(self) -> None:
        """Raise ConfigurationError for a number that makes no sense."""
        if self.pool_size < 1:
            raise ConfigurationError(f"pool_size={self.pool_size}: expected 1 or more")
        for name in (
            "max_overflow", "pool_timeout", "pool_recycle", "slow_statement",
            "connect_timeout", "lock_timeout", "statement_timeout",
        ):  # fmt: skip
            if getattr(self, name) < 0:
                raise ConfigurationError(f"{name}={getattr(self, name)}: expected 0 or more")


class Slots(Protocol):
    """As many as there may be connections."""

    async def acquire(self) -> bool:
        """Take one; False when none was free in time."""
        ...

    def release(self) -> None: ...


class TaskSlots:
    """Slots for the tasks of one event loop, first come first served."""

    def __init__(self, count: int, timeout: float) -> None:
        self._semaphore = asyncio.Semaphore(count)
        self._timeout = timeout

    async def acquire(self) -> bool:
        if not self._semaphore.locked():
            return await self._semaphore.acquire()
        try:
            async with asyncio.timeout(self._timeout):
                return await self._semaphore.acquire()
        except TimeoutError:
            return False

    def release(self) -> None:
        self._semaphore.release()


class ThreadSlots:
    """Slots for threads."""

    def __init__(self, count: int, timeout: float) -> None:
        self._semaphore = threading.Semaphore(count)
        self._timeout = timeout

    async def acquire(self) -> bool:
        return self._semaphore.acquire(timeout=self._timeout)

    def release(self) -> None:
        self._semaphore.release()


class Pool:
    """Connections with their verbs. *shielded*: its driver can't be stopped within a statement."""

    def __init__(
        self,
        connect: Callable[[], Awaitable[ServerExecutor]],
        options: PoolOptions,
        *,
        blocking: bool,
        shielded: bool,
    ) -> None:
        self._connect = connect
        self._options = options
        self._blocking = blocking
        self._shielded = shielded
        most = options.pool_size + options.max_overflow
        self._slots: Slots = (ThreadSlots if blocking else TaskSlots)(most, options.pool_timeout)
        self._idle: list[ServerExecutor] = []
        self._undecided: set[asyncio.Future[None]] = set()
        self._closed = False

    def gauges(self) -> dict[str, float]:
        """Return how many connections are idle."""
        return {"idle": len(self._idle)}

    async def adopt(self, rows: ServerExecutor) -> None:
        """Take in a connection that was opened before the pool was."""
        await self._slots.acquire()
        self.release(rows)

    async def acquire(self, *, fresh: bool = False) -> ServerExecutor:
        """Return a connection that nobody else has, a new one when *fresh*.

        Raises UnavailableError when none is free in time, or the server can't be reached.
        """
        if not await self._slots.acquire():
            options = self._options
            raise UnavailableError(
                f"all {options.pool_size + options.max_overflow} connections were in use for "
                f"{options.pool_timeout} s; see pool_size, max_overflow and pool_timeout"
            )
        if self._closed:
            self._slots.release()
            raise TransactionError("the store is not open: use it in `async with`")
        try:
            if fresh:
                self._abandon_idle()
            while self._idle:
                rows = self._idle.pop()
                if await self._usable(rows):
                    return rows
                rows.connection.abandon()
            return await self._connect()
        except BaseException:
            self._slots.release()
            raise

    def release(self, rows: ServerExecutor) -> None:
        """Give back a connection on which nothing is under way."""
        if rows.lost or self._closed or len(self._idle) >= self._options.pool_size:
            rows.connection.abandon()
        else:
            self._idle.append(rows)
        self._slots.release()

    def failed(self, rows: ServerExecutor, error: BaseException) -> None:
        """Give back a connection on which a call raised *error*."""
        if isinstance(error, Exception):
            self.release(rows)
        elif self._blocking:
            rows.connection.abandon()
            self._slots.release()
        else:
            self.later(self._settle(rows))

    def later(self, work: Coroutine[object, object, None]) -> None:
        """Do *work*, which decides what a cancelled call left, before the next write begins."""
        task = asyncio.ensure_future(work)
        self._undecided.add(task)
        task.add_done_callback(self._undecided.discard)

    async def decided(self) -> None:
        """Return when nothing of cancelled calls is under way."""
        while self._undecided:
            await asyncio.wait(tuple(self._undecided))

    async def use(self, rows: ServerExecutor, work: Callable[[ServerExecutor], Awaitable[T]]) -> T:
        if not self._shielded:
            return await work(rows)
        task = asyncio.ensure_future(work(rows))
        rows.under_way = task
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Let go of all connections that are not in use; the others follow when they come back."""
        self._closed = True
        await self.decided()
        idle, self._idle = self._idle, []
        for rows in idle:
            await rows.connection.close()

    def _abandon_idle(self) -> None:
        """Where one connection was dead the others are not trusted either."""
        idle, self._idle = self._idle, []
        for rows in idle:
            rows.connection.abandon()

    async def _usable(self, rows: ServerExecutor) -> bool:
        recycle = self._options.pool_recycle
        if rows.connection.stale() or (recycle and time.monotonic() - rows.born > recycle):
            return False
        return not self._options.pool_pre_ping or await rows.alive()

    async def _settle(self, rows: ServerExecutor) -> None:
        try:
            if rows.under_way is not None and not rows.under_way.done():
                await asyncio.wait((rows.under_way,))
            await rows.forget()
        finally:
            self.release(rows)
