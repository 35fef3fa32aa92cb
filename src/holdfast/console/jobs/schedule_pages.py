"""Schedules: what is enqueued again and again, when next, paused, resumed, and run now."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from holdfast.access import Role
from holdfast.access.gate import AskedBy, allow
from holdfast.console.console_site import ConsoleSite
from holdfast.console.page import Crumb, PageHead, moved, page
from holdfast.console.visits.forgery_check import FormSent
from holdfast.console.visits.visit import Notice
from holdfast.errors import ConfigurationError
from holdfast.jobs import Jobs, JobSchedule, Scheduler, Schedules, upcoming
from holdfast.jobs.side_tables import has_table

_TICKS = 3  # of each schedule, that are shown


def schedule_page_routes(site: ConsoleSite) -> APIRouter:
    """Return the routes of the page of schedules; none where the store keeps none."""
    router = APIRouter(prefix="/jobs/schedules")
    jobs = site.platform.service(Jobs)
    if not has_table(jobs.store, JobSchedule):
        return router
    schedules = Schedules(jobs.store)

    @router.get("", dependencies=[allow(Role.VIEWER)])
    async def listed(request: Request, caller: AskedBy) -> Response:
        """List the schedules with their next ticks."""
        found = await schedules.list()
        context = {
            "schedules": [(each, _times(each), *_ticks(each)) for each in found],
            "may_write": caller.role.includes(Role.OPERATOR),
        }
        crumbs = [Crumb("Jobs", site.url("jobs"))]
        head = PageHead(title="Schedules", section="jobs", crumbs=crumbs)
        return page(request, "schedules.html", head, context)

    def back(request: Request, said: str) -> Response:
        return moved(request, site.url("jobs/schedules"), Notice(said))

    @router.post("/pause", dependencies=[allow(Role.OPERATOR)])
    async def pause(request: Request, form: FormSent) -> Response:
        """Make no jobs of the schedule until it is resumed."""
        stored = await schedules.pause(form.text("name"))
        return back(request, f"{stored.name} is paused.")

    @router.post("/resume", dependencies=[allow(Role.OPERATOR)])
    async def resume(request: Request, form: FormSent) -> Response:
        """Make jobs of the schedule again, from its next tick on."""
        stored = await schedules.resume(form.text("name"))
        return back(request, f"{stored.name} goes on with its next tick.")

    @router.post("/run", dependencies=[allow(Role.OPERATOR)])
    async def run(request: Request, form: FormSent) -> Response:
        """Make a job of the schedule now, and show it."""
        made = await Scheduler(jobs).run_now(form.text("name"))
        said = "The job is queued." if made.created else "This one has its unique key, and lives."
        return moved(request, site.url(f"jobs/{made.job.id}"), Notice(said))

    return router


def _times(schedule: JobSchedule) -> str:
    if schedule.cron is not None:
        return f"{schedule.cron} ({schedule.zone})"
    return f"every {schedule.every} s"


def _ticks(schedule: JobSchedule) -> tuple[list[object], str]:
    """Return the next ticks, and what is wrong where they can't be told."""
    try:
        return list(upcoming(schedule, _TICKS)), ""
    except ConfigurationError as error:  # a zone that this machine does not know
        return [], str(error)
