"""One child process of a worker, and the jobs that it is given, one after the other."""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from holdfast.errors import ConfigurationError, ProcessEndedError
from holdfast.jobs.workers.handler import Raised
from holdfast.jobs.workers.main_module import main_path_for
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
    from holdfast.jobs.workers.context import Context
    from holdfast.jobs.workers.handler import Handler, Outcome
    from holdfast.jobs.workers.process_messages import FromChild

_PROGRAM = """
import sys
sys.path[:] = {path!r}
from holdfast.jobs.workers.process_child import main
main()
"""


@dataclass(frozen=True, slots=True)
class SentHandler:
    """A handler as it goes to another process: a pickle, and the main module that it is of."""

    data: bytes
    main: str | None


def sendable(task: str, handler: Handler) -> SentHandler:
    """Return *handler* as it goes to another process.

    Raises ConfigurationError for one that no other process finds, such as a lambda or a function
    within a function.
    """
    try:
        data = pickle.dumps(handler)
    except Exception as error:  # whatever somebody's own object raises
        raise ConfigurationError(
            f"the handler of {task!r} can't be sent to a process ({error}); make it a function of "
            "a module"
        ) from error
    return SentHandler(data, main_path_for(task, handler))


class HandlerProcess:
    """A child process. It leads a process group of its own: what a handler starts ends with it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._ready = False
        self.fit = False
        """Whether its last job ended as it should, so that it may be given another."""

    @classmethod
    async def start(cls) -> Self:
        """Start one. It ends with this process, however that ends."""
        return cls(
            await asyncio.create_subprocess_exec(
                sys.executable,
                "-c",
                _PROGRAM.format(path=sys.path),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
        )

    @property
    def alive(self) -> bool:
        """Whether it runs, as far as is known."""
        return self._process.returncode is None

    async def ready(self) -> None:
        """Wait until it has its imports done; a child that ends before is found out by `do`."""
        while self.alive and not self._ready:
            try:
                self._ready = isinstance(await self._received(), ChildStarted)
            except (asyncio.IncompleteReadError, ConnectionError):
                return

    async def do(self, handler: SentHandler, context: Context, *, memory: int | None) -> Outcome:
        """Call *handler* in the child and return the outcome; progress and orders are passed on.

        A child that ends meanwhile makes the outcome a ProcessEndedError.
        """
        self.fit = False  # unless it says otherwise at the end: also when this is cancelled
        self._send(Assignment(handler.data, handler.main, context.claim, memory, context.keeps_log))
        context.on_stop = lambda: self._send(Told(lost=context.lease_lost))
        if context.cancelled:
            context.on_stop()
        try:
            while True:
                match await self._received():
                    case Reported(fraction, message):
                        context.progress(fraction, message)
                    case Logged(text, level):
                        context.log(text, level=level)
                    case Ended(outcome, fit):
                        self.fit = fit
                        return outcome
                    case ChildStarted():
                        raise ValueError("a child is ready once, before its first job")
        except (asyncio.IncompleteReadError, ConnectionError):
            return Raised(await self._why_it_ended())
        finally:
            context.on_stop = None

    def kill(self) -> None:
        """End the child and what it started, at once."""
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return  # it has ended, and nothing that it started is left

    async def close(self) -> None:
        """End the child, and wait until it is gone."""
        self.kill()
        if self._process.stdin is not None:
            self._process.stdin.close()
        await self._process.wait()
        if self._process.stdout is not None:
            await self._process.stdout.read()  # its end: the pipe's transport closes by that

    def _send(self, message: Assignment | Told) -> None:
        if self._process.stdin is None:
            raise ValueError("the child has no standard input")
        self._process.stdin.write(framed(message))

    async def _received(self) -> FromChild:
        source = self._process.stdout
        if source is None:
            raise ValueError("the child has no standard output")
        length = int.from_bytes(await source.readexactly(HEADER), "big")
        message: FromChild = pickle.loads(await source.readexactly(length))  # noqa: S301 - ours
        return message

    async def _why_it_ended(self) -> ProcessEndedError:
        status = await self._process.wait()
        self.kill()  # what it started, and left behind
        known = set(signal.Signals)
        return ProcessEndedError(signal.Signals(-status).name if -status in known else None, status)
