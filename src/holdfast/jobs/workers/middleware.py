"""Middleware: what stands around every handler of a worker."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias

from holdfast.jobs.workers.context import Context

if TYPE_CHECKING:
    from collections.abc import Sequence

CallNext: TypeAlias = Callable[[], Awaitable[object]]
"""Calls the next middleware, or the handler; returns what that returns, raises what it raises."""

Middleware: TypeAlias = Callable[[Context, CallNext], Awaitable[object]]
"""An async function `around(context, call_next)`.

What it returns is the job's result, and what it raises fails the job, as if the handler did.
"""


async def call_through(
    middleware: Sequence[Middleware], context: Context, handler: CallNext
) -> object:
    """Return what *handler* returns, called through *middleware*: the first is the outermost."""
    if not middleware:
        return await handler()
    first, rest = middleware[0], middleware[1:]
    return await first(context, lambda: call_through(rest, context, handler))
