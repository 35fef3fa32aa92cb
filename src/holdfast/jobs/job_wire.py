"""What clients of the HTTP API send and get about jobs."""

from datetime import datetime, timedelta
from typing import Self
from uuid import UUID

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    StrictBool,
    StrictInt,
    model_validator,
)

from holdfast.errors import ConfigurationError
from holdfast.fastapi import ListQuery, OutModel
from holdfast.fastapi.crud.query_time import QueryTime
from holdfast.jobs.history.job_attempt import JobAttempt
from holdfast.jobs.history.job_log import JobLogLine
from holdfast.jobs.history.queue_position import QueuePosition
from holdfast.jobs.history.task_statistics import FailureGroup, TaskStatistics
from holdfast.jobs.job import Job, JobStatus, QueueStatistics
from holdfast.jobs.job_changes import MOST_AT_ONCE, BulkChange
from holdfast.jobs.job_edit import JobEdit
from holdfast.jobs.job_filter import JobFilter

_HIDDEN = (Job.lease, Job.live_key, Job.held_key, Job.traceparent, Job.lane, Job.precedence)
_LONGEST = 255


class JobOut(OutModel[Job], hide=_HIDDEN):
    """A job as clients see it: without the token of its lease."""


class JobQuery(
    ListQuery[Job],
    filters=[
        Job.status,
        Job.queue,
        Job.task,
        Job.workflow_id,
        Job.created_at.between,
        Job.finished_at.between,
    ],
    sorts=[Job.created_at.desc(), Job.priority, Job.run_at],
):
    """What a list of jobs is asked for."""


class JobAttemptOut(OutModel[JobAttempt], hide=[JobAttempt.id, JobAttempt.job_id]):
    """An attempt at a job; without an end while it runs."""


class JobLogLineOut(OutModel[JobLogLine], hide=[JobLogLine.id, JobLogLine.job_id]):
    """A line of a job's log."""


class JobLogPage(BaseModel):
    """Some lines of a log; *next* is what to give as `after` for those behind them."""

    lines: list[JobLogLineOut]
    next: int


class QueuePositionOut(BaseModel):
    """A job's place in its queue, and when it may start; no times where too little is known."""

    place: int | None
    earliest: datetime | None = None
    latest: datetime | None = None

    @classmethod
    def of(cls, found: QueuePosition | None) -> Self:
        """Return *found* as it is shown: no place for a job that is not queued."""
        if found is None:
            return cls(place=None)
        return cls(place=found.place, earliest=found.earliest, latest=found.latest)


class QueueOut(BaseModel):
    """How many jobs of a queue stand where, and for how many seconds the oldest has been due."""

    counts: dict[JobStatus, int]
    oldest: float | None

    @classmethod
    def of(cls, found: QueueStatistics) -> Self:
        """Return *found* as it is shown."""
        oldest = None if found.oldest is None else found.oldest.total_seconds()
        return cls(counts=dict(found.counts), oldest=oldest)


class TaskStatisticsOut(BaseModel):
    """What the jobs of a task or queue came to in a time; durations are in seconds."""

    name: str
    start: datetime
    length: float
    succeeded: int
    failed: int
    cancelled: int
    retried: int
    lost: int
    per_second: float
    timed: int
    mean: float | None
    p50: float | None
    p95: float | None
    p99: float | None

    @classmethod
    def of(cls, found: TaskStatistics) -> Self:
        """Return *found* as it is shown."""
        return cls(
            name=found.name,
            start=found.start,
            length=found.length.total_seconds(),
            succeeded=found.succeeded,
            failed=found.failed,
            cancelled=found.cancelled,
            retried=found.retried,
            lost=found.lost,
            per_second=found.per_second,
            timed=found.timed,
            mean=_seconds(found.mean),
            p50=_seconds(found.percentile(0.50)),
            p95=_seconds(found.percentile(0.95)),
            p99=_seconds(found.percentile(0.99)),
        )


class FailureGroupOut(BaseModel):
    """How often attempts failed for one reason, with the latest error and its job."""

    queue: str
    task: str
    reason: str
    count: int
    example: str
    job_id: UUID
    latest: datetime

    @classmethod
    def of(cls, found: FailureGroup) -> Self:
        """Return *found* as it is shown."""
        return cls(**{name: getattr(found, name) for name in cls.model_fields})


class JobEditIn(BaseModel):
    """What is to be changed of a job; what is not there stays as it is."""

    model_config = ConfigDict(extra="forbid")

    payload: dict[str, JsonValue] | None = None
    queue: str | None = Field(default=None, min_length=1, max_length=100)
    priority: StrictInt | None = None
    run_at: QueryTime | None = None
    deadline: QueryTime | None = None
    no_deadline: StrictBool = False
    tags: list[str] | None = Field(default=None, max_length=100)

    @model_validator(mode="after")
    def can_be(self) -> Self:
        """Refuse what says nothing, or a deadline and none."""
        try:
            self.edit()
        except ConfigurationError as error:
            raise ValueError(str(error)) from None
        return self

    def edit(self) -> JobEdit:
        """Return it as the verbs take it."""
        said = {name: getattr(self, name) for name in type(self).model_fields}
        return JobEdit(**{**said, "tags": None if self.tags is None else tuple(self.tags)})


class JobFilterIn(BaseModel):
    """Which jobs are meant: those of which all that is said holds."""

    model_config = ConfigDict(extra="forbid")

    statuses: list[JobStatus] = Field(default=[], max_length=len(JobStatus))
    queue: str | None = Field(default=None, max_length=100)
    task: str | None = Field(default=None, max_length=200)
    tag: str | None = Field(default=None, max_length=_LONGEST)
    workflow_id: UUID | None = None
    since: QueryTime | None = None
    until: QueryTime | None = None
    error: str | None = Field(default=None, min_length=1, max_length=_LONGEST)

    def filter(self) -> JobFilter:
        """Return it as the verbs take it."""
        said = {name: getattr(self, name) for name in JobFilterIn.model_fields}
        return JobFilter(**{**said, "statuses": tuple(self.statuses)})


class FollowQuery(JobFilterIn):
    """Which jobs' changes are followed, and for how many *seconds*."""

    seconds: float = Field(default=3_600, gt=0, le=3_600)


class BulkAsked(BaseModel):
    """Which jobs are to be changed at once, at most *limit*, from the one behind *after* on.

    With *dry_run* they are counted, and left as they are.
    """

    model_config = ConfigDict(extra="forbid")

    jobs: JobFilterIn
    everything: StrictBool = False
    dry_run: StrictBool = False
    limit: StrictInt = Field(default=500, ge=1, le=MOST_AT_ONCE)
    after: UUID | None = None

    @model_validator(mode="after")
    def says_which(self) -> Self:
        """Refuse a filter that says nothing, unless everything is meant."""
        if not self.everything and self.jobs.filter() == JobFilter():
            raise ValueError("say which jobs are meant, or everything=true")
        return self


class BulkEditAsked(BulkAsked):
    """Which jobs are to be edited, and how."""

    edit: JobEditIn


class BulkOut(BaseModel):
    """What was done: jobs *changed*, and *refused* as they had moved on; go on with *next*.

    A dry run says how many are *matching* instead.
    """

    matching: int | None = None
    changed: int = 0
    refused: int = 0
    next: UUID | None = None

    @classmethod
    def of(cls, found: BulkChange) -> Self:
        """Return *found* as it is shown."""
        return cls(changed=found.changed, refused=found.refused, next=found.next)


def _seconds(time: timedelta | None) -> float | None:
    return None if time is None else time.total_seconds()
