"""The commands of workflows: workflows list, show, cancel, retry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from holdfast.cli.options import AsJson, Data, Traceback
from holdfast.cli.output import fields_of, note, print_json
from holdfast.cli.runner import look, run
from holdfast.cli.workflow_output import (
    print_workflow,
    print_workflow_jobs,
    print_workflows,
    workflow_job_json,
    workflow_json,
)

if TYPE_CHECKING:
    from holdfast.jobs import WorkflowStatus
    from holdfast.platform import Platform

workflows = typer.Typer(
    name="workflows", help="Jobs that wait for one another: list, show, cancel, retry."
)
WorkflowID = Annotated[UUID, typer.Argument(metavar="WORKFLOW", help="The id of a workflow.")]
Most = Annotated[int, typer.Option(help="How many at most.", min=1, max=1000)]
_MOST_LINKS = 10_000


@workflows.command("list")
def list_workflows(
    name: Annotated[str | None, typer.Option(help="Only those of this name.")] = None,
    most: Most = 50,
    data: Data = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """List workflows and how they stand, the newest first."""

    async def work(platform: Platform) -> None:
        from holdfast.jobs import Workflows

        flows = Workflows(platform.jobs)
        found = await flows.statuses((await flows.runs(name=name, size=most)).items)
        if as_json:
            print_json([workflow_json(each) for each in found])
        elif not found:
            note("None.")
        else:
            print_workflows(found, platform.store.now())

    look(data, work)


@workflows.command()
def show(
    workflow: WorkflowID,
    most: Annotated[int, typer.Option(help="How many jobs at most.", min=1, max=1000)] = 200,
    after: Annotated[UUID | None, typer.Option(help="Those behind this job.")] = None,
    data: Data = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """Show a workflow with its jobs, and which of them each waits for."""

    async def work(platform: Platform) -> None:
        from holdfast.jobs import Workflows

        flows = Workflows(platform.jobs)
        status = await flows.status(workflow)
        jobs = await flows.jobs(workflow, after=after, limit=most + 1)
        jobs, more = jobs[:most], len(jobs) > most
        links = await flows.links([job.id for job in jobs], limit=_MOST_LINKS)
        if as_json:
            shown = {
                "jobs": [workflow_job_json(job) for job in jobs],
                "links": [fields_of(link) for link in links],
                "next": jobs[-1].id if more else None,
            }
            print_json({**workflow_json(status), **shown})
            return
        names = {job.id: job.name or job.task for job in jobs}
        print_workflow(status)
        if jobs:
            print_workflow_jobs(jobs, links, names)
        if more:
            note(f"There are more: --after {jobs[-1].id} shows those behind them.")

    look(data, work)


@workflows.command()
def cancel(
    workflow: WorkflowID, data: Data = None, as_json: AsJson = False, traceback: Traceback = False
) -> None:
    """Cancel all jobs of a workflow that are not at their end; what runs is asked to stop."""

    async def work(platform: Platform) -> WorkflowStatus:
        from holdfast.jobs import Workflows

        return await Workflows(platform.jobs).cancel(workflow)

    status = run(data, work)
    if as_json:
        print_json(workflow_json(status))
    else:
        note("It is cancelled." if status.finished else "What runs is asked to stop.")


@workflows.command()
def retry(
    workflow: WorkflowID, data: Data = None, as_json: AsJson = False, traceback: Traceback = False
) -> None:
    """Do again what failed or was cancelled of a workflow; what has succeeded stays."""

    async def work(platform: Platform) -> tuple[int, WorkflowStatus]:
        from holdfast.jobs import Workflows

        flows = Workflows(platform.jobs)
        return await flows.retry(workflow), await flows.status(workflow)

    again, status = run(data, work)
    if as_json:
        print_json({**workflow_json(status), "again": again})
    else:
        note("1 job is to be done again." if again == 1 else f"{again} jobs are to be done again.")
