"""Threads for plain handlers: used again by the next job, and never waited for at the end."""

from __future__ import annotations

import contextvars
import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING, TypeAlias

from holdfast.jobs.workers.handler import Outcome, Raised, Returned

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from holdfast.jobs.workers.context import Context
    from holdfast.jobs.workers.handler import Handler

_Calls: TypeAlias = "SimpleQueue[Callable[[], None] | None]"


class HandlerThreads:
    """Daemon threads, as many as handlers run at once: a new one where none is free.

    The worker's concurrency bounds them. A function that never ends keeps its thread, and neither
    another job nor the end of the process waits for it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._free: list[_Calls] = []
        self._closed = False

    def call(self, handler: Handler, context: Context, future: Future[Outcome]) -> None:
        """Call *handler* on a thread, in the caller's context variables; its outcome is *future*'s.

        Whatever it raises is an outcome, also what is not an Exception.
        """

        def work() -> None:
            context.steps.enter()
            try:
                outcome: Outcome = Returned(handler(context))
            except BaseException as error:  # noqa: BLE001 - handed on, whatever it is
                outcome = Raised(error)
            if future.set_running_or_notify_cancel():
                future.set_result(outcome)

        variables = contextvars.copy_context()
        with self._lock:
            calls = self._free.pop() if self._free else self._started()
        calls.put(lambda: variables.run(work))

    def close(self) -> None:
        """End the threads that are free now, and each other one after its handler."""
        with self._lock:
            self._closed = True
            for calls in self._free:
                calls.put(None)
            self._free.clear()

    def _started(self) -> _Calls:
        calls: _Calls = SimpleQueue()
        threading.Thread(
            target=self._work, args=(calls,), name="holdfast-handler", daemon=True
        ).start()
        return calls

    def _work(self, calls: _Calls) -> None:
        while (call := calls.get()) is not None:
            call()
            del call  # or the last job's values live until the next one
            with self._lock:
                if self._closed:
                    return
                self._free.append(calls)
