"""The record of a step: what a handler did durably, and what came of it."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from holdfast.records import Entity, Field, field, key

STEP_NAME_LENGTH = 200


class JobStep(Entity, table="job_steps"):
    """One durable step of a job. A job's steps are numbered from 0, as they were recorded.

    A handler finds its step by *name* and *occurrence*, which counts the steps of one name from 0.
    *after* is the step that came before it in the same line of the code, empty for the first, null
    where that is not known; *branch* says that the line is one of several that run at once, or that
    another step had failed there.

    Sleeps and waits are steps too. They are recorded when they begin, *finished_at* is null until
    they are over, and *until* is when that is at the latest. *signal* is the number of the signal
    that ended a wait.
    """

    job_id: Field[UUID] = key()
    number: Field[int] = key()
    name: Field[str] = field(max_length=STEP_NAME_LENGTH)
    occurrence: Field[int]
    after: Field[str | None] = field(default=None, max_length=STEP_NAME_LENGTH + 20)
    branch: Field[bool] = field(default=False)
    result: Field[object | None] = field(default=None)
    until: Field[datetime | None] = field(default=None)
    signal: Field[int | None] = field(default=None)
    timed_out: Field[bool] = field(default=False)
    attempt: Field[int]
    started_at: Field[datetime]
    finished_at: Field[datetime | None] = field(default=None)

    @property
    def label(self) -> str:
        """Its name, and which of that name it is."""
        return step_label(self.name, self.occurrence)


def step_label(name: str, occurrence: int) -> str:
    """Return how a step is called: `probe`, and the second one of that name `probe#1`."""
    return f"{name}#{occurrence}" if occurrence else name
