"""The steps of one run of a handler: found again when they were recorded, else done and recorded.

A handler that is run again takes the same way through its code, and finds on it what the runs
before have recorded. So that a changed code is noticed, each step tells which one came before it.
"""

from __future__ import annotations

import asyncio
import copy
import inspect
import threading
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NoReturn, cast

from holdfast.errors import (
    ConfigurationError,
    EventTimeoutError,
    InvalidValueError,
    StepsChangedError,
    TransactionError,
)
from holdfast.jobs.side_tables import side_table
from holdfast.jobs.workflows.job_signal import check_event
from holdfast.jobs.workflows.job_step import STEP_NAME_LENGTH, JobStep, step_label
from holdfast.jobs.workflows.step_value import as_json, from_json
from holdfast.records import Savepoint

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import timedelta

    from holdfast.jobs.claim import Claimed
    from holdfast.jobs.job import Job
    from holdfast.jobs.jobs import Jobs


@dataclass(frozen=True, slots=True)
class _Place:
    """Where code is: behind the step *label* of *steps*, and whether one has *failed* since."""

    steps: Steps
    label: str
    failed: bool = False


# A task that the code starts begins with a copy, so that each of several lines that run at once
# has its own place.
_PLACE: ContextVar[_Place | None] = ContextVar("holdfast_step_place", default=None)


class Suspended(BaseException):
    """Ends a handler whose job is put aside. It is no failure, and no `except Exception`'s."""


@dataclass(frozen=True, slots=True)
class Suspension:
    """Why a handler was ended: *step* is not over. *event* is what it waits for, if it does."""

    step: JobStep
    recorded: bool
    event: str | None


@dataclass(frozen=True, slots=True)
class StepCall:
    """A step as the code calls it, and the one that was called before; see `JobStep`."""

    name: str
    occurrence: int
    after: str | None
    line: object  # the task or thread that calls it
    branch: bool  # the code could as well have come to another step here

    @property
    def label(self) -> str:
        """See `JobStep.label`."""
        return step_label(self.name, self.occurrence)


class Steps:
    """What the claimed job has recorded, and where its handler is on its way through it."""

    def __init__(self, jobs: Jobs, claim: Claimed) -> None:
        self.suspension: Suspension | None = None
        self._jobs = jobs
        self._claim = claim
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._home: object = None
        self._recorded: dict[str, JobStep] = {}
        self._called: set[str] = set()
        self._before: dict[str, str | None] = {}  # which step comes before one in its line
        self._unsure: dict[str, object] = {}  # not committed yet, as far as is known, by whom

    # --- the worker's side ------------------------------------------------------------------

    async def load(self) -> None:
        """Read what the job has recorded. The worker calls it before the handler."""
        self._loop = asyncio.get_running_loop()
        if self._claim.job.steps:
            self._recorded = {
                step.label: step for step in await self._jobs.steps(self._claim.job.id)
            }

    def enter(self) -> None:
        """Take note that the handler runs here, in this task or on this thread."""
        self._home = here()
        place = _PLACE.get()
        if place is None or place.steps is not self:  # else within middleware
            _PLACE.set(_Place(self, ""))

    # --- the handler's side -----------------------------------------------------------------

    async def step(
        self, name: str, function: Callable[[], object], *, wanted: object = None
    ) -> object:
        """See `Context.step`."""
        await self.resync(here())
        call = self.begin(name)
        try:
            found = self.found(call)
            if found is None:
                found = self.new_step(call)
                found.result = as_json(name, await _called(function))
                found = await self.record(call, found)
        except BaseException:
            self.undo(call)
            raise
        return self.done(call, found.result, wanted)

    async def sleep(self, name: str, duration: timedelta) -> None:
        """See `Context.sleep`."""
        await self.resync(here())
        call = self.begin_wait(name)
        await self.slept(call, duration)
        self.done(call, None, None)

    async def wait_for(
        self, event: str, limit: timedelta | None, *, wanted: object = None
    ) -> object:
        """See `Context.wait_for`."""
        await self.resync(here())
        call = self.begin_wait_for(event)
        return self.ended(call, await self.waited(call, event, limit), wanted)

    # --- parts, also of the blocking twin ---------------------------------------------------

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The worker's loop, for a plain handler on a thread. Raises ConfigurationError."""
        if self._loop is None or _in_loop():
            raise ConfigurationError(
                "context.blocking is for the plain handlers of a worker; "
                "an async one awaits context.step(...)"
            )
        return self._loop

    def begin(self, name: str) -> StepCall:
        """Return the call of the step *name* from here. Raises StepsChangedError.

        After the handler was suspended, and goes on all the same, it is suspended again. What could
        not be recorded is refused before anything is done: raises InvalidValueError for the name,
        and ConfigurationError in a store that was opened without JobStep.
        """
        if self.suspension is not None:
            raise Suspended
        side_table(self._jobs.store, JobStep, of="steps")
        if not isinstance(name, str) or not 0 < len(name) <= STEP_NAME_LENGTH:
            reason = f"expected a name of 1 to {STEP_NAME_LENGTH} characters, got {name!r}"
            raise InvalidValueError("JobStep", "name", reason)
        JobStep.name.to(name)
        line, place = here(), _PLACE.get()
        with self._lock:
            after = self._behind(place)
            occurrence = 0
            while step_label(name, occurrence) in self._called:
                occurrence += 1
            failed = place is not None and place.failed
            call = StepCall(name, occurrence, after, line, branch=line != self._home or failed)
            self._check(call)
            self._called.add(call.label)
            self._before[call.label] = after
        return call

    def found(self, call: StepCall) -> JobStep | None:
        """Return the record of the step, None when it has none yet."""
        return self._recorded.get(call.label)

    def new_step(self, call: StepCall) -> JobStep:
        """Return a step that is not recorded yet."""
        job: Job = self._claim.job
        return JobStep(
            job_id=job.id,
            number=0,
            name=call.name,
            occurrence=call.occurrence,
            after=call.after,
            branch=call.branch,
            attempt=job.attempts,
            started_at=self._jobs.now(),
        )

    async def record(self, call: StepCall, step: JobStep) -> JobStep:
        """Record that *step* is over; in a transaction, if and when that commits."""
        step.finished_at = self._jobs.now()
        self._unsure[call.label] = call.line

        async def committed() -> None:
            self._unsure.pop(call.label, None)

        transaction = self._jobs.store.transaction()
        if isinstance(transaction, Savepoint):
            async with transaction as scope:
                step = await self._jobs.record_step(self._claim, step)
                scope.after_commit(committed)
        else:
            step = await self._jobs.record_step(self._claim, step)
            await committed()
        self._recorded[call.label] = step
        return step

    def done(self, call: StepCall, data: object, wanted: object) -> object:
        """Take note that the code goes on behind the step, and return its result."""
        _PLACE.set(_Place(self, call.label))
        return from_json(call.name, data, wanted)

    def undo(self, call: StepCall) -> None:
        """Take note that the step has failed: what is called by its name next takes its place."""
        with self._lock:
            self._called.discard(call.label)
        place = _PLACE.get()
        if place is not None and place.steps is self:
            _PLACE.set(replace(place, failed=True))

    async def slept(self, call: StepCall, duration: timedelta) -> None:
        """Return when the sleep of *call* is over, else suspend the handler."""
        step = self.found(call)
        if step is None:
            step = self.new_step(call)
            step.until = self._jobs.now() + duration
            self._suspend(step, recorded=False, event=None)
        elif step.until is not None and step.until > self._jobs.now():
            self._suspend(step, recorded=True, event=None)

    async def waited(self, call: StepCall, event: str, limit: timedelta | None) -> JobStep:
        """Return how the wait of *call* has ended, else suspend the handler."""
        step, now = self.found(call), self._jobs.now()
        if step is not None and step.finished_at is not None:
            return step
        recorded = step is not None
        if step is not None:
            step = copy.copy(step)
        else:
            step = self.new_step(call)
            step.until = None if limit is None else now + limit
        try:
            signal = await self._jobs.unused_signal(self._claim.job.id, event)
            if signal is not None:
                step.result, step.signal = signal.data, signal.number
            elif step.until is not None and step.until <= now:
                step.timed_out = True
            else:
                self._suspend(step, recorded=recorded, event=event)
            if not recorded:
                return await self.record(call, step)
            step.finished_at = now
            step = self._recorded[call.label] = await self._jobs.finish_step(self._claim, step)
            return step
        except BaseException:
            self.undo(call)
            raise

    def ended(self, call: StepCall, step: JobStep, wanted: object) -> object:
        """Return what a wait has brought. Raises EventTimeoutError."""
        found = self.done(call, step.result, None if step.timed_out else wanted)
        if step.timed_out:
            raise EventTimeoutError(self._claim.job.id, call.name)
        return found

    def _check(self, call: StepCall) -> None:
        """Compare the way that the code takes with the one that is recorded."""
        if call.after is None:
            return
        recorded = self._recorded.get(call.label)
        if recorded is not None:
            if recorded.after not in (None, call.after):
                raise StepsChangedError(
                    self._claim.job.id, after=call.after, recorded=None, called=call.label
                )
        elif not call.branch:
            for step in self._recorded.values():
                if step.after == call.after and not step.branch:
                    raise StepsChangedError(
                        self._claim.job.id,
                        after=call.after,
                        recorded=step.label,
                        called=call.label,
                    )

    def begin_wait(self, name: str) -> StepCall:
        """Return the call of a sleep or wait from here; refused where the job can't be put aside.

        Raises what `begin` does, TransactionError and ConfigurationError.
        """
        if isinstance(self._jobs.store.transaction(), Savepoint):
            raise TransactionError(
                f"{name}: a job is not put aside inside a transaction, which would be undone"
            )
        if here() != self._home:
            raise ConfigurationError(
                f"{name}: a handler sleeps and waits as a whole, not in a task or thread beside it"
            )
        return self.begin(name)

    def begin_wait_for(self, event: str) -> StepCall:
        """Return the call of a wait for *event*; see `begin_wait`. Raises InvalidValueError too."""
        check_event(event)
        return self.begin_wait(f"wait for {event}")

    def _suspend(self, step: JobStep, *, recorded: bool, event: str | None) -> NoReturn:
        self.suspension = Suspension(step, recorded, event)
        raise Suspended

    async def resync(self, line: object) -> None:
        """Find out about the steps of *line* of which it is not known whether they were committed.

        A transaction that they were in may have been undone, or an answer lost.
        """
        unsure = [label for label, whose in self._unsure.items() if whose == line]
        if not unsure:
            return
        inside = isinstance(self._jobs.store.transaction(), Savepoint)
        stored = {step.label: step for step in await self._jobs.steps(self._claim.job.id)}
        with self._lock:
            for label in unsure:
                if not inside or label not in stored:
                    self._unsure.pop(label, None)
                if label in stored:
                    self._recorded[label] = stored[label]
                    continue
                self._recorded.pop(label, None)
                self._called.discard(label)

    def _behind(self, place: _Place | None) -> str | None:
        """Return the last step before *place*, as far as it still stands; None: not known."""
        if place is None or place.steps is not self:
            return None
        label: str | None = place.label
        while label and label not in self._called:  # undone with its transaction
            label = self._before[label]
        return label


async def _called(function: Callable[[], object]) -> object:
    """Call *function*: one that is async here, a plain one on a thread."""
    if inspect.iscoroutinefunction(function):
        return await cast("Awaitable[object]", function())
    value = await asyncio.to_thread(function)
    return await value if inspect.isawaitable(value) else value


def here() -> object:
    """Return what runs the caller: its task, or its thread where there is no event loop."""
    return asyncio.current_task() if _in_loop() else threading.get_ident()


def _in_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
