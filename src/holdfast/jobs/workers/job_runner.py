"""From a claim to its end: the lease is renewed, the handler runs, its outcome is written down."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from holdfast.acting import acting_as
from holdfast.correlation import current_job_id
from holdfast.errors import (
    HoldfastError,
    IntegrityError,
    InvalidValueError,
    JobCancelledError,
    JobKeyMissingError,
    LeaseLostError,
    PermanentError,
    UnavailableError,
)
from holdfast.jobs.job import ERROR_LENGTH, JobStatus, storable
from holdfast.jobs.job_spans import doing
from holdfast.jobs.typed_tasks.retry_policy import RetryPolicy, policy_of
from holdfast.jobs.workers.end_writer import EndWriter
from holdfast.jobs.workers.handler import HandlerOptions, Raised, Returned, described, options_of
from holdfast.jobs.workers.handler_executor import HandlerExecutor
from holdfast.jobs.workers.handler_process import sendable
from holdfast.jobs.workers.lease_renewal import LeaseRenewal
from holdfast.jobs.workers.middleware import call_through

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
    from typing import TypeAlias

    from holdfast.jobs.claim import Claimed
    from holdfast.jobs.jobs import Jobs
    from holdfast.jobs.workers.context import Context
    from holdfast.jobs.workers.handler import Handler, Outcome
    from holdfast.jobs.workers.middleware import Middleware
    from holdfast.jobs.workers.worker_options import WorkerOptions

    _Call: TypeAlias = Callable[[Context], Awaitable[Outcome]]

_log = logging.getLogger("holdfast.jobs")
_UNLIMITED = HandlerOptions()
_POLICY = RetryPolicy()
_KEY_ELSEWHERE = timedelta(seconds=30)  # until a job that another key sealed is offered again


class JobRunner:
    """Runs claimed jobs of *jobs* by *handlers*, for the worker *name*.

    Raises ConfigurationError for a handler that is to run in a process and can't be sent to one.
    """

    def __init__(
        self,
        jobs: Jobs,
        handlers: Mapping[str, Handler],
        *,
        name: str,
        options: WorkerOptions,
        middleware: Sequence[Middleware] = (),
    ) -> None:
        self._jobs = jobs
        self._name = name
        self._options = options
        self._middleware = tuple(middleware)
        self._leases = LeaseRenewal(jobs, options.lease)
        processes = options.concurrency if options.processes is None else options.processes
        self._ends = EndWriter(jobs)
        self._executor = HandlerExecutor(processes=processes)
        self._policies = {task: policy_of(handler) for task, handler in handlers.items()}
        self._calls = {task: self._call(task, handler) for task, handler in handlers.items()}

    @property
    def abandoned(self) -> int:
        """How many handlers go on although their jobs are over."""
        return self._executor.abandoned

    def running(self) -> str:
        """Return the jobs that run now, as a log may say it."""
        jobs = [context.job for context in self._leases.running]
        return ", ".join(f"{job.id} ({job.task})" for job in jobs) or "none"

    async def put_back(self) -> None:
        """Return all jobs that run to their queues, the attempt not counted, and tell the handlers.

        What a handler still brings about in the store is refused.
        """
        contexts = self._leases.running
        for context in contexts:
            context.lose()
        outcomes = await asyncio.gather(
            *(self._jobs.put_back(context.claim) for context in contexts), return_exceptions=True
        )
        for context, outcome in zip(contexts, outcomes, strict=True):
            job = context.job
            if isinstance(outcome, LeaseLostError):
                continue  # it has ended meanwhile, or somebody else has it
            if isinstance(outcome, HoldfastError):
                _log.warning("job %s is left to its lease: %s", job.id, outcome)
            elif isinstance(outcome, BaseException):
                raise outcome
            else:
                _log.warning("job %s (%s) was put back: time is up", job.id, job.task)

    async def close(self) -> None:
        """Write what is under way, and end the threads and processes that are free."""
        await self._ends.close()
        await self._executor.close()

    def _call(self, task: str, handler: Handler) -> _Call:
        """Return how *handler* is called, by what is declared with it."""
        executor, options = self._executor, options_of(handler)
        if options.timeout is None:
            options = replace(options, timeout=self._options.timeout)
        if options.executor == "process":
            data = sendable(task, handler)

            async def call(context: Context) -> Outcome:
                return await executor.call_in_process(data, context, options)
        else:

            async def call(context: Context) -> Outcome:
                return await executor.call(handler, context, options)

        return self._around(call) if self._middleware else call

    def _around(self, call: _Call) -> _Call:
        """Return *call* within the middleware."""

        async def around(context: Context) -> Outcome:
            async def handled() -> object:
                match await call(context):
                    case Returned(value):
                        return value
                    case Raised(error):
                        raise error

            async def called(context: Context) -> object:
                return await call_through(self._middleware, context, handled)

            return await self._executor.call(called, context, _UNLIMITED)

        return around

    @property
    def tasks(self) -> Collection[str]:
        """The tasks that there are handlers for."""
        return self._calls.keys()

    async def run(self, claimed: Claimed, handled: Callable[[], None]) -> None:
        """Run one job to its end; *handled* is called when nothing but that is to be written."""
        job = claimed.job
        job_id = str(job.id)
        current_job_id.set(job_id)  # in the task of this job, and in what it starts
        try:
            plain = self._jobs.opened(job)
        except (JobKeyMissingError, IntegrityError) as error:
            await self._decline(claimed, error)
            return
        if plain is not job:
            claimed = replace(claimed, job=plain)
        call = self._calls.get(job.task)
        context = self._leases.begin(claimed)
        try:
            if call is None:
                known = ", ".join(sorted(self._calls)) or "none"
                reason = f"no handler for the task {job.task!r}; worker {self._name} knows: {known}"
                outcome: Outcome = Raised(PermanentError(reason))
            else:
                with doing(job) as failed, acting_as(f"job {job_id}", reason=job.task):
                    outcome = await _called(call, context)
                    if isinstance(outcome, Raised) and context.steps.suspension is None:
                        failed(outcome.error)
            handled()
            await self._settle(context, outcome)
        except asyncio.CancelledError:
            context.lose()  # for a plain function that goes on, on its thread
            raise
        finally:
            await self._leases.end(context)

    async def _decline(self, claimed: Claimed, error: HoldfastError) -> None:
        """Leave a job that does not open to whoever has its key.

        Where the key is here and does not open it, the attempt counts: it may open nowhere.
        """
        _log.warning("%s", error)
        try:
            if isinstance(error, JobKeyMissingError):
                await self._jobs.put_back(claimed, after=_KEY_ELSEWHERE, error=described(error))
            else:
                await self._jobs.fail(claimed, described(error))
        except HoldfastError as refused:  # then it is taken up when its lease is over
            _log.warning("job %s can't be put back: %s", claimed.job.id, refused)

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
                    await asyncio.sleep(self._options.pause(self._jobs.chance()))
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
        await context.write_lines()
        aside = context.steps.suspension
        if aside is not None:  # whatever the handler made of being ended
            await jobs.put_aside(claim, aside.step, recorded=aside.recorded, event=aside.event)
            return
        match outcome:
            case Returned(value):
                try:
                    await self._ends.complete(claim, value)
                except InvalidValueError as error:
                    # The work is done; doing it once more would not better its result.
                    await jobs.fail(claim, f"the handler's result: {error}", retry=False)
            case Raised(JobCancelledError()):
                await jobs.stopped(claim)
            case Raised(error):
                policy = self._policies.get(claim.job.task, _POLICY)
                verdict = policy.verdict(error, claim.job.attempts, jobs.chance())
                job, told = claim.job, described(error)
                _log.info("job %s (%s) failed", job.id, job.task, exc_info=error)
                if not verdict.retry or job.attempts >= job.max_attempts:
                    text = storable(told, ERROR_LENGTH)
                    _log.warning("job %s (%s) failed for good: %s", job.id, job.task, text)
                await jobs.fail(claim, told, retry=verdict.retry, after=verdict.after)


async def _called(call: _Call, context: Context) -> Outcome:
    """Do *call* with what the job has recorded, and return what came of it."""
    try:
        await context.steps.load()
    except HoldfastError as error:
        return Raised(error)
    return await call(context)
