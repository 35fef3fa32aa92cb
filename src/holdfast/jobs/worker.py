"""Workers: claim jobs, run their handlers, keep the leases alive, write down what came of it."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Literal, TypeAlias

from holdfast.acting import acting_as
from holdfast.correlation import current_job_id
from holdfast.errors import (
    ConfigurationError,
    HoldfastError,
    InvalidValueError,
    JobCancelledError,
    LeaseLostError,
    PermanentError,
    UnavailableError,
)
from holdfast.jobs.context import Context
from holdfast.jobs.handler import Raised, Returned, call
from holdfast.jobs.job import JobStatus
from holdfast.jobs.job_spans import doing
from holdfast.jobs.jobs import LEASE
from holdfast.jobs.options import check_queues

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.jobs.claim import Claimed
    from holdfast.jobs.handler import Handler, Outcome
    from holdfast.jobs.jobs import Jobs

_log = logging.getLogger("holdfast.jobs")

Until: TypeAlias = Literal["stopped", "idle", "one"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """What tunes a worker; *queues* are served in the order given.

    *concurrency* is how many jobs run at once. An idle worker looks for work every *poll*, give
    or take a half. *name* stands in each job that it claims; the default is made of host, process
    and random digits.
    """

    queues: tuple[str, ...] = ("default",)
    concurrency: int = 1
    lease: timedelta = LEASE
    poll: timedelta = timedelta(seconds=1)
    name: str | None = None

    def __post_init__(self) -> None:
        check_queues(self.queues)
        if self.concurrency < 1:
            raise ConfigurationError(f"concurrency={self.concurrency}: expected 1 or more")
        for name, value in (("lease", self.lease), ("poll", self.poll)):
            if not isinstance(value, timedelta):
                raise ConfigurationError(
                    f"{name}={value!r}: expected a timedelta such as timedelta(seconds=1)"
                )
            if value <= timedelta(0):
                raise ConfigurationError(f"{name}={value}: expected a positive time")


_DEFAULTS = WorkerOptions()
_REPORT_EVERY = 0.2  # seconds, at least, between two writes of one job's progress


class Worker:
    """Runs the jobs of *jobs* by *handlers*, which are named by task.

    A handler is an async function, or a plain one, which is called on a thread. What it returns is
    the job's result, which is JSON. When it raises, the job is tried again after a backoff, unless
    it raises PermanentError.
    """

    def __init__(
        self, jobs: Jobs, handlers: Mapping[str, Handler], *, options: WorkerOptions = _DEFAULTS
    ) -> None:
        self.name = options.name or _own_name()
        self._jobs = jobs
        self._handlers = dict(handlers)
        self._options = options
        self._stopping = False
        self._wake: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None

    def stop(self) -> None:
        """Claim no more: `run` returns when what runs is finished. Safe in threads, final."""
        self._stopping = True
        if self._wake is not None:
            _set_from_thread(*self._wake)

    async def run(self, *, until: Until = "stopped") -> int:
        """Run jobs until `stop` is called, and return how many were run.

        Until "idle": return as soon as no job is due and none runs. Until "one": claim one job at
        the most. When `run` is cancelled, async handlers are cancelled, plain ones are asked to
        stop, and their jobs are taken up again when their leases have run out.
        """
        if self._wake is not None:
            raise ConfigurationError("this worker runs already; make another one")
        wake = asyncio.Event()
        self._wake = asyncio.get_running_loop(), wake
        running: set[asyncio.Task[None]] = set()
        try:
            return await self._dispatch(until, running, wake)
        finally:
            self._wake = None
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _dispatch(
        self, until: Until, running: set[asyncio.Task[None]], wake: asyncio.Event
    ) -> int:
        count = 0
        while not self._stopping:
            full = len(running) >= self._options.concurrency
            if not full:
                try:
                    claimed = await self._claim()
                except UnavailableError as error:
                    _log.warning("no job can be claimed now: %s", error)
                else:
                    if claimed is not None:
                        running.add(asyncio.create_task(self._execute(claimed)))
                        count += 1
                    if until == "one" or (until == "idle" and claimed is None and not running):
                        break
                    if claimed is not None:
                        continue
            await _first_of(running, wake, None if full else self._pause())
            _reap(running)
        while running:
            await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            _reap(running)
        return count

    async def _claim(self) -> Claimed | None:
        options = self._options
        return await self._jobs.claim(self.name, queues=options.queues, lease=options.lease)

    def _pause(self) -> float:
        return self._options.poll.total_seconds() * (0.5 + self._jobs.chance())

    async def _execute(self, claimed: Claimed) -> None:
        """Run one job to its end."""
        job = claimed.job
        current_job_id.set(str(job.id))  # in the task of this job, and in what it starts
        handler = self._handlers.get(job.task)
        loop, reported = asyncio.get_running_loop(), asyncio.Event()
        context = Context(self._jobs, claimed, lambda: _set_from_thread(loop, reported))
        beating = asyncio.create_task(self._keep_alive(context, reported))
        try:
            if handler is None:
                known = ", ".join(sorted(self._handlers)) or "none"
                reason = f"no handler for the task {job.task!r}; worker {self.name} knows: {known}"
                outcome: Outcome = Raised(PermanentError(reason))
            else:
                with doing(job) as failed, acting_as(f"job {job.id}", reason=job.task):
                    outcome = await call(handler, context)
                    if isinstance(outcome, Raised):
                        failed(outcome.error)
            await self._settle(context, outcome)
        except asyncio.CancelledError:
            context.lose()  # for a plain function that goes on, on its thread
            raise
        finally:
            beating.cancel()
            await asyncio.wait({beating})
        if not beating.cancelled():
            beating.result()  # raises what is a bug

    async def _keep_alive(self, context: Context, reported: asyncio.Event) -> None:
        """Renew the lease at each third of it, and write down progress as it is reported."""
        third = self._options.lease.total_seconds() / 3
        while True:
            await _set_within(reported, third)
            reported.clear()
            try:
                await self._beat(context)
            except LeaseLostError:
                context.lose()
                return
            except HoldfastError as error:
                _log.warning("job %s: the lease can't be renewed now: %s", context.job.id, error)
            await asyncio.sleep(min(_REPORT_EVERY, third / 2))

    async def _beat(self, context: Context) -> None:
        report = context.take_report()
        if report is None:
            context.observe(await self._jobs.heartbeat(context.claim))
        else:
            context.observe(await self._jobs.progress(context.claim, *report))

    async def _settle(self, context: Context, outcome: Outcome) -> None:
        """Write down what came of the job; while the store is out of reach, try again."""
        while True:
            try:
                await self._write_down(context, outcome)
            except LeaseLostError:
                context.lose()
                _log.warning(
                    "job %s (%s): the lease was lost, so its outcome is discarded",
                    context.job.id,
                    context.job.task,
                )
            except UnavailableError as error:
                _log.warning("job %s can't be ended now: %s", context.job.id, error)
                if not context.lease_lost:
                    await asyncio.sleep(self._pause())
                    continue
            except HoldfastError:
                # The store refuses. The worker goes on; the job is taken up when its lease is over.
                _log.exception("job %s (%s) can't be ended", context.job.id, context.job.task)
            return

    async def _write_down(self, context: Context, outcome: Outcome) -> None:
        jobs, claim = self._jobs, context.claim
        if context.completed:
            stored = await jobs.get(context.job.id)
            if stored is not None and stored.status is JobStatus.SUCCEEDED:
                return  # and not rolled back again
        report = context.take_report()
        if report is not None:
            await jobs.progress(claim, *report)
        match outcome:
            case Returned(value):
                try:
                    await jobs.complete(claim, value)
                except InvalidValueError as error:
                    # The work is done; doing it once more would not better its result.
                    await jobs.fail(claim, f"the handler's result: {error}", retry=False)
            case Raised(JobCancelledError()):
                await jobs.stopped(claim)
            case Raised(error):
                _log.info("job %s (%s) failed", context.job.id, context.job.task, exc_info=error)
                await jobs.fail(
                    claim, _describe(error), retry=not isinstance(error, PermanentError)
                )


def _describe(error: BaseException) -> str:
    """Return an error's type and message, also when it can't say its message."""
    try:
        message = str(error)
    except KeyboardInterrupt:
        raise
    except BaseException as broken:  # noqa: BLE001 - somebody else's __str__
        message = f"(its message raises {type(broken).__name__})"
    return f"{type(error).__name__}: {message}"


def _own_name() -> str:
    return f"{socket.gethostname()[:100]}:{os.getpid()}:{secrets.token_hex(4)}"


def _reap(running: set[asyncio.Task[None]]) -> None:
    """Take out the tasks that are done; raise what one of them raised, which is a bug."""
    for task in [task for task in running if task.done()]:
        running.discard(task)
        task.result()


async def _first_of(
    running: set[asyncio.Task[None]], wake: asyncio.Event, seconds: float | None
) -> None:
    """Wait until one of *running* is done, *wake* is set, or *seconds* are over."""
    woken = asyncio.create_task(wake.wait())
    try:
        await asyncio.wait({*running, woken}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        woken.cancel()


async def _set_within(event: asyncio.Event, seconds: float) -> None:
    """Wait for *event*, *seconds* at the most."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return


def _set_from_thread(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    try:
        loop.call_soon_threadsafe(event.set)
    except RuntimeError:
        if not loop.is_closed():  # a function that outlives its worker reports to nobody
            raise
