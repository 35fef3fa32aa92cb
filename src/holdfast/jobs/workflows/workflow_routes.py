"""The routes of workflows, and of the steps and signals of a job: an operator ends and retries."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from holdfast.access import Role
from holdfast.access.gate import allow
from holdfast.fastapi import Repo, problem_responses
from holdfast.jobs.job_wire import JobOut
from holdfast.jobs.jobs import Jobs
from holdfast.jobs.workflows.workflow_run import WorkflowRun
from holdfast.jobs.workflows.workflow_wire import (
    DependencyOut,
    JobSignalPage,
    JobStepPage,
    SignalAsked,
    WorkflowJobOut,
    WorkflowQuery,
    WorkflowRetried,
    WorkflowShown,
    WorkflowStatusOut,
)
from holdfast.jobs.workflows.workflows import Workflows
from holdfast.records import Page

_MOST_LINKS = 5_000
First = Annotated[int, Query(ge=0, le=2**31)]
Size = Annotated[int, Query(ge=1, le=200)]


def workflow_routes(jobs: Jobs) -> APIRouter:
    """Return the routes of the workflows of *jobs*, below those of jobs."""
    router = APIRouter(prefix="/jobs")
    workflows = Workflows(jobs)

    @router.get("/workflows", dependencies=[allow(Role.VIEWER)])
    async def list_workflows(
        asked: Annotated[WorkflowQuery, Query()], found: Repo[WorkflowRun]
    ) -> Page[WorkflowStatusOut]:
        """List workflows, the newest first, and how they stand."""
        runs = await asked.page(found)
        statuses = await workflows.statuses(runs.items)
        shown = [WorkflowStatusOut.of(each) for each in statuses]
        return Page(shown, runs.next, runs.previous, runs.total)

    @router.get(
        "/workflows/{workflow_id}",
        dependencies=[allow(Role.VIEWER)],
        responses=problem_responses(404),
    )
    async def get(
        workflow_id: UUID,
        after: UUID | None = None,
        size: Annotated[int, Query(ge=1, le=500)] = 200,
    ) -> WorkflowShown:
        """Show a workflow with its jobs, from the one behind *after* on, and what they wait for."""
        status = await workflows.status(workflow_id)
        found = await workflows.jobs(workflow_id, after=after, limit=size + 1)
        shown = found[:size]
        links = await workflows.links([job.id for job in shown], limit=_MOST_LINKS + 1)
        return WorkflowShown(
            workflow=WorkflowStatusOut.of(status),
            jobs=[WorkflowJobOut.of(each) for each in shown],
            links=[DependencyOut.of(each) for each in links[:_MOST_LINKS]],
            more_links=len(links) > _MOST_LINKS,
            next=shown[-1].id if len(found) > size else None,
        )

    @router.post(
        "/workflows/{workflow_id}/cancellation",
        dependencies=[allow(Role.OPERATOR)],
        responses=problem_responses(404),
    )
    async def cancel(workflow_id: UUID) -> WorkflowStatusOut:
        """Cancel all jobs of a workflow that are not at their end; no more can be added to it."""
        return WorkflowStatusOut.of(await workflows.cancel(workflow_id))

    @router.post(
        "/workflows/{workflow_id}/retry",
        dependencies=[allow(Role.OPERATOR)],
        responses=problem_responses(404, 409),
    )
    async def retry(workflow_id: UUID) -> WorkflowRetried:
        """Do again what failed or was cancelled of a workflow; what has succeeded stays."""
        again = await workflows.retry(workflow_id)
        status = await workflows.status(workflow_id)
        return WorkflowRetried(again=again, workflow=WorkflowStatusOut.of(status))

    return router


def step_routes(jobs: Jobs) -> APIRouter:
    """Return the routes of the steps and the signals of one of *jobs*."""
    router = APIRouter(prefix="/jobs", responses=problem_responses(404))

    @router.get("/{job_id}/steps", dependencies=[allow(Role.VIEWER)])
    async def steps(job_id: UUID, first: First = 0, size: Size = 100) -> JobStepPage:
        """List the steps that a job has recorded, from number *first* on."""
        return JobStepPage.of(await jobs.steps(job_id, first=first, limit=size + 1), size=size)

    @router.get("/{job_id}/signals", dependencies=[allow(Role.VIEWER)])
    async def signals(job_id: UUID, first: First = 0, size: Size = 100) -> JobSignalPage:
        """List the signals that a job was sent, from number *first* on."""
        return JobSignalPage.of(await jobs.signals(job_id, first=first, limit=size + 1), size=size)

    @router.post("/{job_id}/signals", dependencies=[allow(Role.OPERATOR)])
    async def signal(job_id: UUID, asked: SignalAsked) -> JobOut:
        """Tell a job of an event; one that does not wait for it yet finds it when it does."""
        return JobOut.of(await jobs.signal(job_id, asked.event, asked.data))

    return router
