"""Which jobs are meant: by queue, task, status, tag, workflow, age and error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.jobs.job import Job, JobStatus
from holdfast.records import everything

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from holdfast.records import Predicate


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """Fits the jobs of which all that is said holds; what is None, or empty, says nothing.

    *statuses*: one of them. *error* is a part of the job's last error. Created not before *since*
    and before *until*.
    """

    statuses: Sequence[JobStatus] = ()
    queue: str | None = None
    task: str | None = None
    tag: str | None = None
    workflow_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None
    error: str | None = None

    def where(self) -> Predicate[Job]:
        """Return the condition on stored jobs."""
        found: Predicate[Job] = everything()
        if self.statuses:
            found &= Job.status.in_(tuple(self.statuses))
        if self.queue is not None:
            found &= Job.queue == self.queue
        if self.task is not None:
            found &= Job.task == self.task
        if self.tag is not None:
            found &= Job.tags.has_item(self.tag)
        if self.workflow_id is not None:
            found &= Job.workflow_id == self.workflow_id
        if self.since is not None:
            found &= Job.created_at >= self.since
        if self.until is not None:
            found &= Job.created_at < self.until
        if self.error is not None:
            found &= Job.error.contains(self.error)
        return found

    def fits(self, job: Job) -> bool:
        """Return whether *job* is meant, as `where` would."""
        return (
            (not self.statuses or job.status in self.statuses)
            and self.queue in (None, job.queue)
            and self.task in (None, job.task)
            and (self.tag is None or self.tag in job.tags)
            and self.workflow_id in (None, job.workflow_id)
            and (self.since is None or job.created_at >= self.since)
            and (self.until is None or job.created_at < self.until)
            and (self.error is None or self.error in (job.error or ""))
        )
