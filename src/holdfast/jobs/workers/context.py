"""What a handler is given: its job, a way to report, and whether to go on."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, TypeVar, TypeVarTuple, cast, overload

from holdfast.errors import (
    HoldfastError,
    JobCancelledError,
    LeaseLostError,
    MultipleFoundError,
    NotFoundError,
)
from holdfast.jobs.atomic import atomically
from holdfast.jobs.history.job_log import JobLogLine, LogBuffer, LogLevel, log_line
from holdfast.jobs.job import MESSAGE_LENGTH, JobStatus, checked_fraction, storable
from holdfast.jobs.side_tables import has_table, side_table
from holdfast.jobs.workflows.blocking_steps import BlockingSteps
from holdfast.jobs.workflows.step_value import returned_type
from holdfast.jobs.workflows.steps import Steps
from holdfast.jobs.workflows.workflows import Workflows

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from datetime import datetime, timedelta
    from uuid import UUID

    from holdfast.jobs.claim import Claimed
    from holdfast.jobs.job import Job
    from holdfast.jobs.jobs import Jobs
    from holdfast.jobs.workflows.workflow import Workflow

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Context:
    """A handler's side of its job. All but `complete` may be used from any thread."""

    def __init__(self, jobs: Jobs, claim: Claimed, reported: Callable[[Context], None]) -> None:
        self.claim = claim
        self.job: Job = claim.job
        """The job as it was claimed."""
        self.completed = False
        self.steps = Steps(jobs, claim)
        self.lines = LogBuffer()
        """What was logged and is not written yet."""
        self._jobs = jobs
        self._reported = reported
        self._lock = threading.Lock()
        self._report: tuple[float, str | None] | None = None
        self._asked_to_stop = False
        self._lost = False
        self._leased_until = claim.job.leased_until
        self.on_stop: Callable[[], None] | None = None
        """Called whenever `cancelled` turns true by what the worker learns."""

    @property
    def payload(self) -> Mapping[str, object]:
        """What the job was enqueued with; see `EnqueueOptions`."""
        return self.job.payload

    def progress(self, fraction: float, message: str | None = None) -> None:
        """Tell how far the work is, from 0 to 1. Returns at once.

        The worker writes it from the background; of reports that come faster than it writes, the
        latest is kept. Raises InvalidValueError for a fraction outside 0 to 1.
        """
        fraction = checked_fraction(fraction)
        with self._lock:
            if message is not None:
                message = storable(message, MESSAGE_LENGTH)
            elif self._report is not None:
                message = self._report[1]
            self._report = (fraction, message)
        self._reported(self)

    @property
    def keeps_log(self) -> bool:
        """Whether the store has a table for the logs of jobs."""
        return has_table(self._jobs.store, JobLogLine)

    def log(self, text: object, *, level: LogLevel | str = LogLevel.INFO) -> None:
        """Write a line into the job's log, which keeps the latest LOG_LINES. Returns at once.

        The worker writes it from the background, some lines at a time; a long line is cut, and of
        lines that come faster than it writes the oldest make room. Levels are debug, info, warning
        and error. Raises InvalidValueError for another, and ConfigurationError in a store that was
        opened without JobLogLine.
        """
        side_table(self._jobs.store, JobLogLine, of="log")
        self.lines.add(log_line(text, level, self._jobs.now()))
        self._reported(self)

    @property
    def cancelled(self) -> bool:
        """Whether to stop: somebody cancelled the job, or its lease is no longer ours."""
        return self._asked_to_stop or self.lease_lost

    @property
    def lease_lost(self) -> bool:
        """Whether the lease is over, as far as this process knows: nothing more will be kept."""
        return self._lost or _over(self._leased_until, self._jobs.now())

    def raise_if_cancelled(self) -> None:
        """Raise LeaseLostError or JobCancelledError when it is time to stop."""
        if self.lease_lost:
            raise LeaseLostError("Job", self.job.id)
        if self._asked_to_stop:
            raise JobCancelledError(f"job {self.job.id} was cancelled")

    async def complete(self, result: object = None) -> None:
        """End the job as succeeded from within the handler, which must be an async one.

        In `async with store.transaction()`, what the handler has written and the job's end are
        committed together, or neither is. What the handler returns then counts for nothing.
        Lines of the log that are not written yet are part of it; what is logged later is lost.
        Raises LeaseLostError, and InvalidValueError for a result that is no JSON.
        """
        await self.write_lines()
        await self._jobs.complete(self.claim, result)
        self.completed = True

    @overload
    async def step(self, name: str, function: Callable[[*Ts], Awaitable[T]], *args: *Ts) -> T: ...
    @overload
    async def step(self, name: str, function: Callable[[*Ts], T], *args: *Ts) -> T: ...
    async def step(self, name: str, function: Callable[[*Ts], object], *args: *Ts) -> object:
        """Return what `function(*args)` returns, and record that in the job's store.

        When the handler runs again, after a crash, a failure or a wait, the record is returned and
        the function not called. It is called a second time when its worker died between the call
        and the record. An async function is awaited, a plain one is called on a thread. The result
        is JSON, and comes back as the type that the function says it returns, a dataclass, a
        msgspec struct or a pydantic model. What the function raises is raised, and not recorded.

        In `async with store.transaction()`, what the function has written and the record are
        committed together, or neither is. Steps that run at once, in tasks, have names of their
        own. Raises LeaseLostError when the lease is over, StepsChangedError when the code comes to
        other steps than it did, InvalidValueError for a result that is no JSON.
        """
        return await self.steps.step(
            name,
            cast("Callable[[], object]", partial(function, *args)),
            wanted=returned_type(function),
        )

    async def sleep(self, duration: timedelta, *, name: str = "sleep") -> None:
        """Go on when *duration* is over, and hold no worker meanwhile.

        The handler is ended (by an exception that is no Exception), and runs again from its
        beginning then; steps that are recorded are passed over. Raises TransactionError inside a
        transaction, and ConfigurationError in a task beside the handler.
        """
        await self.steps.sleep(name, duration)

    @overload
    async def wait_for(
        self,
        event: str,
        *,
        timeout: timedelta | None = None,  # noqa: ASYNC109
    ) -> object: ...
    @overload
    async def wait_for(
        self,
        event: str,
        *,
        into: type[T],
        timeout: timedelta | None = None,  # noqa: ASYNC109
    ) -> T: ...
    async def wait_for(
        self,
        event: str,
        *,
        into: type[T] | None = None,
        timeout: timedelta | None = None,  # noqa: ASYNC109 - it outlives the process
    ) -> object:
        """Return the data of the next signal of *event*, and hold no worker until it comes.

        It may have come before. Each signal ends one wait. See `Jobs.signal`, and `sleep` for how
        the handler is ended. The data is made *into* that type. Raises EventTimeoutError when
        *timeout* is over, and what `sleep` does.
        """
        return await self.steps.wait_for(event, timeout, wanted=into)

    async def results_of(self, name: str) -> list[object]:
        """Return the results of the jobs called *name* that this one has waited for, in order.

        Of those that succeeded, in the order in which they were added to the workflow.
        """
        found = await Workflows(self._jobs).awaited_by(self.job.id)
        return [
            self._jobs.opened(job).result
            for job in found
            if job.name == name and job.status is JobStatus.SUCCEEDED
        ]

    async def result_of(self, name: str) -> object:
        """Return the result of the one job called *name* that this one has waited for.

        Raises NotFoundError when there is none that succeeded, and MultipleFoundError.
        """
        results = await self.results_of(name)
        if not results:
            raise NotFoundError("Job", name, hint="this job has waited for none that succeeded")
        if len(results) > 1:
            raise MultipleFoundError("Job")
        return results[0]

    async def start(self, flow: Workflow, *, name: str = "start") -> list[UUID]:
        """Start *flow* as the step *name*, so once however often the handler runs.

        A part of the job's own workflow is added to it. Return the ids of the jobs, as they were
        declared. Raises what `Workflows.start` and `step` do.
        """

        async def started() -> list[UUID]:
            await Workflows(self._jobs).start(flow)
            return list(flow.jobs)

        return await atomically(self._jobs.store, lambda: self.step(name, started))

    @property
    def blocking(self) -> BlockingSteps:
        """The same three for a plain handler: `context.blocking.step("probe", probe, path)`."""
        return BlockingSteps(self.steps)

    # --- the worker's side ------------------------------------------------------------------

    def take_report(self) -> tuple[float, str | None] | None:
        """Return what was reported and not yet taken."""
        with self._lock:
            report, self._report = self._report, None
        return report

    async def write_lines(self) -> None:
        """Write the lines that wait. Raises what the store raises; they then wait on."""
        while len(self.lines):
            lines, dropped = self.lines.take()
            try:
                self.observe(await self._jobs.write_log(self.claim, lines, dropped=dropped))
            except HoldfastError:
                self.lines.put_back(lines, dropped)
                raise

    def observe(self, job: Job) -> None:
        """Take note of the job as it was just stored."""
        self._leased_until = job.leased_until
        if job.cancel_requested and not self._asked_to_stop:
            self.ask_to_stop()

    def ask_to_stop(self) -> None:
        """Tell the handler to stop; what comes of it is still kept."""
        self._asked_to_stop = True
        if self.on_stop is not None:
            self.on_stop()

    def lose(self) -> None:
        """Take note that the lease is lost."""
        self._lost = True
        if self.on_stop is not None:
            self.on_stop()


def _over(leased_until: datetime | None, now: datetime) -> bool:
    return leased_until is None or leased_until <= now
