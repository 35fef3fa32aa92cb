"""A workflow in the store: its name, how many jobs it has, how they stand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal
from uuid import UUID

from holdfast.jobs.job import JobStatus
from holdfast.records import Entity, Field, created_at, field, key, version

if TYPE_CHECKING:
    from collections.abc import Mapping


class WorkflowRun(Entity, table="job_workflows", indexes=[("name", "created_at")]):
    """One run of a workflow. Its jobs have its id as their `workflow_id`; *size* is how many."""

    id: Field[UUID] = key()
    name: Field[str] = field(max_length=200)
    size: Field[int]
    cancelled_at: Field[datetime | None] = field(default=None)
    created_at: Field[datetime] = created_at()
    version: Field[int] = version()


@dataclass(frozen=True, slots=True)
class WorkflowStatus:
    """How a workflow stands: its jobs by status, every status named, all at one moment."""

    run: WorkflowRun
    counts: Mapping[JobStatus, int]

    @property
    def finished(self) -> bool:
        """Whether all its jobs are at their end."""
        return all(status.finished or not count for status, count in self.counts.items())

    @property
    def succeeded(self) -> bool:
        """Whether all its jobs have succeeded."""
        return self.finished and not self.failed

    @property
    def failed(self) -> bool:
        """Whether a job has failed or was cancelled."""
        return bool(self.counts[JobStatus.FAILED] or self.counts[JobStatus.CANCELLED])

    @property
    def state(self) -> Literal["running", "succeeded", "failed", "cancelled"]:
        """How it stands, in a word; cancelled when it was as a whole."""
        if not self.finished:
            return "running"
        if self.run.cancelled_at is not None:
            return "cancelled"
        return "failed" if self.failed else "succeeded"

    @property
    def fraction(self) -> float:
        """How many of its jobs are at their end, from 0 to 1."""
        total = sum(self.counts.values())
        over = sum(count for status, count in self.counts.items() if status.finished)
        return over / total if total else 1.0
