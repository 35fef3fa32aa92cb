"""Calls of several statements that are a transaction of their own, done again after a clash."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, TypeVar

from holdfast.clock import pause
from holdfast.errors import SerializationError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

T = TypeVar("T")

_ATTEMPTS = 20  # of a call that is undone by clashes with others
_PAUSE = 0.002  # seconds before the first new attempt; then twice as long each time
_LONGEST = 0.25


async def in_own_transaction(
    transaction: Callable[[], AbstractAsyncContextManager[object]],
    work: Callable[[], Awaitable[T]],
    *,
    blocking: bool,
) -> T:
    """Return what *work* returns, done in a *transaction* of its own, and again after a clash.

    *blocking*: the pauses between attempts block. Unlike `Store.retrying` it does not wait twice
    for a lock: LockTimeoutError is raised at once.
    """
    for attempt in range(_ATTEMPTS):
        try:
            async with transaction():
                return await work()
        except SerializationError:
            if attempt == _ATTEMPTS - 1:
                raise
        seconds = random.uniform(0, min(_LONGEST, _PAUSE * 2**attempt))  # noqa: S311
        await pause(seconds, blocking=blocking)
    raise AssertionError("unreachable: the last attempt returns or raises")
