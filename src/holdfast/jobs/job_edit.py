"""What is edited of a job that is queued."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from holdfast.errors import ConfigurationError
from holdfast.jobs.claim import precedence_of
from holdfast.jobs.job import NO_LANE, Job, checked_payload

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from holdfast.records import Change


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEdit:
    """What is to be changed of a queued job; what is None stays as it is.

    *no_deadline* takes its deadline away. See `EnqueueOptions` for the rest.
    Raises ConfigurationError when it says nothing, or what can't be.
    """

    payload: Mapping[str, object] | None = None
    queue: str | None = None
    priority: int | None = None
    run_at: datetime | None = None
    deadline: datetime | None = None
    no_deadline: bool = False
    tags: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.queue == "":
            raise ConfigurationError("queue='': a queue has a name")
        if self.deadline is not None and self.no_deadline:
            raise ConfigurationError("an edit takes deadline or no_deadline, not both")
        if isinstance(self.tags, str):
            raise ConfigurationError(f"tags={self.tags!r}: expected some texts")
        said = [getattr(self, each.name) for each in fields(self)]
        if all(value is None or value is False for value in said):
            raise ConfigurationError("an edit says what is to be changed")

    def changes(self) -> tuple[Change, ...]:
        """Return the changes to a job. Raises InvalidValueError for a payload that can't be."""
        made: list[Change] = []
        if self.payload is not None:
            made.append(Job.payload.to(checked_payload(self.payload)))
        if self.queue is not None:
            made.append(Job.queue.to(self.queue))
        if self.priority is not None:
            made.append(Job.priority.to(self.priority))
            made.append(Job.precedence.to(precedence_of(self.priority)))
        if self.run_at is not None:
            made.append(Job.run_at.to(self.run_at))
        if self.queue is not None or self.run_at is not None:
            made.append(Job.lane.to(NO_LANE))  # until it is looked for where it belongs now
        if self.deadline is not None or self.no_deadline:
            made.append(Job.deadline.to(self.deadline))
        if self.tags is not None:
            made.append(Job.tags.to(list(self.tags)))
        return tuple(made)
