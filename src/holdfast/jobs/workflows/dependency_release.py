"""What the end of a job does to those that wait for it: they are queued, or cancelled too.

The end itself knows nothing of this: whoever writes it, one conditional write ends a job. A job
that is at its end and still `awaited` has others that are to be told, and any worker finds it in
an index and tells them. So a worker may die at any moment, and jobs that end at once, a thousand
of which may hold up one, meet on no row; who tells takes many of them together.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import partial
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

from holdfast.errors import NotFoundError, PreconditionFailedError
from holdfast.jobs.atomic import atomically
from holdfast.jobs.claim import ended
from holdfast.jobs.job import ENDS, Job, JobStatus
from holdfast.jobs.workflows.job_dependency import JobDependency, OnFailure
from holdfast.records import StoreCapability

if TYPE_CHECKING:
    from collections.abc import (
        Awaitable,
        Callable,
        Collection,
        Hashable,
        Iterable,
        Mapping,
        Sequence,
    )
    from datetime import datetime

    from holdfast.records import Change, Store

K = TypeVar("K", bound="Hashable")

_UNSETTLED = JobDependency.settled == False  # noqa: E712
_UNTOLD = Job.status.in_(ENDS) & Job.leased_until.is_null() & (Job.awaited == True)  # noqa: E712
# The order of their index: in the order of ids SQLite, and who knows the table, walks all jobs.
_ALONG = (Job.status.asc(), Job.leased_until.asc(), Job.awaited.asc())
_TOGETHER = 500  # links that one transaction settles
_OVERTAKEN = 10  # times, after which those who are quicker are left to it
_FEW = 25  # where a transaction has 100 items: a link, the job that waits, and the one that ended


class _MovedError(Exception):
    """Somebody else has told some of them meanwhile."""


class DependencyRelease:
    """Tells jobs of the ends of those that they wait for, in *store*.

    *count* is told of each job that is cancelled by it.
    """

    def __init__(self, store: Store, count: Callable[[Job, datetime], Awaitable[None]]) -> None:
        self._store = store
        self._count = count
        self._jobs = store.repository(Job)
        self._links = store.repository(JobDependency)
        self._large = StoreCapability.LARGE_WRITES in store.capabilities
        self._together = _TOGETHER if self._large else _FEW

    async def release(self) -> int:
        """Tell all that are to be told, and return how many jobs were queued or cancelled.

        Any number may do this at once: each job is told once of each end.
        """
        count = 0
        overtaken = 0
        while overtaken < _OVERTAKEN:
            over = await self._jobs.find(_UNTOLD, order_by=_ALONG, limit=self._together)
            links = await self._unsettled(over) if over else []
            if not links:
                break  # or the index of a store is behind: who looks next finds them
            try:
                count += await atomically(self._store, partial(self._settle, over, links))
            except _MovedError:
                overtaken += 1
        return count

    async def _unsettled(self, over: Sequence[Job]) -> list[JobDependency]:
        """Return links to settle together: all of as many jobs as fit, or a part of one's."""
        ids = [job.id for job in over]
        links = await self._links.find(
            JobDependency.on_id.in_(ids),
            _UNSETTLED,
            limit=self._together + 1,
        )
        if len(links) <= self._together:
            return links
        first = links[0].on_id
        return await self._links.find(
            JobDependency.on_id == first,
            _UNSETTLED,
            limit=self._together,
        )

    async def _settle(self, over: Sequence[Job], links: Sequence[JobDependency]) -> int:
        """Settle *links* to jobs that are *over*, in the transaction around it."""
        ends = {job.id: job for job in over}
        await self._take_ends(ends, Counter(link.on_id for link in links))
        await self._take_links(links)
        waits = Counter[UUID]()
        doomed = set[UUID]()
        for link in links:
            succeeded = ends[link.on_id].status is JobStatus.SUCCEEDED
            if succeeded or link.on_failure is not OnFailure.WAIT:
                waits[link.job_id] += 1
            if not succeeded and link.on_failure is OnFailure.CANCEL:
                doomed.add(link.job_id)
        for number, ids in _grouped(waits).items():
            await self._jobs.update_where(Job.id.in_(ids), changes=Job.pending.increment(-number))
        # From here on nobody else changes them: they are locked, or all of this is done again.
        told = [job for job in await self._jobs.get_many(sorted(waits)) if job is not None]
        # One that waits for an event has begun: it was retried alone, without what it waited for.
        waiting = [job for job in told if job.status is JobStatus.WAITING and job.event is None]
        cancelled = [job for job in waiting if job.id in doomed]
        free = [job for job in waiting if job.id not in doomed and job.pending == 0]
        await self._cancel(cancelled)
        await self._queue(free)
        return len(cancelled) + len(free)

    async def _take_ends(self, ends: Mapping[UUID, Job], told: Mapping[UUID, int]) -> None:
        """Count off at the jobs that are over how many are told; hold them so until it is done."""
        groups: dict[tuple[int, bool], list[UUID]] = defaultdict(list)
        for job_id, number in told.items():
            groups[number, number == ends[job_id].dependents].append(job_id)
        for (number, last), ids in groups.items():
            left = Job.dependents == number if last else Job.dependents > number
            changed = await self._jobs.update_where(
                Job.id.in_(ids),
                Job.status.in_(ENDS),
                Job.awaited == True,  # noqa: E712
                left,
                changes=[Job.dependents.increment(-number), Job.awaited.to(not last)],
            )
            if changed != len(ids):
                raise _MovedError

    async def _take_links(self, links: Sequence[JobDependency]) -> None:
        """Settle *links*, with as few statements as there are jobs on one side of them."""
        if not self._large:
            await self._take_links_by_key(links)
            return
        by_job, by_on = defaultdict(list), defaultdict(list)
        for link in links:
            by_job[link.job_id].append(link.on_id)
            by_on[link.on_id].append(link.job_id)
        if len(by_on) <= len(by_job):
            of = [
                (JobDependency.on_id == on_id) & JobDependency.job_id.in_(job_ids)
                for on_id, job_ids in by_on.items()
            ]
        else:
            of = [
                (JobDependency.job_id == job_id) & JobDependency.on_id.in_(on_ids)
                for job_id, on_ids in by_job.items()
            ]
        changed = 0
        for these in of:
            changed += await self._links.update_where(
                these & _UNSETTLED, changes=JobDependency.settled.to(True)
            )
        if changed != len(links):
            raise _MovedError

    async def _take_links_by_key(self, links: Sequence[JobDependency]) -> None:
        """Settle *links* without a search: what one reads beside them counts in a transaction."""
        await self._links.get_many([(link.job_id, link.on_id) for link in links])
        for link in links:
            key = (link.job_id, link.on_id)
            try:
                await self._links.patch(key, JobDependency.settled.to(True), when=_UNSETTLED)
            except (PreconditionFailedError, NotFoundError):
                raise _MovedError from None

    async def _queue(self, jobs: Iterable[Job]) -> None:
        now = self._store.now()
        groups: dict[bool, list[UUID]] = defaultdict(list)
        for job in jobs:
            groups[job.run_at <= now].append(job.id)
        for due, ids in groups.items():
            changes: list[Change] = [Job.status.to(JobStatus.QUEUED)]
            if due:
                changes += [Job.run_at.to(now), Job.lane.to(Job.queue)]
            await self._jobs.update_where(Job.id.in_(ids), changes=changes)

    async def _cancel(self, jobs: Collection[Job]) -> None:
        now = self._store.now()
        groups: dict[int | None, list[UUID]] = defaultdict(list)
        for job in jobs:
            groups[job.retention].append(job.id)
        for retention, ids in groups.items():
            changes = [
                *ended(JobStatus.CANCELLED, now, retention),
                Job.error.to("a job that it waits for did not succeed"),
            ]
            await self._jobs.update_where(Job.id.in_(ids), changes=changes)
        for job in jobs:
            job.status = JobStatus.CANCELLED
            await self._count(job, now)
        if self._store.hooked.hooks:
            for job in jobs:
                details = {"task": job.task, "status": JobStatus.CANCELLED.value}
                await self._store.record_event(
                    "job.cancelled", entity="Job", key=str(job.id), details=details
                )


async def await_again(store: Store, job: Job) -> Job:
    """Let those that have waited on since *job* failed be told of its new end, and return it.

    In a transaction in which it was put back into its queue: so nobody tells of its last end.
    """
    links, jobs = store.repository(JobDependency), store.repository(Job)
    number = await links.update_where(
        JobDependency.on_id == job.id,
        JobDependency.on_failure == OnFailure.WAIT,
        JobDependency.settled == True,  # noqa: E712
        changes=JobDependency.settled.to(False),
    )
    if not number:
        return job
    return await jobs.patch(job.id, Job.dependents.increment(number), Job.awaited.to(True))


def _grouped(counts: Mapping[K, int]) -> dict[int, list[K]]:
    """Return which have which count."""
    groups: dict[int, list[K]] = defaultdict(list)
    for each, count in counts.items():
        groups[count].append(each)
    return groups
