"""The routes of jobs: lists, one job, its progress as it comes, and its cancellation."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel

from holdfast.access import Role
from holdfast.access.gate import allow, still_allowed
from holdfast.errors import NotFoundError
from holdfast.fastapi import ListQuery, OutModel, Repo, problem_responses
from holdfast.fastapi.job_events import job_event_stream
from holdfast.jobs.job import Job
from holdfast.jobs.jobs import Jobs
from holdfast.records import Page


class JobOut(OutModel[Job], hide=[Job.lease, Job.live_key, Job.traceparent]):
    """A job as clients see it: without the token of its lease."""


class JobQuery(
    ListQuery[Job],
    filters=[Job.status, Job.queue, Job.task, Job.created_at.between],
    sorts=[Job.created_at.desc(), Job.priority, Job.run_at],
):
    """What a list of jobs is asked for."""


class QueueFigures(BaseModel):
    """How many jobs of a queue stand where."""

    queued: int
    running: int
    succeeded: int
    failed: int
    cancelled: int


def job_routes(jobs: Jobs) -> APIRouter:
    """Return the routes of *jobs*."""
    router = APIRouter(tags=["jobs"], prefix="/jobs")

    @router.get("", dependencies=[allow(Role.VIEWER)])
    async def list_jobs(asked: Annotated[JobQuery, Query()], found: Repo[Job]) -> Page[JobOut]:
        """List jobs, newest first."""
        return await asked.page(found, JobOut)

    @router.get("/{job_id}", dependencies=[allow(Role.VIEWER)], responses=problem_responses(404))
    async def get(job_id: UUID) -> JobOut:
        """Show one job."""
        return JobOut.of(await _found(jobs, job_id))

    @router.get(
        "/{job_id}/events",
        dependencies=[allow(Role.VIEWER)],
        responses=problem_responses(404),
        response_class=Response,
    )
    async def events(job_id: UUID, request: Request) -> Response:
        """Follow a job to its end: server-sent events `progress`, and `finished` as the last."""
        return await job_event_stream(request, jobs, job_id, authorize=still_allowed(request))

    @router.post(
        "/{job_id}/cancellation",
        dependencies=[allow(Role.OPERATOR)],
        responses=problem_responses(404),
    )
    async def cancel(job_id: UUID) -> JobOut:
        """Cancel a job: at once where it waits, soon where it runs; one at its end stays so."""
        return JobOut.of(await jobs.cancel(job_id))

    return router


async def _found(jobs: Jobs, job_id: UUID) -> Job:
    job = await jobs.get(job_id)
    if job is None:
        raise NotFoundError("Job", job_id)
    return job
