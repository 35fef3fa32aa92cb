"""Blocking work of a job on a thread, which tells its progress and learns that it has to stop."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, TypeVar

from holdfast.jobs import JobCancelledError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from holdfast.jobs import Context

T = TypeVar("T")


async def on_watched_thread(
    work: Callable[[Path, Path, Callable[[float, str], None]], T],
    path: Path,
    folder: Path,
    context: Context,
) -> T:
    """Call *work* on a thread, with *path*, *folder* and what tells the job's progress.

    When the job is cancelled, or its lease lost, telling raises. When this is cancelled, it returns
    only when the thread has stopped.
    """
    stopped = threading.Event()
    told: tuple[float, str] | None = None

    def progress(fraction: float, message: str) -> None:
        nonlocal told
        if stopped.is_set():
            raise JobCancelledError("the worker was stopped")
        context.raise_if_cancelled()
        if told != (fraction, message):  # the decoder says it again while nothing changes
            told = fraction, message
            context.progress(fraction, message)

    running = asyncio.ensure_future(asyncio.to_thread(work, path, folder, progress))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        stopped.set()
        await asyncio.wait([running])
        if not running.cancelled():
            running.exception()  # asked for, or asyncio would log that nobody did
        raise
