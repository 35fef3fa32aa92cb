"""What is followed of jobs as server-sent events: the log of one, and the changes of many."""

from __future__ import annotations

import asyncio
import logging
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING

from holdfast.errors import UnavailableError
from holdfast.fastapi import ServerSentEvent
from holdfast.jobs.job_filter import JobFilter
from holdfast.option_checks import check_kind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from uuid import UUID

    from holdfast.fastapi.streams.event_stream import EventSource
    from holdfast.jobs.history.job_feed import JobFeed
    from holdfast.jobs.history.job_log import JobLogLine
    from holdfast.jobs.job import Job
    from holdfast.jobs.jobs import Jobs

_POLL = timedelta(seconds=1)
_RUN = secrets.token_hex(4)  # this process's: numbers of another one's changes mean nothing here
_log = logging.getLogger("holdfast.jobs")


def log_events(jobs: Jobs, job_id: UUID, *, poll: timedelta = _POLL) -> EventSource:
    """Return the source of a job's log lines: those that are there, then each as it is written.

    It ends with the job. An event is called ``line``; its data are position, attempt, at, level
    and text, its id is the position, behind which a client that comes again goes on.
    """

    async def follow(last: str | None) -> AsyncIterator[ServerSentEvent]:
        after = int(last) if last is not None and last.isdecimal() else 0
        while True:
            try:
                job = await jobs.get(job_id)  # before its lines: what is written later comes next
                lines = await jobs.log(job_id, after=after)
            except UnavailableError as error:
                _log.warning("the log of job %s can't be followed now: %s", job_id, error)
                await asyncio.sleep(poll.total_seconds())
                continue
            for line in lines:
                after = line.position
                yield ServerSentEvent(data=_line(line), id=str(after), name="line")
            if lines:
                continue
            if job is None or job.status.finished:
                return
            await asyncio.sleep(poll.total_seconds())

    return follow


def change_events(
    feed: JobFeed, wanted: JobFilter, *, lasting: timedelta | None = None
) -> EventSource:
    """Return the source of the changes of all jobs that fit, which ends when it has lasted so long.

    An event is called ``job``, and tells where the job stands: id, queue, task, status, progress,
    message, attempts and error. One called ``reset`` says that changes were missed: by a client
    that was away or slow for too long, or comes from another process.
    """
    check_kind(wanted, JobFilter, "wanted")

    async def follow(last: str | None) -> AsyncIterator[ServerSentEvent]:
        async for change in feed.follow(wanted, after=_number(last), lasting=lasting):
            if change is None:
                yield ServerSentEvent(data={}, id=f"{_RUN}-{feed.last}", name="reset")
            else:
                yield ServerSentEvent(
                    data=_state(change.job), id=f"{_RUN}-{change.number}", name="job"
                )

    return follow


def _number(last: str | None) -> int | None:
    """Return behind which change to go on: None at the end, -1 where nobody knows."""
    if last is None:
        return None
    run, _, number = last.partition("-")
    return int(number) if run == _RUN and number.isdecimal() else -1


def _line(line: JobLogLine) -> dict[str, object]:
    return {
        "position": line.position,
        "attempt": line.attempt,
        "at": line.at,
        "level": line.level.value,
        "text": line.text,
    }


def _state(job: Job) -> dict[str, object]:
    return {
        "id": str(job.id),
        "queue": job.queue,
        "task": job.task,
        "status": job.status.value,
        "progress": job.progress,
        "message": job.message,
        "attempts": job.attempts,
        "error": job.error,
    }
