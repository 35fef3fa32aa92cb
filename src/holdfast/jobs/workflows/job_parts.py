"""What belongs to jobs in other tables, and goes when they are removed: steps, signals, links."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from holdfast.errors import StaleVersionError
from holdfast.jobs.job import Job
from holdfast.jobs.side_tables import has_table
from holdfast.jobs.workflows.job_dependency import JobDependency
from holdfast.jobs.workflows.job_signal import JobSignal
from holdfast.jobs.workflows.job_step import JobStep
from holdfast.jobs.workflows.workflow_gate import is_gate
from holdfast.jobs.workflows.workflow_run import WorkflowRun

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from holdfast.records import Store

_TOGETHER = 90  # rows that one write deletes; DynamoDB takes 100 items


def has_parts(job: Job) -> bool:
    """Return whether other tables have rows of *job*."""
    return bool(job.steps or job.signals or job.workflow_id or is_gate(job.id))


async def remove_parts(store: Store, jobs: Sequence[Job]) -> None:
    """Delete what belongs to those of *jobs* that are removed; of a workflow the last one's too."""
    left = {job.id for job in await store.repository(Job).get_many(job.id for job in jobs) if job}
    gone = [job for job in jobs if job.id not in left]
    for entity, numbers in (
        (JobStep, [(job.id, number) for job in gone for number in range(job.steps)]),
        (JobSignal, [(job.id, number) for job in gone for number in range(job.signals)]),
    ):
        if numbers and has_table(store, entity):
            for at in range(0, len(numbers), _TOGETHER):
                await store.repository(entity).delete_many(numbers[at : at + _TOGETHER])
    flows = {job.workflow_id for job in gone if job.workflow_id is not None}
    if (flows or any(is_gate(job.id) for job in gone)) and has_table(store, JobDependency):
        await _remove_links(store, [job.id for job in gone])
        for workflow_id in sorted(flows):
            await _remove_run(store, workflow_id)


async def _remove_links(store: Store, ids: Sequence[UUID]) -> None:
    links = store.repository(JobDependency)
    for side in (JobDependency.job_id, JobDependency.on_id):
        while found := await links.find(side.in_(ids), limit=_TOGETHER):
            removed = 0
            for link in found:
                if not link.settled and await links.delete((link.job_id, link.on_id)):
                    removed += 1
                    await _awaited_less(store, link.on_id)
            settled = [(link.job_id, link.on_id) for link in found if link.settled]
            if settled:
                removed += await links.delete_many(settled)
            if not removed:
                break  # an index may be behind, and others may be quicker


async def _awaited_less(store: Store, job_id: UUID) -> None:
    """Take note that one job less is to be told of the job's end: it was removed before that."""
    jobs = store.repository(Job)
    await jobs.update_where(
        Job.id == job_id, Job.dependents > 0, changes=Job.dependents.increment(-1)
    )
    await jobs.update_where(Job.id == job_id, Job.dependents == 0, changes=Job.awaited.to(False))


async def _remove_run(store: Store, workflow_id: UUID) -> None:
    runs = store.repository(WorkflowRun)
    run = await runs.get(workflow_id)
    if run is not None and not await store.repository(Job).exists(Job.workflow_id == workflow_id):
        with suppress(StaleVersionError):  # jobs are added to it
            await runs.delete(run.id, version=run.version)
