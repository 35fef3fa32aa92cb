"""The child process of a worker: it does one job after the other, by handlers that it is sent.

The worker's end of standard input is the child's life: when it closes, the child ends, and so does
all that a handler has started.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import pickle
import resource
import signal
import threading
import traceback
from datetime import UTC, datetime
from queue import SimpleQueue
from typing import TYPE_CHECKING, NoReturn, cast

from holdfast.correlation import current_job_id
from holdfast.errors import ConfigurationError, PermanentError
from holdfast.jobs.history.job_log import LogLevel, log_line
from holdfast.jobs.workers.context import Context
from holdfast.jobs.workers.handler import Outcome, Raised, Returned, described
from holdfast.jobs.workers.main_module import import_main
from holdfast.jobs.workers.process_messages import (
    HEADER,
    Assignment,
    ChildStarted,
    Ended,
    Logged,
    Reported,
    Told,
    framed,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from holdfast.jobs.jobs import Jobs
    from holdfast.jobs.workers.handler import Handler
    from holdfast.jobs.workflows.blocking_steps import BlockingSteps
    from holdfast.jobs.workflows.steps import Steps

_EVER = datetime.min.replace(tzinfo=UTC)


def main() -> NoReturn:
    """Do what the worker asks until it is gone. What handlers print goes to standard error."""
    inbox, outbox = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    _Child(inbox, outbox).work()


class _Child:
    def __init__(self, inbox: int, outbox: int) -> None:
        self._inbox = os.fdopen(inbox, "rb")
        self._outbox = os.fdopen(outbox, "wb")
        self._writing = threading.Lock()
        self._assignments: SimpleQueue[tuple[Assignment, Context]] = SimpleQueue()
        self._context: Context | None = None

    def work(self) -> NoReturn:
        threading.Thread(target=self._receive, name="holdfast-inbox", daemon=True).start()
        self._send(framed(ChildStarted()))
        while True:
            assignment, context = self._assignments.get()
            current_job_id.set(str(context.job.id))
            outcome = _outcome(assignment, context)
            self._context = None
            self._end(outcome)

    def _receive(self) -> None:
        while True:
            header = self._inbox.read(HEADER)
            length = int.from_bytes(header, "big")
            data = self._inbox.read(length) if len(header) == HEADER else b""
            if not data or len(data) < length:
                os.killpg(0, signal.SIGKILL)
            match pickle.loads(data):  # noqa: S301 - from the worker that started this process
                case Assignment() as assignment:
                    # Made here, so that what comes next finds it, started or not.
                    context = self._context = _ChildContext(assignment, self._report, self._send)
                    self._assignments.put((assignment, context))
                case Told(lost) if (running := self._context) is not None:
                    if lost:
                        running.lose()
                    else:
                        running.ask_to_stop()

    def _report(self, context: Context) -> None:
        report = context.take_report()
        if report is not None and context is self._context:  # else of a thread that goes on
            self._send(framed(Reported(*report)))

    def _end(self, outcome: Outcome) -> None:
        fit = not (isinstance(outcome, Raised) and isinstance(outcome.error, MemoryError))
        self._send(_ended(outcome, fit=fit))

    def _send(self, data: bytes) -> None:
        with self._writing:
            self._outbox.write(data)
            self._outbox.flush()


class _ChildContext(Context):
    """A context whose reports and log go to the worker, and which has no store."""

    def __init__(
        self,
        assignment: Assignment,
        reported: Callable[[Context], None],
        send: Callable[[bytes], None],
    ) -> None:
        super().__init__(cast("Jobs", _NoStore()), assignment.claim, reported)
        self.steps = cast("Steps", _NoStore())
        self._keeps_log = assignment.keeps_log
        self._send = send

    @property
    def blocking(self) -> BlockingSteps:
        """See `Context`: refused, as `step` is."""
        return cast("BlockingSteps", _NoStore())

    @property
    def keeps_log(self) -> bool:
        """See `Context`."""
        return self._keeps_log

    def log(self, text: object, *, level: LogLevel | str = LogLevel.INFO) -> None:
        """See `Context`."""
        if not self._keeps_log:
            raise ConfigurationError(
                "this store keeps no log of jobs: open it with JOB_ENTITIES in place of Job"
            )
        line = log_line(text, level, _EVER)  # the worker says when, by the store's clock
        self._send(framed(Logged(line.text, line.level)))


class _NoStore:
    """Stands for the jobs and steps of a context in a process that has no store."""

    def now(self) -> datetime:
        """Tell a time at which no lease is over: the worker knows, and tells."""
        return _EVER

    def __getattr__(self, name: str) -> NoReturn:
        raise ConfigurationError(
            f"{name}: a handler with executor='process' is apart from the store of its job, so it "
            "records no steps, does not wait and does not end the job itself; it returns its "
            "result, or opens a store of its own"
        )


def _outcome(assignment: Assignment, context: Context) -> Outcome:
    try:
        _limit(assignment.memory)
        if assignment.main is not None:
            import_main(assignment.main)
        handler = cast("Handler", pickle.loads(assignment.handler))  # noqa: S301 - see _receive
        value = handler(context)
        if inspect.iscoroutine(value):
            value = asyncio.run(cast("Coroutine[object, object, object]", value))
    except BaseException as error:  # noqa: BLE001 - handed on, whatever it is
        return Raised(error)
    finally:
        _limit(None)
    return Returned(value)


def _limit(memory: int | None) -> None:
    """Let this process have *memory* bytes of data at the most; None: what it may have at all."""
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    wanted = hard if memory is None else memory
    resource.setrlimit(resource.RLIMIT_DATA, (wanted, hard))


def _ended(outcome: Outcome, *, fit: bool) -> bytes:
    """Return the message that tells of *outcome*, which may be what no pickle can hold."""
    if isinstance(outcome, Raised):
        trace = "".join(traceback.format_exception(outcome.error)).rstrip()
        try:
            outcome.error.add_note(f"in the process {os.getpid()}:\n{trace}")
            data = framed(Ended(outcome, fit))
            pickle.loads(data[HEADER:])  # noqa: S301 - an error may be pickled and never unpickled
        except Exception:  # noqa: BLE001 - somebody else's error, which may do anything
            told = RuntimeError(described(outcome.error))
            told.add_note(trace)
            return framed(Ended(Raised(told), fit))
        return data
    try:
        return framed(Ended(outcome, fit))
    except Exception as error:  # noqa: BLE001 - as above
        reason = f"the handler's result can't be sent from its process: {error}"
        return framed(Ended(Raised(PermanentError(reason)), fit))
