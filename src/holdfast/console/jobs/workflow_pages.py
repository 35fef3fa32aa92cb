"""Workflows: a list of them, and one with its graph, its jobs, and what each waits for."""

from __future__ import annotations

from collections import defaultdict
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from holdfast.access import Role
from holdfast.access.gate import AskedBy, allow
from holdfast.console.console_site import ConsoleSite
from holdfast.console.jobs.workflow_graph import NODE_HEIGHT, NODE_WIDTH, workflow_graph
from holdfast.console.page import Crumb, PageHead, moved, page
from holdfast.console.page_urls import asked_cursor, page_urls
from holdfast.console.visits.visit import Notice
from holdfast.jobs import Job, Jobs, WorkflowRun, Workflows
from holdfast.records.entities.model import model_of

_RUNS = 50
JOBS_SHOWN = 300
_LINKS = 5_000


def workflow_page_routes(site: ConsoleSite) -> APIRouter:
    """Return the routes of the pages of workflows; none where the store keeps no workflows."""
    router = APIRouter(prefix="/jobs/workflows")
    if model_of(WorkflowRun) not in site.platform.store.models:
        return router
    workflows = Workflows(site.platform.service(Jobs))
    jobs_crumb = Crumb("Jobs", site.url("jobs"))

    @router.get("", dependencies=[allow(Role.VIEWER)])
    async def listed(
        request: Request,
        name: Annotated[str, Query(max_length=200)] = "",
        cursor: Annotated[str, Query(alias="_cursor", max_length=4000)] = "",
    ) -> Response:
        """List workflows, the newest first."""
        found = await workflows.runs(
            name=name or None, size=_RUNS, cursor=asked_cursor(site, cursor)
        )
        context = {
            "statuses": await workflows.statuses(found.items),
            "name": name,
            **page_urls(site, "jobs/workflows", {"name": name}, found),
        }
        head = PageHead(title="Workflows", section="jobs", crumbs=[jobs_crumb])
        return page(request, "workflows.html", head, context)

    @router.get("/{workflow_id}", dependencies=[allow(Role.VIEWER)])
    async def one(
        workflow_id: UUID,
        request: Request,
        caller: AskedBy,
        after: Annotated[UUID | None, Query(alias="_after")] = None,
    ) -> Response:
        """Show a workflow: its graph, and its jobs from the one behind *after* on."""
        status = await workflows.status(workflow_id)
        found = await workflows.jobs(workflow_id, after=after, limit=JOBS_SHOWN + 1)
        jobs, more = found[:JOBS_SHOWN], len(found) > JOBS_SHOWN
        links = await workflows.links([job.id for job in jobs], limit=_LINKS)
        by_id = {job.id: job for job in jobs}
        waits: dict[UUID, list[tuple[UUID, Job | None]]] = defaultdict(list)
        for link in links:
            waits[link.job_id].append((link.on_id, by_id.get(link.on_id)))
        may_write = caller.role.includes(Role.OPERATOR)
        own = f"jobs/workflows/{workflow_id}"
        context = {
            "status": status,
            "counts": [(each, number) for each, number in status.counts.items() if number],
            "jobs": jobs,
            "waits": waits,
            "graph": workflow_graph(jobs, links) if after is None else None,
            "node": (NODE_WIDTH, NODE_HEIGHT),
            "ahead": site.url(own, {"_after": str(jobs[-1].id)}) if more else "",
            "may_cancel": may_write and not status.finished,
            "may_retry": may_write and status.failed,
            "own": own,
        }
        crumbs = [jobs_crumb, Crumb("Workflows", site.url("jobs/workflows"))]
        head = PageHead(title=status.run.name, section="jobs", crumbs=crumbs)
        return page(request, "workflow.html", head, context)

    @router.post("/{workflow_id}/cancel", dependencies=[allow(Role.OPERATOR)])
    async def cancel(workflow_id: UUID, request: Request) -> Response:
        """Cancel all jobs of a workflow that are not at their end."""
        status = await workflows.cancel(workflow_id)
        said = "The workflow is cancelled." if status.finished else "What runs is asked to stop."
        return moved(request, site.url(f"jobs/workflows/{workflow_id}"), Notice(said))

    @router.post("/{workflow_id}/retry", dependencies=[allow(Role.OPERATOR)])
    async def retry(workflow_id: UUID, request: Request) -> Response:
        """Do again what failed or was cancelled of a workflow."""
        again = await workflows.retry(workflow_id)
        said = "1 job is" if again == 1 else f"{again} jobs are"
        notice = Notice(f"{said} to be done again.")
        return moved(request, site.url(f"jobs/workflows/{workflow_id}"), notice)

    return router
