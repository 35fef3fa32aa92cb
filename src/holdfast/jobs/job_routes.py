"""The routes of jobs: lists, one job with its log and history, statistics, and changes by hand."""

from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from holdfast.access import Role
from holdfast.access.gate import allow, counted_as, still_allowed
from holdfast.fastapi import Repo, event_stream, problem_responses
from holdfast.fastapi.crud.query_time import QueryTime
from holdfast.fastapi.streams.job_events import job_event_stream
from holdfast.jobs.history.job_feed import JobFeed
from holdfast.jobs.history.job_log import LARGEST_PAGE, LogLevel
from holdfast.jobs.history.job_streams import change_events, log_events
from holdfast.jobs.history.task_statistics import FigureQuery, GroupedBy, Step
from holdfast.jobs.job import Job
from holdfast.jobs.job_bulk_routes import bulk_routes
from holdfast.jobs.job_wire import (
    FailureGroupOut,
    FollowQuery,
    JobAttemptOut,
    JobEditIn,
    JobLogLineOut,
    JobLogPage,
    JobOut,
    JobQuery,
    QueueOut,
    QueuePositionOut,
    TaskStatisticsOut,
)
from holdfast.jobs.jobs import Jobs
from holdfast.jobs.limits.limit_routes import limit_routes
from holdfast.jobs.schedules.schedule_routes import schedule_routes
from holdfast.jobs.workflows.workflow_routes import step_routes, workflow_routes
from holdfast.records import Page

_DAY = timedelta(days=1)


def job_routes(jobs: Jobs) -> APIRouter:
    """Return the routes of *jobs*."""
    router = APIRouter(tags=["jobs"])
    router.include_router(schedule_routes(jobs))  # their names go before the ids of jobs
    router.include_router(workflow_routes(jobs))
    router.include_router(limit_routes(jobs))
    router.include_router(_lists(jobs))
    router.include_router(bulk_routes(jobs))
    router.include_router(_one(jobs))
    router.include_router(step_routes(jobs))
    router.include_router(_changes(jobs))
    return router


def _lists(jobs: Jobs) -> APIRouter:
    """Return the routes that look on at many jobs; their names go before the ids of jobs."""
    router = APIRouter(prefix="/jobs", dependencies=[allow(Role.VIEWER)])
    feed = JobFeed(jobs)

    @router.get("")
    async def list_jobs(asked: Annotated[JobQuery, Query()], found: Repo[Job]) -> Page[JobOut]:
        """List jobs, newest first."""
        return await asked.page(found, JobOut)

    @router.get("/queues")
    async def queues(*, finished: bool = False) -> dict[str, QueueOut]:
        """Count the jobs of each queue by status; the *finished* cost as much as there are."""
        found = await jobs.statistics(finished=finished)
        return {name: QueueOut.of(each) for name, each in found.items()}

    @router.get("/statistics")
    async def statistics(
        since: QueryTime | None = None,
        until: QueryTime | None = None,
        step: Step | None = None,
        queue: str | None = None,
        task: str | None = None,
        by: GroupedBy = "task",
    ) -> list[TaskStatisticsOut]:
        """Tell rates, durations and failures over time, of the last day if nothing is said."""
        asked = FigureQuery(
            since=since or jobs.now() - _DAY, until=until, step=step, queue=queue, task=task, by=by
        )
        return [TaskStatisticsOut.of(each) for each in await jobs.task_statistics(asked)]

    @router.get("/failures")
    async def failures(
        since: QueryTime | None = None, queue: str | None = None, task: str | None = None
    ) -> list[FailureGroupOut]:
        """Tell why attempts failed in the last day, or since then, the most frequent first."""
        found = await jobs.failures(since or jobs.now() - _DAY, queue=queue, task=task)
        return [FailureGroupOut.of(each) for each in found]

    @router.get("/events", response_class=Response)
    async def events(request: Request, asked: Annotated[FollowQuery, Query()]) -> Response:
        """Follow the changes of all jobs that fit: events `job`, and `reset` where some are lost.

        It ends after *seconds*. A client that comes again, as browsers do by themselves, goes on
        where it was, among the latest 1,000 changes.
        """
        lasting = timedelta(seconds=asked.seconds)
        source = change_events(feed, asked.filter(), lasting=lasting)
        return event_stream(
            request, source, client=counted_as(request), authorize=still_allowed(request)
        )

    return router


def _one(jobs: Jobs) -> APIRouter:
    """Return the routes that look on at one job."""
    router = APIRouter(
        prefix="/jobs", dependencies=[allow(Role.VIEWER)], responses=problem_responses(404)
    )

    @router.get("/{job_id}")
    async def get(job_id: UUID) -> JobOut:
        """Show one job."""
        return JobOut.of(await jobs.get_one(job_id))

    @router.get("/{job_id}/events", response_class=Response)
    async def events(job_id: UUID, request: Request) -> Response:
        """Follow a job to its end: server-sent events `progress`, and `finished` as the last."""
        return await job_event_stream(
            request, jobs, job_id, client=counted_as(request), authorize=still_allowed(request)
        )

    @router.get("/{job_id}/attempts")
    async def attempts(job_id: UUID) -> list[JobAttemptOut]:
        """List the attempts at a job, the first one first."""
        return [JobAttemptOut.of(each) for each in await jobs.attempts(job_id)]

    @router.get("/{job_id}/log")
    async def log(
        job_id: UUID,
        after: Annotated[int, Query(ge=0)] = 0,
        at_least: LogLevel = LogLevel.DEBUG,
        size: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = 100,
    ) -> JobLogPage:
        """Read a job's log, from the line behind *after* on."""
        await jobs.get_one(job_id)
        lines = await jobs.log(job_id, after=after, at_least=at_least, size=size)
        following = lines[-1].position if lines else after
        return JobLogPage(lines=[JobLogLineOut.of(line) for line in lines], next=following)

    @router.get("/{job_id}/log/events", response_class=Response)
    async def log_stream(job_id: UUID, request: Request) -> Response:
        """Follow a job's log to the job's end: server-sent events `line`."""
        await jobs.get_one(job_id)
        return event_stream(
            request,
            log_events(jobs, job_id),
            client=counted_as(request),
            authorize=still_allowed(request),
        )

    @router.get("/{job_id}/position")
    async def position(job_id: UUID) -> QueuePositionOut:
        """Tell a queued job's place, 1 for the next, and between which times it may start."""
        return QueuePositionOut.of(await jobs.queue_position(job_id))

    return router


def _changes(jobs: Jobs) -> APIRouter:
    """Return the routes that change one job."""
    router = APIRouter(
        prefix="/jobs", dependencies=[allow(Role.OPERATOR)], responses=problem_responses(404)
    )

    @router.post("/{job_id}/cancellation")
    async def cancel(job_id: UUID) -> JobOut:
        """Cancel a job: at once where it waits, soon where it runs; one at its end stays so."""
        return JobOut.of(await jobs.cancel(job_id))

    @router.post("/{job_id}/retry", responses=problem_responses(409))
    async def retry(job_id: UUID) -> JobOut:
        """Put a failed or cancelled job back into its queue, with all its attempts again."""
        return JobOut.of(await jobs.retry(job_id))

    @router.patch("/{job_id:uuid}", responses=problem_responses(409))
    async def edit(job_id: UUID, asked: JobEditIn) -> JobOut:
        """Edit a job that is queued, failed or cancelled; *run_at* reschedules it."""
        return JobOut.of(await jobs.edit(job_id, asked.edit()))

    return router
