"""Writes the ends of a worker's jobs: those that come while others are written go together."""

from __future__ import annotations

import asyncio
import contextvars
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from holdfast.jobs.claim import Claimed
    from holdfast.jobs.jobs import Jobs

_TOGETHER = 250  # ends of one write


class EndWriter:
    """Ends jobs of *jobs* as succeeded, in one event loop.

    An end is written at once where none is under way; those that come meanwhile go into the next
    write. Each is conditional on its own lease, and each caller is told what came of its own.
    """

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self._waiting: list[tuple[Claimed, object, asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None
        self._context = contextvars.copy_context()  # and not that of the job whose end comes first

    async def complete(self, claim: Claimed, result: object) -> None:
        """Do as `Jobs.complete`, together with others."""
        loop = asyncio.get_running_loop()
        told: asyncio.Future[None] = loop.create_future()
        self._waiting.append((claim, result, told))
        if self._writing is None or self._writing.done():
            self._writing = loop.create_task(self._write(), context=self._context)
        await told

    async def close(self) -> None:
        """Return when what is under way is written."""
        if self._writing is not None:
            await asyncio.wait({self._writing})

    async def _write(self) -> None:
        while self._waiting:
            ends, self._waiting = self._waiting[:_TOGETHER], self._waiting[_TOGETHER:]
            try:
                outcomes = await self._jobs.complete_many(
                    [(claim, result) for claim, result, _ in ends]
                )
            except BaseException as error:  # a bug is raised where the job was run
                for _, _, told in ends:
                    if not told.done():
                        told.set_exception(error)
                if not isinstance(error, Exception):
                    raise
                continue
            for (_, _, told), outcome in zip(ends, outcomes, strict=True):
                if told.done():
                    continue  # its caller waits no longer
                if outcome is None:
                    told.set_result(None)
                else:
                    told.set_exception(outcome)
