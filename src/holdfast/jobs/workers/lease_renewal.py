"""Keeps the leases of running jobs alive, and writes what their handlers report meanwhile."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from functools import partial
from typing import TYPE_CHECKING

from holdfast.correlation import current_job_id
from holdfast.errors import HoldfastError, LeaseLostError
from holdfast.jobs.workers.context import Context

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import timedelta

    from holdfast.jobs.claim import Claimed
    from holdfast.jobs.jobs import Jobs

_log = logging.getLogger("holdfast.jobs")
_REPORT_EVERY = 0.2  # seconds, at least, between two writes of one job's progress


class LeaseRenewal:
    """The running jobs of one worker, each renewed from a third of its *lease* on.

    A job that is over before that costs neither a task nor a timer: one timer is set for all, at
    the time of the job that was started first.
    """

    def __init__(self, jobs: Jobs, lease: timedelta) -> None:
        self._jobs = jobs
        self._third = lease.total_seconds() / 3
        self._due: dict[Context, float] = {}  # by when; one job twice, when its lease ran out here
        self._beating: dict[Context, tuple[asyncio.Event, asyncio.Task[None]]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._variables = contextvars.copy_context()  # and not those of the job that comes first

    @property
    def running(self) -> Collection[Context]:
        """The contexts of the jobs that run now."""
        return tuple(self._due)

    def begin(self, claim: Claimed) -> Context:
        """Return the context of a job that begins to run; see `end`."""
        loop = self._loop = asyncio.get_running_loop()
        context = Context(self._jobs, claim, self._reported)
        due = self._due[context] = loop.time() + self._third
        if self._timer is None:
            self._timer = loop.call_at(due, self._renew_due)
        return context

    async def end(self, context: Context) -> None:
        """Renew the job no longer. Raises what is a bug in renewing it."""
        del self._due[context]
        if not self._due and self._timer is not None:
            self._timer.cancel()
            self._timer = None
        beating = self._beating.pop(context, None)
        if beating is not None:
            _, task = beating
            task.cancel()
            await asyncio.wait({task})
            if not task.cancelled():
                task.result()

    # --- parts ------------------------------------------------------------------------------

    def _reported(self, context: Context) -> None:
        """Have what was just reported written soon; called from any thread."""
        if self._loop is not None:
            call_from_thread(self._loop, partial(self._beat, context))

    def _renew_due(self) -> None:
        assert self._loop is not None
        self._timer, now = None, self._loop.time()
        for context, due in self._due.items():
            if due > now:
                self._timer = self._loop.call_at(due, self._renew_due)
                return
            if context not in self._beating:
                self._beat(context)

    def _beat(self, context: Context) -> None:
        """Let the lease be renewed from now on; what is reported is written with it."""
        beating = self._beating.get(context)
        if beating is not None:
            beating[0].set()
        elif context in self._due:
            assert self._loop is not None
            reported = asyncio.Event()
            self._beating[context] = (
                reported,
                self._loop.create_task(
                    self._keep_alive(context, reported), context=self._variables.copy()
                ),
            )

    async def _keep_alive(self, context: Context, reported: asyncio.Event) -> None:
        """Renew the lease now and at each third of it, and write progress as it is reported."""
        current_job_id.set(str(context.job.id))
        while True:
            reported.clear()
            try:
                await self._renew(context)
            except LeaseLostError:
                context.lose()
                return
            except HoldfastError as error:
                _log.warning("job %s: the lease can't be renewed now: %s", context.job.id, error)
            await asyncio.sleep(min(_REPORT_EVERY, self._third / 2))
            await set_within(reported, self._third)

    async def _renew(self, context: Context) -> None:
        report = context.take_report()
        if report is None:
            context.observe(await self._jobs.heartbeat(context.claim))
        else:
            context.observe(await self._jobs.progress(context.claim, *report))
        await context.write_lines()


async def set_within(event: asyncio.Event, seconds: float | None) -> None:
    """Wait for *event*, *seconds* at the most."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return


def call_from_thread(loop: asyncio.AbstractEventLoop, call: Callable[[], object]) -> None:
    """Let *loop* do *call*, from any thread; nothing where it is closed."""
    try:
        loop.call_soon_threadsafe(call)
    except RuntimeError:
        if not loop.is_closed():  # a function that outlives its worker reports to nobody
            raise
