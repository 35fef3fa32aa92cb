"""The signal: an event that somebody told a job of, with its data."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from holdfast.errors import InvalidValueError
from holdfast.records import Entity, Field, created_at, field, key

EVENT_LENGTH = 200


class JobSignal(Entity, table="job_signals"):
    """One signal to a job, kept whether or not the job waits for it yet; numbered from 0."""

    job_id: Field[UUID] = key()
    number: Field[int] = key()
    event: Field[str] = field(max_length=EVENT_LENGTH)
    data: Field[object | None] = field(default=None)
    created_at: Field[datetime] = created_at()


def check_event(event: str) -> None:
    """Raise InvalidValueError for what can't be the name of an event."""
    if not isinstance(event, str) or not 0 < len(event) <= EVENT_LENGTH:
        reason = f"expected a name of 1 to {EVENT_LENGTH} characters, got {event!r}"
        raise InvalidValueError("JobSignal", "event", reason)
    JobSignal.event.to(event)  # neither NUL nor half a character
