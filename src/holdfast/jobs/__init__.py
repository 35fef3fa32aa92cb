"""Jobs: work that is stored, claimed under a lease, retried, watched and cancelled."""

from holdfast.errors import JobCancelledError, PermanentError
from holdfast.jobs.claim import Claimed
from holdfast.jobs.context import Context
from holdfast.jobs.handler import Handler
from holdfast.jobs.job import Job, JobStatus, QueueStatistics
from holdfast.jobs.jobs import Enqueued, Jobs
from holdfast.jobs.options import Backoff, EnqueueOptions
from holdfast.jobs.worker import Worker, WorkerOptions

__all__ = [
    "Backoff",
    "Claimed",
    "Context",
    "EnqueueOptions",
    "Enqueued",
    "Handler",
    "Job",
    "JobCancelledError",
    "JobStatus",
    "Jobs",
    "PermanentError",
    "QueueStatistics",
    "Worker",
    "WorkerOptions",
]
