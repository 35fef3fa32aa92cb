"""Workflows in a store: started, watched, cancelled, and gone on with where they have failed."""

from __future__ import annotations

from collections import Counter, defaultdict
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, cast

from holdfast.errors import (
    DuplicateError,
    IllegalTransitionError,
    InvalidValueError,
    PreconditionFailedError,
)
from holdfast.jobs.atomic import atomically
from holdfast.jobs.job import ENDS, Job, JobStatus
from holdfast.jobs.side_tables import side_table
from holdfast.jobs.workflows.gated_start import ITEMS_AT_ONCE, GatedStart
from holdfast.jobs.workflows.job_dependency import JobDependency, OnFailure
from holdfast.jobs.workflows.workflow import Workflow, holds
from holdfast.jobs.workflows.workflow_gate import is_gate
from holdfast.jobs.workflows.workflow_run import WorkflowRun, WorkflowStatus
from holdfast.records import Savepoint, StoreCapability, count

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime
    from uuid import UUID

    from holdfast.jobs.jobs import Jobs
    from holdfast.records import Change, Order, Page

_AT_ONCE = 1_000  # ids in one condition
_BAD = (JobStatus.FAILED, JobStatus.CANCELLED)


class Workflows:
    """The workflows of *jobs*, whose store was opened with `JOB_ENTITIES`.

    Raises ConfigurationError for another one.
    """

    def __init__(self, jobs: Jobs) -> None:
        self._all = jobs
        self._store = jobs.store
        self._jobs = jobs.store.repository(Job)
        self._links = side_table(jobs.store, JobDependency, of="dependencies")
        self._runs = side_table(jobs.store, WorkflowRun, of="workflows")

    async def start(self, flow: Workflow) -> WorkflowRun:
        """Store all jobs of *flow*, or none, and return its run.

        Those that wait for nothing are queued. In a transaction they exist if and when that
        commits. A part of a workflow that was started is added to it: its jobs may wait for any
        of that one's, and any of that one's that is still waiting may wait for them.

        Raises InvalidValueError for a circle, and for jobs that are not of this workflow.
        IllegalTransitionError for a workflow that was cancelled, for a job that is to wait and is
        past that, and for one that could only be cancelled, since what it waits for has failed.
        DuplicateError for a unique key that is taken. DynamoDB writes 100 items at once: a new
        workflow with more is stored in pieces, and is there with the last one or never; in a
        transaction, and as a part, more are refused. LeaseLostError when such a start was held up
        for two minutes, and undone.
        """
        flow.check()
        if self._in_pieces(flow):
            jobs, links = self._stored(flow)
            with _unique_key_named():
                return await GatedStart(self._all, flow).store(jobs, links)

        async def work() -> WorkflowRun:
            jobs, links = self._stored(flow)
            run = await self._run(flow, len(jobs))
            after, before = flow.outside()
            if after and before:
                flow.check(await self._above(after))
            for on_id in sorted(after):
                await self._wait_for(flow, on_id, [li for li in links if li.on_id == on_id], jobs)
            for job_id in sorted(before):
                await self._hold(flow, job_id, sum(link.job_id == job_id for link in links))
            with _unique_key_named():
                await self._jobs.add_many(jobs.values())
            await self._links.add_many(links)
            return run

        return await atomically(self._store, work)

    async def status(self, workflow_id: UUID) -> WorkflowStatus:
        """Return how the workflow stands. Raises NotFoundError."""
        (status,) = await self.statuses([await self._runs.get_one(workflow_id)])
        return status

    async def statuses(self, runs: Sequence[WorkflowRun]) -> Sequence[WorkflowStatus]:
        """Return how each of *runs* stands, in their order."""
        counts: dict[UUID, dict[JobStatus, int]] = {
            run.id: dict.fromkeys(JobStatus, 0) for run in runs
        }
        for some in _pieces(sorted({run.id for run in runs})):
            found = await self._jobs.aggregate(
                count(), by=(Job.workflow_id, Job.status), where=Job.workflow_id.in_(some)
            )
            for workflow_id, status, number in cast("list[tuple[UUID, JobStatus, int]]", found):
                counts[workflow_id][status] = number
        return [WorkflowStatus(run, counts[run.id]) for run in runs]

    async def runs(
        self, *, name: str | None = None, size: int = 50, cursor: str | None = None
    ) -> Page[WorkflowRun]:
        """Return a page of the runs of the workflow *name*, or of all, the newest first.

        On DynamoDB those of all are a scan.
        """
        called = () if name is None else (WorkflowRun.name == name,)
        order = newest_first(named=name is not None)
        return await self._runs.page(*called, order_by=order, size=size, cursor=cursor)

    async def jobs(
        self,
        workflow_id: UUID,
        *,
        name: str | None = None,
        after: UUID | None = None,
        limit: int | None = None,
    ) -> Sequence[Job]:
        """Return the jobs of a workflow, or those called *name*, as they were added.

        At most *limit* of them, from the one behind *after* on.
        """
        where = [Job.workflow_id == workflow_id]
        if name is not None:
            where.append(Job.name == name)
        if after is not None:
            where.append(Job.id > after)
        return await self._jobs.find(*where, order_by=Job.id.asc(), limit=limit)

    async def links(
        self, job_ids: Iterable[UUID], *, limit: int | None = None
    ) -> Sequence[JobDependency]:
        """Return what the jobs wait for, or have waited for; at most *limit* of it."""
        found: list[JobDependency] = []
        for some in _pieces(sorted(job_ids)):
            left = None if limit is None else limit - len(found)
            if left == 0:
                break
            links = await self._links.find(JobDependency.job_id.in_(some), limit=left)
            found += [link for link in links if not is_gate(link.on_id)]
        return found

    async def awaited_by(self, job_id: UUID) -> Sequence[Job]:
        """Return the jobs that the job waits for, or has waited for, as they were added."""
        links = await self._links.find(JobDependency.job_id == job_id)
        ids = [link.on_id for link in links if not is_gate(link.on_id)]
        found = await self._jobs.get_many(sorted(ids))
        return [job for job in found if job is not None]

    async def cancel(self, workflow_id: UUID) -> WorkflowStatus:
        """Cancel all jobs that are not at their end, and return how the workflow then stands.

        Those that run are asked to stop; see `Jobs.cancel`. No more can be added. Raises
        NotFoundError.
        """

        async def closed() -> None:
            run = await self._runs.patch(
                workflow_id,
                WorkflowRun.cancelled_at.to(self._store.now()),
                when=WorkflowRun.cancelled_at.is_null(),
            )
            await self._tell("cancelled", run)

        with suppress(PreconditionFailedError):  # cancelled before: now what was left then
            await atomically(self._store, closed)
        after: UUID | None = None
        while True:
            done = await self._all.cancel_where(Job.workflow_id == workflow_id, after=after)
            after = done.next
            if after is None:
                return await self.status(workflow_id)

    async def retry(self, workflow_id: UUID) -> int:
        """Go on where the workflow has failed: return how many jobs are to be done again.

        All that failed or were cancelled have their attempts again, and their steps; they are
        queued, or wait for those of them that they need. What has succeeded stays. A cancelled
        workflow lives again. All happens at once, or nothing. Raises NotFoundError, and
        DuplicateError when another job has a unique key meanwhile.
        """
        await self._all.release_waiting()  # what has ended is told of first

        async def work() -> int:
            now = self._store.now()
            run = await self._runs.patch(workflow_id, WorkflowRun.cancelled_at.to(None))
            bad = await self._jobs.find(
                Job.workflow_id == workflow_id, Job.status.in_(_BAD), order_by=Job.id.asc()
            )
            ids = [job.id for job in bad]
            for some in _pieces(ids):
                await self._jobs.update_where(
                    Job.id.in_(some), Job.status.in_(_BAD), changes=_again(now)
                )
            for job in bad:
                if job.unique_key is not None:
                    with _unique_key_named():
                        await self._jobs.patch(job.id, Job.live_key.to(job.unique_key))
            pending, dependents = await self._needed(set(ids))
            groups: dict[tuple[int, int], list[UUID]] = defaultdict(list)
            for job_id in ids:
                groups[pending[job_id], dependents[job_id]].append(job_id)
            for (waits, others), alike in groups.items():
                for some in _pieces(alike):
                    await self._jobs.update_where(
                        Job.id.in_(some), changes=_waits(waits, dependents=others)
                    )
            await self._tell("retried", run, jobs=len(ids))
            return len(ids)

        return await atomically(self._store, work)

    # --- parts ------------------------------------------------------------------------------

    async def _tell(self, what: str, run: WorkflowRun, **details: int) -> None:
        await self._store.record_event(
            f"workflow.{what}",
            entity="WorkflowRun",
            key=str(run.id),
            details={"name": run.name, **details},
        )

    def _stored(self, flow: Workflow) -> tuple[dict[UUID, Job], list[JobDependency]]:
        """Return the jobs of *flow*, sealed where there are keys, and its links, not stored yet."""
        jobs = flow.stored(self._store.now())
        for job in jobs.values():
            self._all.sealed(job)
        return jobs, flow.links()

    def _in_pieces(self, flow: Workflow) -> bool:
        """Return whether *flow* is more than a transaction takes, and may be written in several."""
        if StoreCapability.LARGE_WRITES in self._store.capabilities or not flow.is_new:
            return False
        in_transaction = isinstance(self._store.transaction(), Savepoint)
        return flow.items > ITEMS_AT_ONCE and not in_transaction and not any(flow.outside())

    async def _run(self, flow: Workflow, size: int) -> WorkflowRun:
        """Return the run, new or counted up: those who add to one do so one after another."""
        if flow.is_new:
            return await self._runs.add(WorkflowRun(id=flow.id, name=flow.name, size=size))
        try:
            return await self._runs.patch(
                flow.id,
                WorkflowRun.size.increment(size),
                when=WorkflowRun.cancelled_at.is_null(),
            )
        except PreconditionFailedError:
            raise IllegalTransitionError(
                "WorkflowRun", flow.id, current="cancelled", wanted="added to"
            ) from None

    async def _above(self, ids: set[UUID]) -> list[JobDependency]:
        """Return what the jobs *ids* wait for, what those wait for, and so on."""
        found: list[JobDependency] = []
        seen, frontier = set(ids), sorted(ids)
        while frontier:
            links = [
                link
                for some in _pieces(frontier)
                for link in await self._links.find(JobDependency.job_id.in_(some))
            ]
            found += links
            frontier = sorted({link.on_id for link in links} - seen)
            seen.update(frontier)
        return found

    async def _wait_for(
        self, flow: Workflow, on_id: UUID, links: Sequence[JobDependency], jobs: dict[UUID, Job]
    ) -> None:
        """Let new *jobs* wait for a stored one; if that is over, they know at once."""
        while True:
            try:
                await self._jobs.patch(
                    on_id,
                    Job.awaited.to(True),
                    Job.dependents.increment(len(links)),
                    when=(Job.workflow_id == flow.id) & ~Job.status.in_(ENDS),
                )
            except PreconditionFailedError:
                job = await self._jobs.get_one(on_id)
            else:
                for link in links:
                    if link.job_id in jobs:
                        holds(jobs[link.job_id])
                return
            if job.workflow_id != flow.id:
                raise _stranger(on_id)
            if job.status.finished:
                break
        for link in links:
            link.settled = True
            waits = jobs.get(link.job_id)
            if waits is None or job.status is JobStatus.SUCCEEDED:
                continue
            if link.on_failure is OnFailure.WAIT:
                holds(waits)
            elif link.on_failure is OnFailure.CANCEL:
                raise IllegalTransitionError(
                    "Job", on_id, current=job.status.value, wanted="waited for"
                )

    async def _hold(self, flow: Workflow, job_id: UUID, number: int) -> None:
        """Let a stored job wait for *number* more, which it does only while it waits."""
        waits = (Job.status == JobStatus.WAITING) & (Job.pending > 0)
        try:
            await self._jobs.patch(
                job_id,
                Job.pending.increment(number),
                when=(Job.workflow_id == flow.id) & waits,
            )
        except PreconditionFailedError:
            job = await self._jobs.get_one(job_id)
            if job.workflow_id != flow.id:
                raise _stranger(job_id) from None
            raise IllegalTransitionError(
                "Job", job_id, current=job.status.value, wanted="waiting for more"
            ) from None

    async def _needed(self, bad: set[UUID]) -> tuple[Counter[UUID], Counter[UUID]]:
        """Unsettle the links that count again; return how many hold up each job, and wait for it.

        The rows of *bad* are written in this transaction already, and so nobody settles links to
        or from them before it ends.
        """
        links: dict[tuple[UUID, UUID], JobDependency] = {}
        for some in _pieces(sorted(bad)):
            for side in (JobDependency.job_id, JobDependency.on_id):
                for link in await self._links.find(side.in_(some)):
                    links[link.job_id, link.on_id] = link
        again: dict[UUID, list[UUID]] = defaultdict(list)
        for link in links.values():
            counts = link.job_id in bad or link.on_failure is OnFailure.WAIT
            if link.settled and link.on_id in bad and counts:
                again[link.on_id].append(link.job_id)
                link.settled = False
        for on_id, job_ids in again.items():
            for some in _pieces(job_ids):
                await self._links.update_where(
                    JobDependency.on_id == on_id,
                    JobDependency.job_id.in_(some),
                    changes=JobDependency.settled.to(False),
                )
        unsettled = [link for link in links.values() if not link.settled]
        return (
            Counter(link.job_id for link in unsettled),
            Counter(link.on_id for link in unsettled),
        )


def newest_first(*, named: bool) -> Order:
    """Return the order of runs; those of all names go along their ids, which are made in order."""
    return WorkflowRun.created_at.desc() if named else WorkflowRun.id.desc()


def _again(now: datetime) -> tuple[Change, ...]:
    """Return the changes by which a job is as if it had not been tried; its steps stay."""
    return (
        Job.status.to(JobStatus.WAITING),
        Job.attempts.to(0),
        Job.lost_leases.to(0),
        Job.run_at.to(now),
        Job.deadline.to(None),
        Job.worker.to(None),
        Job.event.to(None),  # what it waited for when it was cancelled
        Job.cancel_requested.to(False),
        Job.progress.to(0.0),
        Job.message.to(None),
        Job.finished_at.to(None),
        Job.expires_at.to(None),
    )


def _waits(pending: int, *, dependents: int) -> tuple[Change, ...]:
    waits = (
        Job.pending.to(pending),
        Job.dependents.to(dependents),
        Job.awaited.to(dependents > 0),
    )
    if pending:
        return waits
    return (*waits, Job.status.to(JobStatus.QUEUED), Job.lane.to(Job.queue))


@contextmanager
def _unique_key_named() -> Iterator[None]:
    """Tell of a unique key that is taken by the name that callers know it by."""
    try:
        yield
    except DuplicateError as error:
        if error.fields != ("live_key",):
            raise
        raise DuplicateError("Job", ("unique_key",), error.index) from None


def _pieces(ids: Sequence[UUID]) -> Iterator[Sequence[UUID]]:
    for at in range(0, len(ids), _AT_ONCE):
        yield ids[at : at + _AT_ONCE]


def _stranger(job_id: UUID) -> InvalidValueError:
    return InvalidValueError("Workflow", "jobs", f"the job {job_id} is not one of this workflow")
