"""Durable steps for plain handlers: the same as in async ones, from a thread."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar, TypeVarTuple, cast, overload

from holdfast.jobs.workflows.step_value import as_json, returned_type
from holdfast.jobs.workflows.steps import here

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from datetime import timedelta

    from holdfast.jobs.workflows.steps import Steps

R = TypeVar("R")
T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class BlockingSteps:
    """`Context.step`, `sleep` and `wait_for` for plain handlers, which run on a thread."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps

    def step(
        self,
        name: str,
        function: Callable[[*Ts], T],
        *args: *Ts,
    ) -> T:
        """See `Context.step`; *function* is called on this thread."""
        steps, loop = self._steps, self._steps.loop
        self._await(steps.resync(here()), loop)
        call = steps.begin(name)
        try:
            found = steps.found(call)
            if found is None:
                found = steps.new_step(call)
                found.result = as_json(name, function(*args))
                found = self._await(steps.record(call, found), loop)
        except BaseException:
            steps.undo(call)
            raise
        return cast("T", steps.done(call, found.result, returned_type(function)))

    def sleep(self, duration: timedelta, *, name: str = "sleep") -> None:
        """See `Context.sleep`."""
        loop = self._steps.loop
        self._await(self._steps.resync(here()), loop)
        call = self._steps.begin_wait(name)
        self._await(self._steps.slept(call, duration), loop)
        self._steps.done(call, None, None)

    @overload
    def wait_for(self, event: str, *, timeout: timedelta | None = None) -> object: ...
    @overload
    def wait_for(self, event: str, *, into: type[T], timeout: timedelta | None = None) -> T: ...
    def wait_for(
        self, event: str, *, into: type[T] | None = None, timeout: timedelta | None = None
    ) -> object:
        """See `Context.wait_for`."""
        loop = self._steps.loop
        self._await(self._steps.resync(here()), loop)
        call = self._steps.begin_wait_for(event)
        step = self._await(self._steps.waited(call, event, timeout), loop)
        return self._steps.ended(call, step, into)

    def _await(self, coroutine: Coroutine[object, None, R], loop: asyncio.AbstractEventLoop) -> R:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result()
