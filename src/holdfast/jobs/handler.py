"""Handlers: the functions that do the work, and how one is called."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TypeAlias, cast

from holdfast.jobs.context import Context

Handler: TypeAlias = Callable[[Context], object]
"""An async function, or a plain one, of a `Context`; what it returns is the job's result."""


@dataclass(frozen=True, slots=True)
class Returned:
    """A handler ended by itself, with *value*."""

    value: object


@dataclass(frozen=True, slots=True)
class Raised:
    """A handler ended by raising *error*."""

    error: BaseException


Outcome: TypeAlias = Returned | Raised


async def call(handler: Handler, context: Context) -> Outcome:
    """Call *handler* and return what came of it: an async function here, another on a thread.

    Whatever it raises is an outcome, SystemExit included; only the cancellation of the caller, and
    Ctrl-C in an async handler, are raised.
    """
    if not is_async(handler):
        return await _on_thread(handler, context)
    try:
        return Returned(await cast("Awaitable[object]", handler(context)))
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        return Raised(error)  # of something that the handler itself waited for
    except (Exception, SystemExit) as error:  # noqa: BLE001 - handed on, whatever it is
        return Raised(error)


def is_async(handler: Handler) -> bool:
    """Tell whether calling *handler* gives an awaitable."""
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(
        getattr(handler, "__call__", None)  # noqa: B004 - an object may have an async one
    )


async def _on_thread(handler: Handler, context: Context) -> Outcome:
    """Call the plain function *handler* on a thread of its own.

    The thread is a daemon: a function that never ends keeps no process from ending.
    """
    future: Future[Outcome] = Future()

    def work() -> None:
        try:
            outcome: Outcome = Returned(handler(context))
        except BaseException as error:  # noqa: BLE001 - handed on, whatever it is
            outcome = Raised(error)
        if future.set_running_or_notify_cancel():
            future.set_result(outcome)

    threading.Thread(
        target=contextvars.copy_context().run,
        args=(work,),
        name=f"holdfast-job-{context.job.id}",
        daemon=True,
    ).start()
    return await asyncio.wrap_future(future)
