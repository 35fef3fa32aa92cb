"""Changes of jobs by the command line: of those that are named, or of all that fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.cli.output import note
from holdfast.errors import ConflictError
from holdfast.jobs import Job, JobStatus

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from holdfast.jobs import JobFilter, Jobs

_STATUSES = {
    "cancel": tuple(status for status in JobStatus if not status.finished),
    "retry": (JobStatus.FAILED,),
}


async def change_matching(
    jobs: Jobs, verb: str, wanted: JobFilter, *, dry_run: bool
) -> dict[str, int]:
    """Do *verb* to all that fit, and return how many were changed and refused.

    In pieces, each job by itself: who stops it in the middle and says it again goes on with what
    is left. A dry run says how many match.
    """
    where = wanted.where()
    if dry_run:
        return {"matching": await jobs.count(where, Job.status.in_(_STATUSES[verb]))}
    change = jobs.cancel_where if verb == "cancel" else jobs.redrive
    done = await change(where)
    changed, refused = done.changed, done.refused
    while done.next is not None:
        done = await change(where, after=done.next)
        changed, refused = changed + done.changed, refused + done.refused
    return {"changed": changed, "refused": refused}


async def change_named(
    jobs: Jobs, verb: str, named: Sequence[UUID], *, dry_run: bool
) -> dict[str, int]:
    """Do *verb* to the jobs that are *named*, and return how many were changed and refused.

    Raises NotFoundError, and what refuses the job where only one is named.
    """
    if dry_run:
        there = Job.id.in_(tuple(named)) & Job.status.in_(_STATUSES[verb])
        return {"matching": await jobs.count(there)}
    change = jobs.cancel if verb == "cancel" else jobs.retry
    changed = refused = 0
    for job_id in named:
        try:
            await change(job_id)
            changed += 1
        except ConflictError as error:
            if len(named) == 1:
                raise
            note(str(error), style="yellow")
            refused += 1
    return {"changed": changed, "refused": refused}
