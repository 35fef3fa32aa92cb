"""Workers: claim jobs, run their handlers, keep the leases alive, write down what came of it."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
import secrets
import socket
import time
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from holdfast.errors import ConfigurationError, UnavailableError
from holdfast.jobs.history.figure_recording import writing_regularly
from holdfast.jobs.job_ends import FIGURES_EVERY
from holdfast.jobs.ready_jobs import CHANNEL
from holdfast.jobs.schedules.scheduler import Scheduler, scheduling
from holdfast.jobs.workers.claimed_ahead import ClaimedAhead
from holdfast.jobs.workers.handler import check_handlers
from holdfast.jobs.workers.job_runner import JobRunner
from holdfast.jobs.workers.lease_renewal import call_from_thread, set_within
from holdfast.jobs.workers.loop_watch import watching
from holdfast.jobs.workers.main_module import check_not_imported
from holdfast.jobs.workers.resident_memory import resident_memory
from holdfast.jobs.workers.worker_options import UNHURRIED, WorkerOptions
from holdfast.option_checks import check_kind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import timedelta

    from holdfast.jobs.claim import Claimed
    from holdfast.jobs.jobs import Jobs
    from holdfast.jobs.schedules.schedule import Schedule
    from holdfast.jobs.workers.handler import Handler
    from holdfast.jobs.workers.middleware import Middleware

_log = logging.getLogger("holdfast.jobs")

Until: TypeAlias = Literal["stopped", "idle", "one"]
_DEFAULTS = WorkerOptions()
_GRACE = 5.0  # seconds for a cancelled handler to tidy up, once the deadline is over


class Worker:
    """Runs the jobs of *jobs* by *handlers*, which are named by task.

    A handler is an async function, or a plain one, which is called on a thread, or either in a
    child process; see `HandlerOptions`. What it returns is the job's result, which is JSON. When
    it raises, the job is tried again after a backoff, unless it raises PermanentError. Each is
    called through *middleware*, the first of it outermost.

    Until it is stopped, a worker is a scheduler too: of the schedules in the store, and of
    *schedules*, which stand in code.

    Raises ConfigurationError for a handler that is no function, and for one that is to run in a
    process and can't be sent to one.
    """

    def __init__(
        self,
        jobs: Jobs,
        handlers: Mapping[str, Handler],
        *,
        options: WorkerOptions = _DEFAULTS,
        middleware: Sequence[Middleware] = (),
        schedules: Sequence[Schedule] = (),
    ) -> None:
        check_not_imported()
        check_handlers(handlers)
        check_kind(options, WorkerOptions)
        self.name = options.name or _own_name()
        self._jobs = jobs
        self._options = options
        self._runner = JobRunner(
            jobs, handlers, name=self.name, options=options, middleware=middleware
        )
        self._scheduler = Scheduler(jobs, schedules)
        tasks = self._runner.tasks if options.unknown == "leave" else None
        self._claims = ClaimedAhead(jobs, self.name, options, tasks)
        self._stopping = False
        self._deadline: float | None = None
        self._context = contextvars.copy_context()
        self._wake: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None
        self._ends_matter = True  # whether the end of a job may let another one be claimed
        self.outgrown = False
        """Whether it stopped because it had more than its memory: start another one."""

    @property
    def abandoned(self) -> int:
        """How many handlers go on although their jobs are over: they don't look at `cancelled`."""
        return self._runner.abandoned

    def stop(self, *, deadline: timedelta | None = None) -> None:
        """Claim no more: `run` returns when what runs is finished. Safe in threads, final.

        What is not finished at the *deadline*, counted from now, is put back into its queue at
        once, the attempt not counted. A later call sets another deadline; None is none.
        """
        self._deadline = None if deadline is None else time.monotonic() + deadline.total_seconds()
        self._stopping = True
        if self._wake is not None:
            loop, wake = self._wake
            call_from_thread(loop, wake.set)

    async def run(self, *, until: Until = "stopped") -> int:
        """Run jobs until `stop` is called, and return how many were run.

        Until "idle": return as soon as no job can be claimed and none runs; what is for later, in
        a paused queue or beyond a limit stays. Until "one": claim one job at the most. When `run`
        is cancelled, async handlers are cancelled, plain ones are asked to stop, and their jobs are
        taken up again when their leases have run out.
        """
        if until not in get_args(Until):
            expected = ", ".join(map(repr, get_args(Until)))
            raise ConfigurationError(f"until={until!r}: expected one of {expected}")
        if self._wake is not None:
            raise ConfigurationError("this worker runs already; make another one")
        wake = asyncio.Event()
        self._wake = asyncio.get_running_loop(), wake
        self._context = contextvars.copy_context()
        running: set[asyncio.Task[None]] = set()
        loop = asyncio.get_running_loop()
        patience = self._options.lease.total_seconds() / 3
        try:
            async with AsyncExitStack() as beside:
                beside.enter_context(watching(loop, patience, running=self._runner.running))
                await beside.enter_async_context(
                    writing_regularly(self._jobs.write_figures, every=FIGURES_EVERY)
                )
                if until == "stopped":
                    await beside.enter_async_context(scheduling(self._scheduler))
                    await beside.enter_async_context(
                        self._jobs.store.listening(CHANNEL, self._on_enqueued(wake))
                    )
                return await self._dispatch(until, running, wake)
        finally:
            self._wake = None
            await self._cancel(running)
            await self._runner.close()

    async def _dispatch(
        self, until: Until, running: set[asyncio.Task[None]], wake: asyncio.Event
    ) -> int:
        empty, claims = 0, self._claims
        before = claims.started
        start = partial(self._start, running, wake)
        while not self._stopping:
            wake.clear()
            room = 1 if until == "one" else claims.room()
            self._ends_matter = True
            quiet, found = not claims.busy, 0  # what ends from now on may bring others
            if room > 0:
                try:
                    self._ends_matter = until != "stopped" or await self._bounded()
                    found = await claims.find(room, ends=until != "stopped", start=start)
                except UnavailableError as error:
                    _log.warning("no job can be claimed now: %s", error)
                    empty = UNHURRIED
                else:
                    if until == "one" or (until == "idle" and not found and quiet):
                        break
                empty = 0 if found else empty + 1
            start()
            if found < room or room <= 0:
                pause = self._options.idle_pause(self._jobs.chance(), empty)
                await set_within(wake, pause if room > 0 else claims.patience)
            self._check_memory()
            await claims.put_back_the_late()
            _reap(running)
        if until == "one":
            start()
        await claims.put_back()
        await self._drain(running, wake)
        return claims.started - before

    async def _bounded(self) -> bool:
        """Return whether the end of a job may let another be claimed although there is room."""
        options = self._options
        if options.queue_concurrency or options.memory is not None:
            return True
        limits = await self._jobs.limits.known()
        return any(limits.concern(queue, self._runner.tasks) for queue in options.queues)

    def _on_enqueued(self, wake: asyncio.Event) -> Callable[[str | None], None]:
        """Return what wakes the worker when a queue of its own has a new job."""
        queues = frozenset(self._options.queues)

        def heard(queue: str | None) -> None:
            if queue is None or queue in queues:
                wake.set()

        return heard

    def _start(self, running: set[asyncio.Task[None]], wake: asyncio.Event) -> None:
        """Start what was claimed, as far as there is room."""

        def ended(task: asyncio.Task[None]) -> None:
            well = not task.cancelled() and task.exception() is None
            if well:
                running.discard(task)  # the others are for `_reap`
            if not well or self._ends_matter or self._stopping:
                wake.set()

        for claim in self._claims.to_start():
            task = asyncio.create_task(
                self._run(claim, running, wake), context=self._context.copy()
            )
            running.add(task)
            task.add_done_callback(ended)

    async def _run(
        self, claim: Claimed, running: set[asyncio.Task[None]], wake: asyncio.Event
    ) -> None:
        with self._claims.running(claim) as handled:

            def over() -> None:
                handled()
                if not self._stopping:
                    self._start(running, wake)  # while this one's end is written
                if self._ends_matter:
                    wake.set()

            await self._runner.run(claim, over)
        if claim.job.workflow_id is not None:
            self._claims.look_soon()
            wake.set()

    async def _drain(self, running: set[asyncio.Task[None]], wake: asyncio.Event) -> None:
        """Wait for what runs; at the deadline put it back."""
        while running:
            left = None if self._deadline is None else self._deadline - time.monotonic()
            if left is not None and left <= 0:
                await self._runner.put_back()
                return  # `run` cancels what is left
            wake.clear()
            _reap(running)
            if running:
                await set_within(wake, left)
                _reap(running)

    async def _cancel(self, running: set[asyncio.Task[None]]) -> None:
        """Cancel what runs and wait for its end: with a deadline, not for who ignores it."""
        for task in running:
            task.cancel()
        if running:
            grace = None if self._deadline is None else _GRACE
            done, left = await asyncio.wait(running, timeout=grace)
            await asyncio.gather(*done, return_exceptions=True)
            if left:
                _log.error("%d handlers go on although they were cancelled", len(left))

    def _check_memory(self) -> None:
        limit = self._options.memory
        if limit is not None and not self.outgrown and (used := resident_memory()) > limit:
            _log.warning("worker %s has %d bytes resident, and stops at %d", self.name, used, limit)
            self.outgrown = self._stopping = True


def _own_name() -> str:
    return f"{socket.gethostname()[:100]}:{os.getpid()}:{secrets.token_hex(4)}"


def _reap(running: set[asyncio.Task[None]]) -> None:
    """Take out the tasks that are done; raise what one of them raised, which is a bug."""
    for task in [task for task in running if task.done()]:
        running.discard(task)
        task.result()
