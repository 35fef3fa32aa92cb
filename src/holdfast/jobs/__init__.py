"""Jobs: work that is stored, claimed under a lease, retried, watched and cancelled."""

from holdfast.errors import (
    EventTimeoutError,
    JobCancelledError,
    JobKeyMissingError,
    JobTimeoutError,
    NoResultError,
    PermanentError,
    ProcessEndedError,
    RetryLaterError,
    StepsChangedError,
)
from holdfast.jobs.claim import Claimed
from holdfast.jobs.history.job_attempt import AttemptOutcome, JobAttempt
from holdfast.jobs.history.job_feed import JobChange, JobFeed
from holdfast.jobs.history.job_log import JobLogLine, LogLevel
from holdfast.jobs.history.queue_position import QueuePosition
from holdfast.jobs.history.task_figures import TaskFailure, TaskFigures
from holdfast.jobs.history.task_statistics import FailureGroup, FigureQuery, TaskStatistics
from holdfast.jobs.job import Job, JobStatus, QueueStatistics
from holdfast.jobs.job_changes import BulkChange
from holdfast.jobs.job_edit import JobEdit
from holdfast.jobs.job_entities import JOB_ENTITIES
from holdfast.jobs.job_filter import JobFilter
from holdfast.jobs.job_queue import JobQueue, Queues, QueueStatus
from holdfast.jobs.jobs import Jobs
from holdfast.jobs.limits.job_limit import JobLimit, JobLimitKey, Limit
from holdfast.jobs.limits.job_limits import LimitUse
from holdfast.jobs.new_job import Enqueued, NewJob
from holdfast.jobs.options import Backoff, EnqueueOptions
from holdfast.jobs.schedules.schedule import JobSchedule, Schedule, ScheduleStatus, upcoming
from holdfast.jobs.schedules.scheduler import Scheduler
from holdfast.jobs.schedules.schedules import Schedules
from holdfast.jobs.sealing_keys import JobKeys
from holdfast.jobs.typed_tasks.retry_policy import RetryPolicy
from holdfast.jobs.typed_tasks.typed_task import Task, task, tasks
from holdfast.jobs.uniqueness import Uniqueness
from holdfast.jobs.workers.context import Context
from holdfast.jobs.workers.handler import Handler, HandlerOptions, runs
from holdfast.jobs.workers.middleware import CallNext, Middleware
from holdfast.jobs.workers.worker import Worker
from holdfast.jobs.workers.worker_options import WorkerOptions
from holdfast.jobs.workflows.blocking_steps import BlockingSteps
from holdfast.jobs.workflows.job_dependency import JobDependency, OnFailure
from holdfast.jobs.workflows.job_signal import JobSignal
from holdfast.jobs.workflows.job_step import JobStep
from holdfast.jobs.workflows.workflow import Workflow, WorkflowJob
from holdfast.jobs.workflows.workflow_run import WorkflowRun, WorkflowStatus
from holdfast.jobs.workflows.workflows import Workflows

__all__ = [
    "JOB_ENTITIES",
    "AttemptOutcome",
    "Backoff",
    "BlockingSteps",
    "BulkChange",
    "CallNext",
    "Claimed",
    "Context",
    "EnqueueOptions",
    "Enqueued",
    "EventTimeoutError",
    "FailureGroup",
    "FigureQuery",
    "Handler",
    "HandlerOptions",
    "Job",
    "JobAttempt",
    "JobCancelledError",
    "JobChange",
    "JobDependency",
    "JobEdit",
    "JobFeed",
    "JobFilter",
    "JobKeyMissingError",
    "JobKeys",
    "JobLimit",
    "JobLimitKey",
    "JobLogLine",
    "JobQueue",
    "JobSchedule",
    "JobSignal",
    "JobStatus",
    "JobStep",
    "JobTimeoutError",
    "Jobs",
    "Limit",
    "LimitUse",
    "LogLevel",
    "Middleware",
    "NewJob",
    "NoResultError",
    "OnFailure",
    "PermanentError",
    "ProcessEndedError",
    "QueuePosition",
    "QueueStatistics",
    "QueueStatus",
    "Queues",
    "RetryLaterError",
    "RetryPolicy",
    "Schedule",
    "ScheduleStatus",
    "Scheduler",
    "Schedules",
    "StepsChangedError",
    "Task",
    "TaskFailure",
    "TaskFigures",
    "TaskStatistics",
    "Uniqueness",
    "Worker",
    "WorkerOptions",
    "Workflow",
    "WorkflowJob",
    "WorkflowRun",
    "WorkflowStatus",
    "Workflows",
    "runs",
    "task",
    "tasks",
    "upcoming",
]
