"""The platform's upkeep while it is served: at the start, and each hour."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from holdfast.errors import HoldfastError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from holdfast.platform import Platform

UPKEEP_EVERY = 3600.0  # seconds
_log = logging.getLogger("holdfast.web")


@asynccontextmanager
async def keeping_up(platform: Platform, every: float) -> AsyncIterator[None]:
    """Do the upkeep of *platform* beside the block, *every* so many seconds; it ends with it."""
    task = asyncio.create_task(_keep_up(platform, every))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


async def _keep_up(platform: Platform, every: float) -> None:
    while True:
        try:
            await platform.upkeep()
        except HoldfastError:
            _log.exception("the upkeep could not be done; it is tried again in %g s", every)
        await asyncio.sleep(every)
