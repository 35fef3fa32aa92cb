"""A write of several statements: in the transaction around it, or in one of its own."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, TypeVar

from holdfast.clock import pause
from holdfast.errors import SerializationError
from holdfast.records.transaction import current

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from holdfast.records.store import Store

T = TypeVar("T")

_ATTEMPTS = 20  # of a call that is a transaction of its own and was undone by a clash
_PAUSE = 0.002  # seconds before the first new attempt; then twice as long each time
_LONGEST = 0.25


async def whole_write(store: Store, work: Callable[[], Awaitable[T]]) -> T:
    """Do *work* in the transaction around it, or in one of its own, again after a clash."""
    if current(store.driver) is not None:
        return await work()
    for attempt in range(_ATTEMPTS):
        try:
            async with store.transaction():
                return await work()
        except SerializationError:
            if attempt == _ATTEMPTS - 1:
                raise
        seconds = random.uniform(0, min(_LONGEST, _PAUSE * 2**attempt))  # noqa: S311
        await pause(seconds, blocking=store.affinity.blocking)
    raise AssertionError("unreachable: the last attempt returns or raises")
