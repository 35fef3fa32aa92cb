"""Jobs that run in the process of an application, between its start and its end."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.jobs import Worker, WorkerOptions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from holdfast.jobs import Handler, Jobs, Schedule

_log = logging.getLogger("holdfast.fastapi")


@dataclass(frozen=True, slots=True)
class BackgroundJobs:
    """The handlers of jobs that a worker inside the application runs, and what tunes it.

    *schedules* stand in code; see `Worker`.
    """

    handlers: Mapping[str, Handler]
    options: WorkerOptions = WorkerOptions()  # noqa: RUF009 - it is frozen
    schedules: Sequence[Schedule] = ()


@asynccontextmanager
async def working(jobs: BackgroundJobs, service: Jobs) -> AsyncIterator[Worker]:
    """Run a worker of *service* while the block does.

    At its end no job is claimed, and what runs ends first. A worker that ends by an error of its
    own is logged at once; the error is raised at the end.
    """
    worker = Worker(service, jobs.handlers, options=jobs.options, schedules=jobs.schedules)
    task = asyncio.create_task(worker.run(), name="holdfast-worker")
    task.add_done_callback(_note)
    try:
        yield worker
    finally:
        worker.stop()
        await task


def _note(task: asyncio.Task[int]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("the worker in the application ended", exc_info=error)
