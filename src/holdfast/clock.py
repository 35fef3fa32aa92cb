"""The time now, and waiting where there is no event loop."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def utc_now() -> datetime:
    """Return the time now, in UTC."""
    return datetime.now(UTC)


async def sleep_thread(seconds: float) -> None:
    """Hold up the thread for *seconds*: for coroutines that are stepped without an event loop."""
    time.sleep(seconds)  # noqa: ASYNC251 - nothing else waits on this thread


async def pause(seconds: float, *, blocking: bool) -> None:
    """Hold up the task for *seconds*, or when *blocking* the thread."""
    if blocking:
        await sleep_thread(seconds)
        return
    from asyncio import sleep  # noqa: PLC0415 - slow to import, and needed after a clash alone

    await sleep(seconds)
