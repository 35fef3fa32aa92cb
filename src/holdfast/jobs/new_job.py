"""What is to be enqueued: a task, its payload and options; and the job that it becomes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from holdfast.errors import ConfigurationError, InvalidValueError
from holdfast.jobs.claim import placed
from holdfast.jobs.job import Job, checked_payload
from holdfast.jobs.options import EnqueueOptions

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

DEFAULT_QUEUE = "default"
ATTEMPTS = 3
_DEFAULTS = EnqueueOptions()


@dataclass(frozen=True, slots=True)
class NewJob:
    """What a job is made of; see `Jobs.enqueue` for what each part means.

    *schedule* and *tick* are the name and the time by which a schedule makes it.
    """

    task: str
    payload: Mapping[str, object] | None = None
    options: EnqueueOptions = _DEFAULTS
    schedule: str | None = None
    tick: datetime | None = None


@dataclass(frozen=True, slots=True)
class Enqueued:
    """The job that now stands for the work, and whether it was made by this call."""

    job: Job
    created: bool


def job_of(new: NewJob, now: datetime) -> Job:
    """Return the job, not stored yet, that *new* asks for at *now*. Raises InvalidValueError."""
    if not new.task:
        raise InvalidValueError("Job", "task", "is empty; a task has a name")
    options = new.options
    if not isinstance(options, EnqueueOptions):
        raise ConfigurationError(f"options={options!r}: expected EnqueueOptions(...)")
    payload = checked_payload(new.payload)
    unique = options.unique
    unique_key = options.unique_key
    if unique is not None and unique.while_it_lives:
        unique_key = unique.key_of(new.task, payload)
    job = Job(
        queue=options.queue or DEFAULT_QUEUE,
        task=new.task,
        payload=payload,
        priority=options.priority or 0,
        max_attempts=options.max_attempts or ATTEMPTS,
        run_at=options.run_at or now + (options.delay or timedelta(0)),
        deadline=options.deadline,
        unique_key=unique_key,
        live_key=unique_key,
        held_key=None
        if unique is None or unique.while_it_lives
        else unique.key_of(new.task, payload),
        tags=list(options.tags or ()),
        limit_key=options.limit_key,
        schedule=new.schedule,
        tick=new.tick,
        retention=None
        if options.retention is None
        else math.ceil(options.retention.total_seconds()),
    )
    return placed(job, now)
