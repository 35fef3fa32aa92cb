"""What clients of the HTTP API send and get about workflows, steps and signals."""

from collections.abc import Sequence
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, JsonValue, StringConstraints

from holdfast.fastapi import ListQuery, OutModel
from holdfast.jobs.job import Job, JobStatus
from holdfast.jobs.workflows.job_dependency import JobDependency
from holdfast.jobs.workflows.job_signal import EVENT_LENGTH, JobSignal
from holdfast.jobs.workflows.job_step import JobStep
from holdfast.jobs.workflows.workflow_run import WorkflowRun, WorkflowStatus
from holdfast.jobs.workflows.workflows import newest_first
from holdfast.records import Order

_SHOWN = (
    Job.id,
    Job.name,
    Job.task,
    Job.queue,
    Job.status,
    Job.progress,
    Job.message,
    Job.error,
    Job.attempts,
    Job.max_attempts,
    Job.pending,
    Job.event,
    Job.started_at,
    Job.finished_at,
)


class WorkflowRunOut(OutModel[WorkflowRun]):
    """One run of a workflow."""


class WorkflowQuery(
    ListQuery[WorkflowRun],
    filters=[WorkflowRun.name, WorkflowRun.created_at.between],
    sorts=[WorkflowRun.created_at.desc()],
):
    """What a list of workflows is asked for."""

    def order_by(self) -> list[Order]:
        """Return the order that was asked for, or the newest first, along an index."""
        if getattr(self, "sort", ()):
            return super().order_by()
        return [newest_first(named="name" in self.model_fields_set)]


class WorkflowJobOut(OutModel[Job], only=_SHOWN):
    """A job of a workflow: where it stands, without what it was given and has returned."""


class DependencyOut(OutModel[JobDependency]):
    """The job *job_id* waits for the job *on_id*, or has waited for it."""


class WorkflowStatusOut(BaseModel):
    """How a workflow stands; *fraction*, from 0 to 1, is what of it is at its end."""

    run: WorkflowRunOut
    counts: dict[JobStatus, int]
    state: Literal["running", "succeeded", "failed", "cancelled"]
    fraction: float
    finished: bool
    succeeded: bool
    failed: bool

    @classmethod
    def of(cls, found: WorkflowStatus) -> Self:
        """Return *found* as it is shown."""
        return cls(
            run=WorkflowRunOut.of(found.run),
            counts=dict(found.counts),
            state=found.state,
            fraction=found.fraction,
            finished=found.finished,
            succeeded=found.succeeded,
            failed=found.failed,
        )


class WorkflowShown(BaseModel):
    """A workflow with some of its jobs, and what those wait for.

    *next* is what to give as `after` for the jobs behind them. *more_links* says that they wait for
    more than is told here.
    """

    workflow: WorkflowStatusOut
    jobs: list[WorkflowJobOut]
    links: list[DependencyOut]
    more_links: bool
    next: UUID | None


class WorkflowRetried(BaseModel):
    """How many jobs are to be done *again*, and how the workflow stands now."""

    again: int
    workflow: WorkflowStatusOut


class SignalAsked(BaseModel):
    """The *event* that a job is told of, with its *data*."""

    model_config = ConfigDict(extra="forbid")

    event: Annotated[str, StringConstraints(min_length=1, max_length=EVENT_LENGTH)]
    data: JsonValue = None


class JobSignalOut(OutModel[JobSignal], hide=[JobSignal.job_id]):
    """A signal that a job was sent."""


class JobSignalPage(BaseModel):
    """Some signals of a job; *next* is what to give as `first` for those behind them."""

    signals: list[JobSignalOut]
    next: int | None

    @classmethod
    def of(cls, found: Sequence[JobSignal], *, size: int) -> Self:
        """Return *found*, which was asked for with one more than *size*."""
        return cls(
            signals=[JobSignalOut.of(each) for each in found[:size]], next=_behind(found, size)
        )


class JobStepOut(OutModel[JobStep], hide=[JobStep.job_id]):
    """A step that a job has recorded."""


class JobStepPage(BaseModel):
    """Some steps of a job; *next* is what to give as `first` for those behind them."""

    steps: list[JobStepOut]
    next: int | None

    @classmethod
    def of(cls, found: Sequence[JobStep], *, size: int) -> Self:
        """Return *found*, which was asked for with one more than *size*."""
        return cls(steps=[JobStepOut.of(each) for each in found[:size]], next=_behind(found, size))


def _behind(found: Sequence[JobSignal] | Sequence[JobStep], size: int) -> int | None:
    return found[size].number if len(found) > size else None
