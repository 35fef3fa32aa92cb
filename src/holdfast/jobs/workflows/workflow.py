"""Workflows as they are written down before they start: jobs, and which waits for which."""

from __future__ import annotations

from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, TypeAlias
from uuid import UUID

from holdfast.errors import ConfigurationError, InvalidValueError
from holdfast.jobs.job import NO_LANE, JobStatus
from holdfast.jobs.new_job import NewJob, job_of
from holdfast.jobs.workflows.job_dependency import JobDependency, OnFailure
from holdfast.uuid7 import uuid7

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from holdfast.jobs.job import Job

_NAME_LENGTH = 200


@dataclass(frozen=True, slots=True)
class WorkflowJob:
    """A job of a workflow that is not started yet. It has the *id* that its job will have."""

    name: str
    new: NewJob
    id: UUID = field(default_factory=uuid7)


Member: TypeAlias = "WorkflowJob | Job | UUID"
"""A job of a workflow: one that was just declared, or one that is stored, by its id too."""


class Workflow:
    """Jobs, some of which wait for others; nothing is stored before `Workflows.start`.

    With *part_of*, the id of one that was started, they are added to that one.
    """

    def __init__(self, name: str, *, part_of: UUID | None = None) -> None:
        if not 0 < len(name) <= _NAME_LENGTH:
            reason = f"expected 1 to {_NAME_LENGTH} characters, got {name!r}"
            raise InvalidValueError("Workflow", "name", reason)
        self.name = name
        self.id = part_of or uuid7()
        self.is_new = part_of is None
        self.jobs: dict[UUID, WorkflowJob] = {}
        self._links: dict[tuple[UUID, UUID], OnFailure] = {}

    def job(
        self,
        task: str,
        payload: Mapping[str, object] | None = None,
        *,
        name: str | None = None,
        after: Iterable[Member] = (),
        before: Iterable[Member] = (),
        if_failed: OnFailure = OnFailure.CANCEL,
    ) -> WorkflowJob:
        """Add a job for *task* with default options; see `add`."""
        new = NewJob(task, payload)
        return self.add(new, name=name, after=after, before=before, if_failed=if_failed)

    def add(
        self,
        new: NewJob,
        *,
        name: str | None = None,
        after: Iterable[Member] = (),
        before: Iterable[Member] = (),
        if_failed: OnFailure = OnFailure.CANCEL,
    ) -> WorkflowJob:
        """Add the job *new*, which starts when all of *after* have succeeded.

        *if_failed* says what becomes of it when one of them does not. *before* are jobs that wait
        for this one. Its *name*, that of the task by default, is how others find its result;
        several may have one name. Raises InvalidValueError.
        """
        called = new.task if name is None else name
        if len(called) > _NAME_LENGTH:
            reason = f"expected at most {_NAME_LENGTH} characters, got {called!r}"
            raise InvalidValueError("Workflow", "name", reason)
        if new.options.unique is not None and not new.options.unique.while_it_lives:
            raise ConfigurationError("a job of a workflow is unique while it lives, or not at all")
        added = WorkflowJob(called, new)
        links = [(added.id, _id(other)) for other in after]
        links += [(_id(other), added.id) for other in before]
        self.jobs[added.id] = added
        self._links |= dict.fromkeys(links, if_failed)
        return added

    def then(
        self,
        task: str,
        payload: Mapping[str, object] | None = None,
        *,
        name: str | None = None,
        if_failed: OnFailure = OnFailure.RUN,
    ) -> WorkflowJob:
        """Add a job that starts when all that are there now are at their end, as it may be.

        A batch with a callback is a workflow of jobs that wait for nothing, and this.
        """
        return self.job(task, payload, name=name, after=self.jobs.values(), if_failed=if_failed)

    def links(self) -> list[JobDependency]:
        """Return which job waits for which, as it is stored."""
        return [
            JobDependency(job_id=job, on_id=on, on_failure=policy)
            for (job, on), policy in self._links.items()
        ]

    @property
    def items(self) -> int:
        """How many items of DynamoDB its jobs and links are, the guards of unique keys included."""
        options = [each.new.options for each in self.jobs.values()]
        keyed = sum(each.unique_key is not None or each.unique is not None for each in options)
        return len(self.jobs) + keyed + len(self._links)

    def outside(self) -> tuple[set[UUID], set[UUID]]:
        """Return the stored jobs that others of these wait for, and those that wait for these."""
        after = {on for _, on in self._links if on not in self.jobs}
        before = {job for job, _ in self._links if job not in self.jobs}
        return after, before

    def check(self, stored: Iterable[JobDependency] = ()) -> None:
        """Raise InvalidValueError for jobs that wait for one another in a circle.

        *stored* tells of jobs that were started before.
        """
        graph: dict[UUID, set[UUID]] = {each: set() for each in self.jobs}
        for job, on in (*self._links, *((link.job_id, link.on_id) for link in stored)):
            graph.setdefault(job, set()).add(on)
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            circle = [self._called(each) for each in reversed(error.args[1])]
            reason = f"wait for one another in a circle: {' after '.join(circle)}"
            raise InvalidValueError("Workflow", "jobs", reason) from None

    def stored(self, now: datetime) -> dict[UUID, Job]:
        """Return the jobs to be stored, by id, as if none waited for jobs outside of these."""
        jobs: dict[UUID, Job] = {}
        for each in self.jobs.values():
            job = jobs[each.id] = job_of(each.new, now)
            job.id, job.name, job.workflow_id = each.id, each.name, self.id
        for job_id, on_id in self._links:
            if on_id in jobs:
                jobs[on_id].dependents += 1
                jobs[on_id].awaited = True
                if job_id in jobs:
                    holds(jobs[job_id])
        return jobs

    def _called(self, job_id: UUID) -> str:
        return self.jobs[job_id].name if job_id in self.jobs else str(job_id)


def holds(job: Job) -> None:
    """Let *job*, which is not stored yet, wait for one more."""
    job.pending += 1
    job.status, job.lane = JobStatus.WAITING, NO_LANE


def _id(member: Member) -> UUID:
    return member if isinstance(member, UUID) else member.id
