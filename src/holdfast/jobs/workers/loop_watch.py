"""Notices an event loop that is blocked: leases are renewed on it, and would be lost in silence."""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator

_log = logging.getLogger("holdfast.jobs")


@contextmanager
def watching(
    loop: asyncio.AbstractEventLoop, patience: float, *, running: Callable[[], str]
) -> Iterator[None]:
    """Log an error when *loop*, which runs on this thread, takes longer than *patience* seconds.

    It is asked for a sign of life every *patience* seconds, from a thread of its own. Logged is
    where the loop's thread stands then, and what *running* returns; and how long it was, when it
    goes on.
    """
    over = threading.Event()
    thread = threading.Thread(
        target=_watch,
        args=(loop, threading.get_ident(), patience, over, running),
        name="holdfast-loop-watch",
        daemon=True,
    )
    thread.start()
    try:
        yield
    finally:
        over.set()  # and not joined: it may be asking a loop that answers on this thread


def _watch(
    loop: asyncio.AbstractEventLoop,
    ident: int,
    patience: float,
    over: threading.Event,
    running: Callable[[], str],
) -> None:
    while not over.wait(patience):
        alive = threading.Event()
        try:
            loop.call_soon_threadsafe(alive.set)
        except RuntimeError:
            if loop.is_closed():
                return
            raise
        if alive.wait(patience) or over.is_set():
            continue
        frame = sys._current_frames().get(ident)  # noqa: SLF001 - there is no other way to it
        _log.error(
            "the event loop is blocked for %g s, so no lease is renewed (running: %s); it stands "
            "at:\n%s",
            patience,
            running(),
            "".join(traceback.format_stack(frame)).rstrip(),
        )
        while not alive.wait(patience):
            if over.is_set():
                return
        _log.warning("the event loop goes on")
