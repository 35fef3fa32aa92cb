"""Jobs: the queues, lists that are followed, and one job with its progress as it comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from holdfast.access import Role
from holdfast.access.gate import AskedBy, allow, counted_as, still_allowed
from holdfast.console.bounded_look import AskedPiece
from holdfast.console.console_site import ConsoleSite
from holdfast.console.jobs.job_list import JobsAsked, failure_url, listed_jobs
from holdfast.console.jobs.limit_pages import limit_page_routes
from holdfast.console.jobs.matching_job_pages import matching_job_routes
from holdfast.console.jobs.schedule_pages import schedule_page_routes
from holdfast.console.jobs.workflow_pages import workflow_page_routes
from holdfast.console.page import Crumb, PageHead, moved, page, part
from holdfast.console.template_filters import indented
from holdfast.console.visits.forgery_check import FormSent
from holdfast.console.visits.visit import Notice
from holdfast.fastapi.streams.event_stream import ServerSentEvent, event_stream
from holdfast.fastapi.streams.job_events import job_events
from holdfast.jobs import JobFeed, JobQueue, Jobs, JobStatus, Queues
from holdfast.jobs.history.job_attempt import JobAttempt
from holdfast.jobs.history.job_log import LOG_LINES, JobLogLine
from holdfast.jobs.history.task_figures import TaskFailure, TaskFigures
from holdfast.jobs.history.task_statistics import FailureGroup, FigureQuery
from holdfast.jobs.job import ENDS, LIVE
from holdfast.jobs.side_tables import has_table

_LATELY = timedelta(days=1)
_REASONS = 8
_REDRAWN = timedelta(seconds=30)


def job_page_routes(site: ConsoleSite) -> APIRouter:
    """Return the routes of the pages of jobs."""
    router = APIRouter()
    for routes in (  # their names go before the ids of jobs
        workflow_page_routes,
        schedule_page_routes,
        limit_page_routes,
        matching_job_routes,
    ):
        router.include_router(routes(site))
    jobs = site.platform.service(Jobs)
    _add_lists(router, site, jobs)
    _add_queues(router, site, jobs)
    _add_job(router, site, jobs)
    return router


def _add_lists(router: APIRouter, site: ConsoleSite, jobs: Jobs) -> None:
    feed = JobFeed(jobs)

    @router.get("/jobs", dependencies=[allow(Role.VIEWER)])
    async def queues(
        request: Request,
        caller: AskedBy,
        asked: JobsAsked,
    ) -> Response:
        """Show how many jobs stand where, and those that fit; the first page is followed."""
        piece = AskedPiece.of(site, request.query_params)
        found = await listed_jobs(site, asked, piece)
        paused = await _paused(jobs)
        context = {
            "queues": await _queues(jobs, paused),
            "living": LIVE,
            "ends": ENDS,
            "paused": paused,
            "failures": [(each, failure_url(site, each)) for each in await _failures(jobs)],
            "statuses": list(JobStatus),
            "jobs": found.page.items,
            "asked": asked,
            "live": "" if not piece.is_first else site.url("jobs/live", asked.query),
            "may_write": caller.role.includes(Role.OPERATOR),
            **found.urls(site, "jobs", asked.query),
        }
        return page(request, "jobs.html", PageHead(title="Jobs", section="jobs"), context)

    @router.get("/jobs/live", dependencies=[allow(Role.VIEWER)])
    async def live_list(
        request: Request,
        asked: JobsAsked,
        seconds: Annotated[float, Query(gt=0, le=3_600)] = 3_600,
    ) -> Response:
        """Follow the first page of a list: drawn again once for the changes of each look.

        It ends after *seconds*; a browser then comes again.
        """
        time = asyncio.get_running_loop().time

        async def list_now() -> ServerSentEvent:
            found = await listed_jobs(site, asked, AskedPiece())
            context = {"jobs": found.page.items, "asked": asked, "look": found, "site": site}
            return ServerSentEvent(data=part("job_list.html", context), name="job-list")

        async def drawn(_: str | None) -> AsyncIterator[ServerSentEvent]:
            end = time() + seconds
            while (left := end - time()) > 0:  # without a change too: one may come before a look
                told = feed.last
                yield await list_now()
                lasting = min(_REDRAWN, timedelta(seconds=left))
                async for change in feed.follow(asked.followed(), lasting=lasting):
                    if change is None or change.number > told:  # not in the list as last drawn
                        told = feed.last
                        yield await list_now()

        return event_stream(
            request, drawn, client=counted_as(request), authorize=still_allowed(request)
        )


def _add_queues(router: APIRouter, site: ConsoleSite, jobs: Jobs) -> None:
    @router.post("/jobs/queues/pause", dependencies=[allow(Role.OPERATOR)])
    async def pause(request: Request, form: FormSent) -> Response:
        """Have no job of a queue claimed until it is resumed."""
        queue = await Queues(jobs.store).pause(form.text("queue"))
        notice = Notice(f"{queue.name} is paused; what runs goes on.")
        return moved(request, site.url("jobs"), notice)

    @router.post("/jobs/queues/resume", dependencies=[allow(Role.OPERATOR)])
    async def resume(request: Request, form: FormSent) -> Response:
        """Have the jobs of a queue claimed again."""
        queue = await Queues(jobs.store).resume(form.text("queue"))
        return moved(request, site.url("jobs"), Notice(f"{queue.name} goes on."))


def _add_job(router: APIRouter, site: ConsoleSite, jobs: Jobs) -> None:
    @router.get("/jobs/{job_id}", dependencies=[allow(Role.VIEWER)])
    async def one(job_id: UUID, request: Request, caller: AskedBy) -> Response:
        """Show a job; while it is not at its end the page follows it."""
        job = await jobs.get_one(job_id)
        may_write = caller.role.includes(Role.OPERATOR)
        context = {
            "job": job,
            "attempts": await jobs.attempts(job_id) if has_table(jobs.store, JobAttempt) else [],
            "lines": await _last_lines(jobs, job_id) if has_table(jobs.store, JobLogLine) else [],
            "may_retry": may_write and job.status in (JobStatus.FAILED, JobStatus.CANCELLED),
            "position": await jobs.position(job_id),
            "may_cancel": may_write and not job.status.finished,
            "payload": indented(job.payload),
            "result": None if job.result is None else indented(job.result),
        }
        crumbs = [Crumb("Jobs", site.url("jobs"))]
        head = PageHead(title=job.task, section="jobs", crumbs=crumbs)
        return page(request, "job.html", head, context)

    @router.get("/jobs/{job_id}/live", dependencies=[allow(Role.VIEWER)])
    async def live(job_id: UUID, request: Request) -> Response:
        """Follow a job: its state drawn again at each change, then `end`."""
        await jobs.get_one(job_id)
        follow = job_events(jobs, job_id)

        async def drawn(last: str | None) -> AsyncIterator[ServerSentEvent]:
            async for event in follow(last):
                job = await jobs.get_one(job_id)
                yield ServerSentEvent(
                    data=part("job_state.html", {"job": job}), id=event.id, name="job-state"
                )
            yield ServerSentEvent(data="", name="end")

        return event_stream(
            request, drawn, client=counted_as(request), authorize=still_allowed(request)
        )

    @router.post("/jobs/{job_id}/retry", dependencies=[allow(Role.OPERATOR)])
    async def retry(job_id: UUID, request: Request) -> Response:
        """Put a failed or cancelled job back into its queue, with all its attempts again."""
        await jobs.retry(job_id)
        return moved(request, site.url(f"jobs/{job_id}"), Notice("The job is queued again."))

    @router.post("/jobs/{job_id}/cancel", dependencies=[allow(Role.OPERATOR)])
    async def cancel(job_id: UUID, request: Request) -> Response:
        """Cancel a job: at once where it waits, soon where it runs."""
        job = await jobs.cancel(job_id)
        if job.status is JobStatus.CANCELLED:
            notice = Notice("The job is cancelled.")
        elif job.status.finished:
            notice = Notice(f"The job had ended already: it {job.status.value}.", "plain")
        else:
            notice = Notice("Its worker was asked to stop.")
        return moved(request, site.url(f"jobs/{job_id}"), notice)


@dataclass(slots=True)
class _QueueRow:
    """How many jobs of a queue live, by status, and ended in the last day; *oldest* as it is due.

    Those that ended earlier are not counted, as they are as many as the table has rows.
    """

    oldest: timedelta | None = None
    counts: dict[JobStatus, int] = field(default_factory=lambda: dict.fromkeys(JobStatus, 0))


async def _queues(jobs: Jobs, paused: Iterable[str]) -> Mapping[str, _QueueRow]:
    """Return what is known of queues: *paused*, with jobs, or where some ended in the last day."""
    found = {name: _QueueRow() for name in paused}
    for name, figures in (await jobs.statistics(finished=False)).items():
        found[name] = row = _QueueRow(figures.oldest)
        row.counts.update(figures.counts)
    if has_table(jobs.store, TaskFigures):
        asked = FigureQuery(since=jobs.now() - _LATELY, by="queue")
        for each in await jobs.task_statistics(asked):
            row = found.setdefault(each.name, _QueueRow())
            row.counts[JobStatus.SUCCEEDED] = each.succeeded
            row.counts[JobStatus.FAILED] = each.failed
            row.counts[JobStatus.CANCELLED] = each.cancelled
    return dict(sorted(found.items()))


async def _failures(jobs: Jobs) -> Sequence[FailureGroup]:
    """Return why attempts failed in the last day, the most frequent reasons first."""
    if not has_table(jobs.store, TaskFailure):
        return []
    return (await jobs.failures(jobs.now() - _LATELY))[:_REASONS]


async def _paused(jobs: Jobs) -> set[str]:
    """Return the names of the queues that are paused."""
    if not has_table(jobs.store, JobQueue):
        return set()
    return {each.name for each in await Queues(jobs.store).paused()}


async def _last_lines(jobs: Jobs, job_id: UUID) -> Sequence[JobLogLine]:
    """Return the latest lines of a job's log, all that it keeps."""
    return await jobs.log(job_id, size=LOG_LINES)
