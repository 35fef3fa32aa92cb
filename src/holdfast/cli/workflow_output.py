"""How workflows are shown, as tables and as JSON."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from holdfast.cli.job_output import job_json
from holdfast.cli.output import fields_of, lately, moment, print_facts, print_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from holdfast.jobs import Job, JobDependency, WorkflowStatus

_LEFT_OUT = ("payload", "result")
_MOST_NAMES = 3  # of jobs that one waits for


def workflow_json(status: WorkflowStatus) -> dict[str, object]:
    """Return how a workflow stands, for programs."""
    return {
        **fields_of(status.run),
        "state": status.state,
        "fraction": status.fraction,
        "counts": {each.value: number for each, number in status.counts.items()},
    }


def workflow_job_json(job: Job) -> dict[str, object]:
    """Return a job of a workflow for programs: without what it was given and has returned."""
    return {name: value for name, value in job_json(job).items() if name not in _LEFT_OUT}


def print_workflows(found: Sequence[WorkflowStatus], now: datetime) -> None:
    """Print workflows as a table."""
    print_table(
        ("workflow", "name", "state", "done", "jobs", "started"),
        [
            (
                status.run.id,
                status.run.name,
                status.state,
                f"{status.fraction:.0%}",
                status.run.size,
                lately(status.run.created_at, now),
            )
            for status in found
        ],
        right=("done", "jobs"),
        folded=("name",),
    )


def print_workflow(status: WorkflowStatus) -> None:
    """Print how one workflow stands."""
    counts = ", ".join(f"{number} {each.value}" for each, number in status.counts.items() if number)
    facts = {
        "workflow": status.run.id,
        "name": status.run.name,
        "state": status.state,
        "done": f"{status.fraction:.0%}",
        "jobs": counts or "none",
        "started": moment(status.run.created_at),
        "cancelled": moment(status.run.cancelled_at),
    }
    print_facts({name: value for name, value in facts.items() if value})


def print_workflow_jobs(
    jobs: Sequence[Job], links: Sequence[JobDependency], names: Mapping[UUID, str]
) -> None:
    """Print the jobs of a workflow with what each waits for; *names* are those of its jobs."""
    waits: dict[UUID, list[str]] = defaultdict(list)
    for link in links:
        waits[link.job_id].append(names.get(link.on_id, str(link.on_id)))
    print_table(
        ("job", "name", "state", "done", "after", "error"),
        [
            (
                job.id,
                job.name,
                job.status.value,
                f"{job.progress:.0%}",
                _some(waits[job.id]),
                job.error,
            )
            for job in jobs
        ],
        right=("done",),
        folded=("name", "after", "error"),
    )


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_MOST_NAMES])
    more = len(names) - _MOST_NAMES
    return shown if more <= 0 else f"{shown} and {more} more"
