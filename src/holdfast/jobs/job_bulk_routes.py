"""The routes that change all jobs that fit, in bounded pieces, each job by itself."""

from fastapi import APIRouter

from holdfast.access import Role
from holdfast.access.gate import allow
from holdfast.jobs.job import LIVE, Job, JobStatus
from holdfast.jobs.job_changes import EDITABLE
from holdfast.jobs.job_wire import BulkAsked, BulkEditAsked, BulkOut
from holdfast.jobs.jobs import Jobs


def bulk_routes(jobs: Jobs) -> APIRouter:
    """Return the routes of *jobs* that change many."""
    router = APIRouter(prefix="/jobs/bulk", dependencies=[allow(Role.OPERATOR)])

    @router.post("/cancellation")
    async def cancel(asked: BulkAsked) -> BulkOut:
        """Cancel the jobs that fit and are not at their end."""
        where = asked.jobs.filter().where()
        if asked.dry_run:
            return BulkOut(matching=await jobs.count(where, Job.status.in_(LIVE)))
        return BulkOut.of(await jobs.cancel_where(where, limit=asked.limit, after=asked.after))

    @router.post("/retry")
    async def retry(asked: BulkAsked) -> BulkOut:
        """Retry the jobs that fit and failed for good."""
        where = asked.jobs.filter().where()
        if asked.dry_run:
            return BulkOut(matching=await jobs.count(where, Job.status == JobStatus.FAILED))
        return BulkOut.of(await jobs.redrive(where, limit=asked.limit, after=asked.after))

    @router.post("/edit")
    async def edit(asked: BulkEditAsked) -> BulkOut:
        """Edit the jobs that fit and neither run nor succeeded; *run_at* reschedules them."""
        where, change = asked.jobs.filter().where(), asked.edit.edit()
        if asked.dry_run:
            return BulkOut(matching=await jobs.count(where, Job.status.in_(EDITABLE)))
        return BulkOut.of(
            await jobs.edit_where(where, edit=change, limit=asked.limit, after=asked.after)
        )

    return router
