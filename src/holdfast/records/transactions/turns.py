"""How the callers of one transaction wait for one another, as tasks or as threads."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Callable
    from contextlib import AbstractContextManager

PATIENCE = 60.0
"""Seconds that a call waits for its turn where a driver names no `lock_timeout`."""


class Turns(Protocol):
    """Lets the callers of one transaction wait for one another."""

    held: AbstractContextManager[object]
    """Held while a caller looks whether it may go on, and goes on."""
    exclusive: bool
    """Whether who holds them keeps the others out."""

    async def wait(self, ready: Callable[[], bool], patience: float) -> bool:
        """Return True once *ready*, False when that takes longer than *patience* seconds."""
        ...

    def notify(self) -> None:
        """Let those who wait look again."""
        ...


class TaskTurns:
    """Turns among the tasks of one event loop: who has waited longest looks first."""

    held: AbstractContextManager[object] = nullcontext()
    exclusive = False

    def __init__(self) -> None:
        self._waiting: list[Future[None]] = []

    async def wait(self, ready: Callable[[], bool], patience: float) -> bool:
        """See `Turns`."""
        import asyncio  # noqa: PLC0415 - slow to import, and needed where tasks meet alone

        try:
            async with asyncio.timeout(patience):
                while not ready():
                    changed = asyncio.get_running_loop().create_future()
                    self._waiting.append(changed)
                    try:
                        await changed
                    finally:
                        self._waiting.remove(changed)
        except TimeoutError:
            return False
        return True

    def notify(self) -> None:
        """See `Turns`."""
        for changed in self._waiting:
            if not changed.done():
                changed.set_result(None)


class ThreadTurns:
    """Turns among threads."""

    exclusive = True

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.RLock())
        self.held: AbstractContextManager[object] = self._changed

    async def wait(self, ready: Callable[[], bool], patience: float) -> bool:
        """See `Turns`."""
        return self._changed.wait_for(ready, patience)

    def notify(self) -> None:
        """See `Turns`."""
        with self._changed:
            self._changed.notify_all()
