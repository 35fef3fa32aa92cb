"""What the platform does by itself while it is served: its upkeep, and what is due each minute."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from holdfast.errors import ConfigurationError, HoldfastError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from holdfast.platform import Platform

UPKEEP_EVERY = 3600.0  # seconds
MINUTE = 60.0
_log = logging.getLogger("holdfast.web")


@asynccontextmanager
async def keeping_up(
    platform: Platform, *, upkeep: float = UPKEEP_EVERY, minute: float = MINUTE
) -> AsyncIterator[None]:
    """Do what *platform* does by itself beside the block; it ends with it.

    Its `upkeep` and its `each_minute` are awaited at once, and then every *upkeep* and *minute*
    seconds.
    """
    tasks = {
        asyncio.create_task(_again("the upkeep", platform.upkeep, upkeep)),
        asyncio.create_task(_again("what is due each minute", platform.each_minute, minute)),
    }
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _again(what: str, work: Callable[[], Awaitable[None]], every: float) -> None:
    """Do *work*, *every* so many seconds; what it can't do is logged once for each reason."""
    reason: str | None = None
    while True:
        try:
            await work()
            reason = None
        except HoldfastError as error:
            if str(error) != reason:
                reason = str(error)
                bug = not isinstance(error, ConfigurationError)  # that says all by itself
                _log.error("%s can't be done now: %s", what, error, exc_info=bug)
        await asyncio.sleep(every)
