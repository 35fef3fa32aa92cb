"""Async generators: which one runs now, and whether somebody still iterates over it.

A generator runs in the context of the code that asks for its next item. What it sets there stays
when it is left by `break`, until the event loop closes it, in another task.
"""

from __future__ import annotations

import sys
from inspect import CO_ASYNC_GENERATOR
from typing import TYPE_CHECKING
from weakref import WeakSet, ref

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import AsyncGeneratorType, FrameType


class Iteration:
    """An async generator at work, and those over which the event loop knows somebody iterates."""

    def __init__(
        self,
        generator: AsyncGeneratorType[object, object],
        iterated: WeakSet[AsyncGeneratorType[object, object]],
    ) -> None:
        self._generator = ref(generator)
        self._iterated = iterated

    def abandoned(self) -> bool:
        """Return whether nobody iterates any more, so that the loop is about to close it."""
        generator = self._generator()
        return generator is None or generator not in self._iterated

    def runs_here(self) -> bool:
        """Return whether the running code is the generator's, or was called by it."""
        generator = self._generator()
        return generator is not None and any(frame is generator.ag_frame for frame in _frames())


def iteration() -> Iteration | None:
    """Return the innermost async generator that the running code was called by.

    None where there is none, and under an event loop that does not say which ones it would close.
    """
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - the only way to who called
    while frame is not None and not frame.f_code.co_flags & CO_ASYNC_GENERATOR:
        frame = frame.f_back
    asyncio = sys.modules.get("asyncio")
    if frame is None or asyncio is None:
        return None
    iterated = getattr(asyncio._get_running_loop(), "_asyncgens", None)  # noqa: SLF001 - the public one raises where no loop runs
    if not isinstance(iterated, WeakSet):
        return None
    generators = {id(generator.ag_frame): generator for generator in tuple(iterated)}
    while frame is not None:
        if id(frame) in generators:
            return Iteration(generators[id(frame)], iterated)
        frame = frame.f_back
    return None


def _frames() -> Iterator[FrameType]:
    """Yield the frames of the running code, the innermost first, up to its task's beginning."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - the only way to who called
    while frame is not None:
        yield frame
        frame = frame.f_back
