"""A pool of connections that is a count of slots and one stack.

SQLAlchemy's pool waits through a greenlet when it is awaited, and costs as much as the statement.
This one is written once for tasks and threads, gives out without suspending while there is a
connection, and knows of calls that were cancelled: what they left behind is decided before the
next write begins.

Where a cancelled call leaves its connection. Three things can be going on when a caller is
cancelled, and none of them may let a connection back with work on it:

1. It waits for a slot: that goes to somebody else, and no connection is touched.
   Or for a new connection: that is made all the same, and then lies idle for somebody else. To
   stop asyncpg in the middle leaves failures behind that nobody looks at.
2. It waits for a statement that the driver can stop (asyncpg tells the server to cancel it). The
   statement may have been done all the same, so `failed` hands the connection to a task that rolls
   back whatever is open, and releases it after that.
3. It waits for a statement that the driver can't stop (asyncmy would lose its place in the answers;
   `shielded`). The statement runs to its end in a task of its own, `executor.under_way`; the same
   task as in 2 waits for that first.

Until that task is done the slot stays taken, and `decided` keeps the next write back: so a write
that follows a cancelled one sees what became of it.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol, TypeVar

from holdfast.errors import TransactionError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from holdfast.records.drivers.sql.executors.server_executor import ServerExecutor
    from holdfast.records.options import PoolOptions

T = TypeVar("T")


class Slots(Protocol):
    """As many as there may be connections."""

    waiting: int
    """How many callers wait for one."""

    def take(self) -> bool:
        """Take one that is free now; False when there is none, or others wait for it."""
        ...

    async def acquire(self) -> bool:
        """Take one; False when none was free in time."""
        ...

    def release(self) -> None:
        """Give one back."""
        ...


class TaskSlots:
    """Slots for the tasks of one event loop, first come first served.

    All wait for the same time, so who came first gives up first, and one timer does for all;
    asyncio's timeouts and semaphore cost a busy pool a sixth of each `get`.
    """

    def __init__(self, count: int, timeout: float) -> None:
        self._free = count
        self._timeout = timeout
        self._line: deque[tuple[asyncio.Future[bool], float]] = deque()
        """Who waits, and until when; those who were cancelled are passed over in their turn."""
        self._timer: asyncio.TimerHandle | None = None
        self.waiting = 0

    def take(self) -> bool:
        """See `Slots`. One is free only while nobody waits: it is handed on."""
        if not self._free:
            return False
        self._free -= 1
        return True

    async def acquire(self) -> bool:
        """See `Slots`."""
        if self.take():
            return True
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[bool] = loop.create_future()
        until = loop.time() + self._timeout
        self._line.append((turn, until))
        if self._timer is None:
            self._timer = loop.call_at(until, self._give_up)
        self.waiting += 1
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.result():
                self.release()  # it was handed over just before
            raise
        finally:
            self.waiting -= 1

    def _give_up(self) -> None:
        """Tell those whose time is over, and look again when the next one's is."""
        loop = asyncio.get_running_loop()
        self._timer = None
        while self._line:
            turn, until = self._line[0]
            if not turn.done():
                if until > loop.time():
                    self._timer = loop.call_at(until, self._give_up)
                    return
                turn.set_result(False)
            self._line.popleft()

    def release(self) -> None:
        """See `Slots`."""
        while self._line:
            turn, _ = self._line.popleft()
            if not turn.done():
                turn.set_result(True)
                return
        self._free += 1


class ThreadSlots:
    """Slots for threads."""

    def __init__(self, count: int, timeout: float) -> None:
        self._semaphore = threading.Semaphore(count)
        self._timeout = timeout
        self._counting = threading.Lock()
        self.waiting = 0

    def take(self) -> bool:
        """See `Slots`."""
        return self._semaphore.acquire(blocking=False)

    async def acquire(self) -> bool:
        """See `Slots`."""
        if self.take():
            return True
        with self._counting:
            self.waiting += 1
        try:
            return self._semaphore.acquire(timeout=self._timeout)
        finally:
            with self._counting:
                self.waiting -= 1

    def release(self) -> None:
        """See `Slots`."""
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
        self._connecting: set[asyncio.Future[ServerExecutor]] = set()
        self._timer: asyncio.TimerHandle | threading.Timer | None = None
        self._closed = False
        self._opened = self._ended = self._lost = 0

    async def adopt(self, executor: ServerExecutor) -> None:
        """Take in a connection that was opened before the pool was."""
        await self._slots.acquire()
        self._opened += 1
        self.release(executor)

    async def acquire(self, *, fresh: bool = False) -> ServerExecutor:
        """Return a connection that nobody else has, a new one when *fresh*.

        Raises UnavailableError when none is free in time, or the server can't be reached.
        """
        if not self._slots.take() and not await self._slots.acquire():
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
                executor = self._idle.pop()
                if self._usable(executor) and (
                    not self._options.pool_pre_ping or await self._answers(executor)
                ):
                    return executor
                self._abandon(executor)
        except BaseException:
            self._slots.release()
            raise
        return await self._new()

    async def _new(self) -> ServerExecutor:
        """Return a new connection for a slot that is taken; the slot is free when there is none."""
        connecting = self._connect()
        task = None if self._blocking else asyncio.ensure_future(connecting)
        try:
            made = await (connecting if task is None else asyncio.shield(task))
        except asyncio.CancelledError:
            if task is None:
                self._slots.release()
            else:
                self._connecting.add(task)
                task.add_done_callback(self._arrived)
            raise
        except BaseException:
            self._slots.release()
            raise
        self._opened += 1
        return made

    def _arrived(self, task: asyncio.Future[ServerExecutor]) -> None:
        """Take in what was made for a caller who was cancelled."""
        self._connecting.discard(task)
        if task.cancelled() or task.exception() is not None:
            self._slots.release()
        else:
            self._opened += 1
            self.release(task.result())

    def release(self, executor: ServerExecutor) -> None:
        """Give back a connection on which nothing is under way.

        Beyond `pool_size` it is closed when nobody uses it for `idle_timeout` seconds.
        """
        options = self._options
        surplus = len(self._idle) >= options.pool_size
        if executor.lost or self._closed or (surplus and not options.idle_timeout):
            self._abandon(executor)
        else:
            executor.idle_since = time.monotonic()
            self._idle.append(executor)
            if surplus and self._timer is None:
                self._prune_after(options.idle_timeout)
        self._slots.release()

    def _prune_after(self, seconds: float) -> None:
        if self._blocking:
            timer = threading.Timer(seconds, self._prune)
            timer.daemon = True
            self._timer = timer
            timer.start()
        else:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._prune)

    def _prune(self) -> None:
        """Close what is beyond `pool_size` and was not used for long; look again for the rest."""
        self._timer = None
        idle, options = self._idle, self._options
        while len(idle) > options.pool_size and not self._closed:
            (oldest,) = idle[:1] or (None,)
            if oldest is None:
                return
            left = oldest.idle_since + options.idle_timeout - time.monotonic()
            if left > 0:
                self._prune_after(left)
                return
            with suppress(ValueError):  # another thread may have taken it meanwhile
                idle.remove(oldest)
                self._abandon(oldest)

    def failed(self, executor: ServerExecutor, error: BaseException) -> None:
        """Give back a connection on which a call raised *error*, now or when all is decided."""
        if isinstance(error, Exception):
            self.release(executor)
        elif self._blocking:
            # A thread that was interrupted: nobody will read the rest of the answer.
            self._abandon(executor)
            self._slots.release()
        else:
            self.later(self._settle(executor))

    def later(self, work: Coroutine[object, object, None]) -> None:
        """Do *work*, which decides what a cancelled call left, before the next write begins."""
        task = asyncio.ensure_future(work)
        self._undecided.add(task)
        task.add_done_callback(self._undecided.discard)

    async def decided(self) -> None:
        """Return when nothing of cancelled calls is under way."""
        while self._undecided:
            await asyncio.wait(tuple(self._undecided))

    def use(self, executor: ServerExecutor, running: Coroutine[object, object, T]) -> Awaitable[T]:
        """Return what awaits *running*, a call on *executor*, to its end where it must."""
        if not self._shielded:
            return running
        task = asyncio.ensure_future(running)
        executor.under_way = task
        return asyncio.shield(task)

    async def close(self) -> None:
        """Let go of all connections that are not in use; the others follow when they come back.

        Also when one of them fails to close, and when the caller is cancelled.
        """
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        try:
            await self.decided()
            if self._connecting:
                await asyncio.wait(tuple(self._connecting))
            while self._idle:
                executor = self._idle.pop()
                self._ended += 1
                try:
                    await executor.connection.close()
                except BaseException:
                    executor.connection.abandon()
                    raise
        finally:
            self._abandon_idle()

    def gauges(self) -> dict[str, float]:
        """Return how many connections are open and idle, and how many callers wait for one."""
        return {
            "connections_open": self._opened - self._ended,
            "connections_idle": len(self._idle),
            "connections_waiting": self._slots.waiting,
        }

    def counters(self) -> dict[str, float]:
        """Return how many connections were opened so far, and how many of them were lost."""
        return {"connections_opened": self._opened, "connections_lost": self._lost}

    def _abandon(self, executor: ServerExecutor) -> None:
        self._ended += 1
        self._lost += executor.lost
        executor.connection.abandon()

    def _abandon_idle(self) -> None:
        """Where one connection was dead the others are not trusted either."""
        idle, self._idle = self._idle, []
        for executor in idle:
            self._abandon(executor)

    def _usable(self, executor: ServerExecutor) -> bool:
        if executor.connection.stale():
            executor.lost = True
            return False
        recycle = self._options.pool_recycle
        return not recycle or time.monotonic() - executor.born <= recycle

    async def _answers(self, executor: ServerExecutor) -> bool:
        try:
            alive = await executor.alive()
        except BaseException:
            self._abandon(executor)
            raise
        executor.lost = not alive
        return alive

    async def _settle(self, executor: ServerExecutor) -> None:
        """Wait for what goes on of a cancelled call, undo what it left, and give it back."""
        try:
            if executor.under_way is not None and not executor.under_way.done():
                await asyncio.wait((executor.under_way,))
            await executor.forget()
        finally:
            self.release(executor)
