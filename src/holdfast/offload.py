"""Where blocking work runs: inline for the blocking API, on threads for the async one.

A driver is written once against `Offload`. `Inline` never suspends, which is what lets
`holdfast.blocking.run` step a coroutine by hand; `Threads` costs one hop there and one back.
"""

from __future__ import annotations

import asyncio
import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING, ParamSpec, Protocol, TypeVar

from holdfast.blocking import run
from holdfast.errors import LockTimeoutError
from holdfast.forks import after_fork

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

T = TypeVar("T")
P = ParamSpec("P")


class Lock(Protocol):
    """Mutual exclusion for callers of one offload."""

    async def acquire(self) -> None:
        """Wait for the lock. Raises LockTimeoutError when it is not granted in time."""
        ...

    def release(self) -> None:
        """Let the next caller have it."""
        ...


class Offload(Protocol):
    """Runs blocking functions for asynchronous callers."""

    async def run(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what *call* returns. A cancelled caller stops waiting; the call goes on."""
        ...

    def post(self, call: Callable[[], object]) -> None:
        """Run *call* after what was handed over before, without waiting; it must not raise."""
        ...

    async def all_of(
        self, calls: Sequence[Callable[[], Coroutine[object, None, T]]], *, at_once: int
    ) -> list[T]:
        """Return the results of *calls* in order, at most *at_once* of them under way.

        When one raises, no other is started, those under way are cancelled or awaited, and its
        error is raised.
        """
        ...

    def lock(self, timeout: float) -> Lock:
        """Return a new lock whose callers wait *timeout* seconds at the most."""
        ...

    def pause(self, timeout: float) -> bool:
        """Keep calls from running once the one that runs has ended, until `resume`.

        False when that takes longer than *timeout* seconds: then they go on. For the moment of a
        fork, whose child would find a call half done.
        """
        ...

    def resume(self) -> None:
        """Let calls run again, after a `pause` by the same thread that returned True."""
        ...

    def close(self) -> None:
        """Let calls already handed over finish; accept no more. Idempotent."""
        ...


class Inline:
    """Runs each call at once, in the caller's own thread."""

    async def run(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what *call* returns, called here and now."""
        return call(*args, **kwargs)

    def post(self, call: Callable[[], object]) -> None:
        """Call *call* here and now."""
        call()

    async def all_of(
        self, calls: Sequence[Callable[[], Coroutine[object, None, T]]], *, at_once: int
    ) -> list[T]:
        """Return the results of *calls*, each stepped to its end on one of *at_once* threads."""
        return all_on_threads(calls, at_once=at_once)

    def lock(self, timeout: float) -> Lock:
        """Return a lock among threads."""
        return ThreadLock(timeout)

    def pause(self, timeout: float) -> bool:  # noqa: ARG002 - nothing to wait for
        """Tell that nothing is held back: a call of another thread may be under way."""
        return False

    def resume(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """Nothing is held."""


class Serial(Inline):
    """Runs each call at once, in the caller's own thread, but never two at the same time."""

    def __init__(self) -> None:
        self._one_at_a_time = threading.RLock()

    def pause(self, timeout: float) -> bool:
        """See `Offload`."""
        return self._one_at_a_time.acquire(timeout=timeout)

    def resume(self) -> None:
        """See `Offload`."""
        self._one_at_a_time.release()

    async def run(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what *call* returns, called here, when no other call is under way."""
        with self._one_at_a_time:
            return call(*args, **kwargs)

    def post(self, call: Callable[[], object]) -> None:
        """Call *call* here, when no other call is under way."""
        with self._one_at_a_time:
            call()


class ThreadLock:
    """Excludes threads from one another; waiting blocks the thread."""

    def __init__(self, timeout: float) -> None:
        self._lock = threading.Lock()
        self._timeout = timeout

    async def acquire(self) -> None:
        """Wait for the lock, holding up the thread. Raises LockTimeoutError."""
        if not self._lock.acquire(timeout=self._timeout):
            raise LockTimeoutError(f"another thread holds the lock; waited {self._timeout} s")

    def release(self) -> None:
        """Let the next thread have it."""
        self._lock.release()


class TaskLock:
    """Excludes tasks from one another, first come first served."""

    def __init__(self, timeout: float) -> None:
        self._lock = asyncio.Lock()
        self._timeout = timeout

    async def acquire(self) -> None:
        """Wait for the lock while other tasks run. Raises LockTimeoutError."""
        if not self._lock.locked():
            await self._lock.acquire()
            return
        try:
            async with asyncio.timeout(self._timeout):
                await self._lock.acquire()
        except TimeoutError:
            raise LockTimeoutError(
                f"another task holds the lock; waited {self._timeout} s"
            ) from None

    def release(self) -> None:
        """Let the task that waits longest have it."""
        self._lock.release()


class Threads:
    """Runs calls on *count* dedicated daemon threads, in the order in which they were handed over.

    With one thread, calls never overlap: the thread can own what must not be shared. Those that
    *survive_forks* own nothing: the child of a fork gets threads of its own with its first call.
    """

    def __init__(self, name: str, *, count: int = 1, survive_forks: bool = False) -> None:
        self._name = name
        self._count = count
        self._closed = False
        self._start()
        if survive_forks:
            after_fork(self._forget_threads)

    async def run(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what *call* returns, called on one of the threads."""
        if self._closed:
            raise RuntimeError("these threads are closed")
        if not self._threads:
            self._start()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def work() -> None:
            try:
                result = call(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001 - handed to the caller, whatever it is
                _answer(loop, _fail, future, error)
            else:
                _answer(loop, _settle, future, result)

        self._calls.put(work)
        return await future

    def post(self, call: Callable[[], object]) -> None:
        """Hand *call* over to a thread and return at once."""
        if not self._threads:
            self._start()
        self._calls.put(call)

    async def all_of(
        self, calls: Sequence[Callable[[], Coroutine[object, None, T]]], *, at_once: int
    ) -> list[T]:
        """Return the results of *calls*, each in a task, at most *at_once* of them."""
        return await all_as_tasks(calls, at_once=at_once)

    def lock(self, timeout: float) -> Lock:
        """Return a lock among tasks of one event loop."""
        return TaskLock(timeout)

    def close(self) -> None:
        """Let calls already handed over finish, and end the threads."""
        if not self._closed:
            self._closed = True
            for _ in self._threads:
                self._calls.put(None)
            current = threading.current_thread()
            for thread in self._threads:
                if thread is not current:
                    thread.join()

    def pause(self, timeout: float) -> bool:
        """See `Offload`."""
        held: list[threading.RLock] = []
        for lock in self._running:
            if not lock.acquire(timeout=timeout):
                for each in held:
                    each.release()
                return False
            held.append(lock)
        return True

    def resume(self) -> None:
        """See `Offload`."""
        for lock in self._running:
            lock.release()

    def _start(self) -> None:
        self._calls: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._running = [threading.RLock() for _ in range(self._count)]
        self._threads = [
            threading.Thread(
                target=self._work,
                args=(self._calls, held),
                name=f"holdfast-{self._name}-{number}",
                daemon=True,
            )
            for number, held in enumerate(self._running)
        ]
        for thread in self._threads:
            thread.start()

    def _forget_threads(self) -> None:
        """Be without threads: those of the parent are not in the child, nor is their queue."""
        self._threads = []

    @staticmethod
    def _work(calls: SimpleQueue[Callable[[], object] | None], running: threading.RLock) -> None:
        while (call := calls.get()) is not None:
            with running:
                call()
            del call  # or the last result lives until the next call


async def all_as_tasks(
    calls: Sequence[Callable[[], Coroutine[object, None, T]]], *, at_once: int
) -> list[T]:
    """Return the results of *calls* in order, each in a task; see `Offload.all_of`."""
    if len(calls) <= 1:
        return [await call() for call in calls]
    results: dict[int, T] = {}
    waiting = iter(enumerate(calls))

    async def work() -> None:
        for position, call in waiting:
            results[position] = await call()

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(at_once, len(calls))):
                group.create_task(work())
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [results[position] for position in range(len(calls))]


def all_on_threads(
    calls: Sequence[Callable[[], Coroutine[object, None, T]]], *, at_once: int
) -> list[T]:
    """Return the results of *calls* in order, each stepped on a thread; see `Offload.all_of`."""
    if len(calls) <= 1 or at_once == 1:
        return [run(call()) for call in calls]
    failed = threading.Event()

    def one(call: Callable[[], Coroutine[object, None, T]]) -> T | None:
        if failed.is_set():
            return None
        try:
            return run(call())
        except BaseException:
            failed.set()
            raise

    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - few programs need it

    count = min(at_once, len(calls))
    with ThreadPoolExecutor(count, thread_name_prefix="holdfast-transfer") as pool:
        futures = [pool.submit(one, call) for call in calls]
    # The first failure in order is the cause; the others stopped because of it.
    for future in futures:
        error = future.exception()
        if error is not None:
            raise error
    return [future.result() for future in futures]  # type: ignore[misc]


def _answer(
    loop: asyncio.AbstractEventLoop,
    deliver: Callable[[asyncio.Future[T], object], None],
    future: asyncio.Future[T],
    outcome: object,
) -> None:
    try:
        loop.call_soon_threadsafe(deliver, future, outcome)
    except RuntimeError:
        if not loop.is_closed():  # a closed loop has nobody left who waits
            raise


def _settle(future: asyncio.Future[T], result: object) -> None:
    if not future.done():
        future.set_result(result)  # type: ignore[arg-type]


def _fail(future: asyncio.Future[T], error: object) -> None:
    if isinstance(error, StopIteration):  # which no future takes, as it would end a coroutine
        outer = RuntimeError("the call raised StopIteration")
        outer.__cause__ = error
        error = outer
    if not future.done():
        future.set_exception(error)  # type: ignore[arg-type]
