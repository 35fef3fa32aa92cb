"""Calls handlers where they run: on the event loop, on a thread, in a child process; in time."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import Future
from typing import TYPE_CHECKING, cast

from holdfast.errors import JobTimeoutError
from holdfast.jobs.workers.handler import Raised, Returned, is_async
from holdfast.jobs.workers.handler_process import HandlerProcess
from holdfast.jobs.workers.handler_threads import HandlerThreads

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from holdfast.jobs.workers.context import Context
    from holdfast.jobs.workers.handler import Handler, HandlerOptions, Outcome
    from holdfast.jobs.workers.handler_process import SentHandler

_log = logging.getLogger("holdfast.jobs")
_GRACE = 5.0  # seconds that a cancelled function may take to tidy up


class HandlerExecutor:
    """What calls the handlers of one worker. *processes* is how many children it has at the most.

    A child is started when a job needs one and none is free, and kept for the next job. A job
    that finds all of them busy waits, with its lease renewed and its timeout not yet running.
    """

    def __init__(self, *, processes: int) -> None:
        self.abandoned = 0
        """How many functions go on although their jobs are over: they were told, and don't stop."""
        self._threads = HandlerThreads()
        self._places = asyncio.Semaphore(processes)
        self._free: list[HandlerProcess] = []

    async def call(self, handler: Handler, context: Context, options: HandlerOptions) -> Outcome:
        """Call *handler* in this process and return what came of it.

        Whatever it raises is an outcome, also what is not an Exception (SystemExit, a panic of an
        extension in Rust): one handler never ends its worker. Only the cancellation of the caller,
        and Ctrl-C in an async handler, are raised.
        """
        if not is_async(handler):
            future: Future[Outcome] = Future()
            self._threads.call(handler, context, future)
            return await self._in_time(asyncio.wrap_future(future), context, options)
        if options.timeout is None:
            return await _awaited(handler, context)
        task = asyncio.create_task(_awaited(handler, context))
        try:
            return await self._in_time(task, context, options)
        except asyncio.CancelledError:
            await _ended(task)
            raise

    async def call_in_process(
        self, handler: SentHandler, context: Context, options: HandlerOptions
    ) -> Outcome:
        """Call *handler*, see `sendable`, in a child process, which is killed at its timeout."""
        seconds = options.seconds
        async with self._places:
            child = await self._child()
            try:
                await child.ready()
                async with asyncio.timeout(seconds):
                    return await child.do(handler, context, memory=options.memory)
            except TimeoutError:
                if seconds is None:
                    raise
                return Raised(JobTimeoutError(seconds))
            finally:
                if child.fit and child.alive:
                    self._free.append(child)
                else:
                    await child.close()

    async def close(self) -> None:
        """End the children and the threads that are free; wait for none that is busy."""
        self._threads.close()
        while self._free:
            await self._free.pop().close()

    async def _child(self) -> HandlerProcess:
        while self._free:
            child = self._free.pop()
            if child.alive:
                return child
            await child.close()
        return await HandlerProcess.start()

    async def _in_time(
        self, work: asyncio.Future[Outcome], context: Context, options: HandlerOptions
    ) -> Outcome:
        """Return the outcome of *work*; at its timeout tell the handler, and cancel a coroutine."""
        seconds = options.seconds
        done, _ = await asyncio.wait({work}, timeout=seconds)
        if done or seconds is None:
            return work.result()
        context.ask_to_stop()
        if isinstance(work, asyncio.Task):
            await _ended(work)
        if not work.done():
            self._abandon(work, context)
        return Raised(JobTimeoutError(seconds))

    def _abandon(self, work: asyncio.Future[Outcome], context: Context) -> None:
        def over(_work: asyncio.Future[Outcome]) -> None:
            self.abandoned -= 1

        self.abandoned += 1
        work.add_done_callback(over)
        _log.error(
            "job %s (%s) is over its time and its handler does not stop; %d such go on here",
            context.job.id,
            context.job.task,
            self.abandoned,
        )


async def _awaited(handler: Handler, context: Context) -> Outcome:
    context.steps.enter()
    try:
        return Returned(await cast("Awaitable[object]", handler(context)))
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        return Raised(error)  # of something that the handler itself waited for
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - handed on, whatever it is
        return Raised(error)


async def _ended(task: asyncio.Task[Outcome]) -> None:
    """Cancel *task* and wait until it has tidied up, but not forever."""
    task.cancel()
    await asyncio.wait({task}, timeout=_GRACE)
