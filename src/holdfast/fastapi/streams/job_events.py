"""Follows a job: its state and progress as server-sent events."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from starlette.responses import Response

from holdfast.errors import UnavailableError
from holdfast.fastapi.streams.event_stream import EventStreamOptions, ServerSentEvent, event_stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from uuid import UUID

    from starlette.requests import Request

    from holdfast.fastapi.streams.event_stream import Authorize, EventSource
    from holdfast.jobs import Job, Jobs

_log = logging.getLogger(__name__)
_POLL = timedelta(seconds=1)
_OPTIONS = EventStreamOptions()


async def job_event_stream(
    request: Request,
    jobs: Jobs,
    job_id: UUID,
    *,
    client: str | None = None,
    authorize: Authorize | None = None,
    options: EventStreamOptions = _OPTIONS,
) -> Response:
    """Return the response that follows the job to its end; see `job_events` for the events.

    A client that has seen the end and comes again, as browsers do, is answered with 204, which
    stops it. Raises NotFoundError, and what `event_stream` raises.
    """
    job = await jobs.get_one(job_id)
    if job.status.finished and request.headers.get("last-event-id") == str(job.version):
        return Response(status_code=204)
    events = job_events(jobs, job_id)
    return event_stream(request, events, client=client, authorize=authorize, options=options)


def job_events(jobs: Jobs, job_id: UUID, *, poll: timedelta = _POLL) -> EventSource:
    """Return the source of a job's events: one at first and one for each change, up to its end.

    The store is asked every *poll*, so what changes twice in between is told once. An event is
    called ``progress`` or, the last one, ``finished``; its data are the job's id, task, status,
    progress (0 to 1), message, attempts, result and error, its id is the job's version.
    """

    async def follow(last: str | None) -> AsyncIterator[ServerSentEvent]:
        seen = last
        told: dict[str, object] | None = None
        while True:
            try:
                job = await jobs.get(job_id)
            except UnavailableError as error:
                _log.warning("the job %s can't be followed now: %s", job_id, error)
            else:
                if job is None:  # it was purged
                    return
                state = _state(job)
                if state != told and str(job.version) != seen:
                    name = "finished" if job.status.finished else "progress"
                    yield ServerSentEvent(data=state, id=str(job.version), name=name)
                told, seen = state, str(job.version)
                if job.status.finished:
                    return
            await asyncio.sleep(poll.total_seconds())

    return follow


def _state(job: Job) -> dict[str, object]:
    return {
        "id": str(job.id),
        "task": job.task,
        "status": job.status.value,
        "progress": job.progress,
        "message": job.message,
        "attempts": job.attempts,
        "result": job.result,
        "error": job.error,
    }
