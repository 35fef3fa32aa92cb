"""Takes over the jobs that wait in Celery's, arq's and procrastinate's queues."""

from holdfast.integrations.queues.arq_jobs import arq_jobs
from holdfast.integrations.queues.celery_messages import celery_jobs
from holdfast.integrations.queues.foreign_job import ForeignJob, RefusedJob
from holdfast.integrations.queues.job_import import ImportReport, import_jobs
from holdfast.integrations.queues.procrastinate_tables import procrastinate_jobs
from holdfast.integrations.queues.redis_source import redis_source

__all__ = [
    "ForeignJob",
    "ImportReport",
    "RefusedJob",
    "arq_jobs",
    "celery_jobs",
    "import_jobs",
    "procrastinate_jobs",
    "redis_source",
]
