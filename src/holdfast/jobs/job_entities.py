"""The entities of jobs: what a store is opened with that does all that jobs can."""

from __future__ import annotations

from holdfast.jobs.held_key import HeldKey
from holdfast.jobs.history.job_attempt import JobAttempt
from holdfast.jobs.history.job_log import JobLogLine
from holdfast.jobs.history.task_figures import TaskFailure, TaskFigures
from holdfast.jobs.job import Job
from holdfast.jobs.job_queue import JobQueue
from holdfast.jobs.limits.job_limit import JobLimit, JobLimitKey
from holdfast.jobs.schedules.schedule import JobSchedule
from holdfast.jobs.workflows.job_dependency import JobDependency
from holdfast.jobs.workflows.job_signal import JobSignal
from holdfast.jobs.workflows.job_step import JobStep
from holdfast.jobs.workflows.workflow_run import WorkflowRun

JOB_ENTITIES: tuple[type, ...] = (
    Job,
    HeldKey,
    JobStep,
    JobSignal,
    JobDependency,
    WorkflowRun,
    JobAttempt,
    JobLogLine,
    JobLimit,
    JobLimitKey,
    TaskFailure,
    TaskFigures,
    JobQueue,
    JobSchedule,
)
"""For `open_store(url, [Video, *JOB_ENTITIES])`; `Job` alone is enough for a plain queue."""
