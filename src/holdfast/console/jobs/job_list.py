"""What a list of jobs is asked for, and the rows that it shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, TypeAlias

from fastapi import Depends, Query

from holdfast.console.bounded_look import AskedPiece, Look, Wanted, look
from holdfast.jobs import Job, JobFilter, JobStatus
from holdfast.jobs.job import ENDS
from holdfast.records import everything

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from holdfast.console.console_site import ConsoleSite
    from holdfast.jobs import FailureGroup
    from holdfast.records import Order, Predicate

_PAGE = 50
_CUT = "\N{HORIZONTAL ELLIPSIS}"  # what stands in a reason for what varies


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedJobs:
    """What an address asks of jobs; *error* is a part of the last error, '' asks for nothing."""

    status: JobStatus | None = None
    queue: str = ""
    task: str = ""
    error: str = ""

    @property
    def query(self) -> dict[str, object]:
        """The same for an address."""
        given = {
            "status": self.status.value if self.status else "",
            "queue": self.queue,
            "task": self.task,
            "error": self.error,
        }
        return {name: value for name, value in given.items() if value}

    def jobs(self, *, until: datetime | None = None) -> JobFilter:
        """Return the filter of the jobs that fit, and were made before *until*."""
        return JobFilter(
            statuses=() if self.status is None else (self.status,),
            queue=self.queue or None,
            task=self.task or None,
            error=self.error or None,
            until=until,
        )

    def wanted(self) -> Wanted:
        """Return what a list shows: in an order that an index has, whatever is asked for.

        Of a queue and a status it is that of when they were due, of an end that of the ends.
        """
        task, error = self.task or None, self.error or None
        if self.by_due:
            within = (Job.status == self.status) & (Job.queue == self.queue)
            return _wanted(Job.run_at.desc(), within, JobFilter(task=task, error=error))
        if self.by_end:
            ended = Job.finished_at.desc().nulls_first()  # as DynamoDB's index has them
            within = (Job.status == self.status) & ~Job.finished_at.is_null()  # or none has them
            return _wanted(ended, within, JobFilter(task=task, error=error))
        if self.queue:
            rest = JobFilter(task=task, error=error)
            return _wanted(Job.id.desc(), Job.queue == self.queue, rest)
        within = everything() if task is None else Job.task == task
        rest = JobFilter(statuses=() if self.status is None else (self.status,), error=error)
        by_queue = [Job.queue.asc(), Job.run_at.asc()]
        led = [] if self.status is None else [(Job.status == self.status, by_queue)]
        return _wanted(Job.id.desc(), within, rest, led)

    @property
    def by_due(self) -> bool:
        """Whether the list goes by when jobs were due."""
        return self.status is not None and bool(self.queue)

    @property
    def by_end(self) -> bool:
        """Whether it goes by when they ended."""
        return self.status in ENDS and not self.queue

    def followed(self) -> JobFilter:
        """Return the filter of the jobs whose changes may change the list: some leave it."""
        return JobFilter(queue=self.queue or None, task=self.task or None)


def _wanted(
    newest: Order,
    within: Predicate,
    rest: JobFilter,
    led: Sequence[tuple[Predicate, Sequence[Order]]] = (),
) -> Wanted:
    sought = [] if rest == JobFilter() else [rest.where()]
    return Wanted(newest=newest, within=[within], sought=sought, led=led, bounded=bool(sought))


def _asked(
    status: Annotated[str, Query(max_length=20)] = "",
    queue: Annotated[str, Query(max_length=100)] = "",
    task: Annotated[str, Query(max_length=200)] = "",
    error: Annotated[str, Query(max_length=1000)] = "",
) -> AskedJobs:
    wanted = next((each for each in JobStatus if each.value == status), None)
    return AskedJobs(status=wanted, queue=queue, task=task, error=error)


JobsAsked: TypeAlias = Annotated[AskedJobs, Depends(_asked)]
"""A parameter of a route: what its address asks of jobs."""


async def listed_jobs(site: ConsoleSite, asked: AskedJobs, piece: AskedPiece) -> Look[Job]:
    """Return a page of the jobs that fit, in the order of `AskedJobs.wanted`."""
    jobs = site.platform.store.repository(Job)
    return await look(jobs, asked.wanted(), piece, size=_PAGE)


def failure_url(site: ConsoleSite, group: FailureGroup) -> str:
    """Return the list of the jobs that failed for good and have the longest words of *group*."""
    words = max(group.reason.split(_CUT), key=len).strip()
    error = words if words in group.example else ""
    asked = AskedJobs(status=JobStatus.FAILED, queue=group.queue, task=group.task, error=error)
    return site.url("jobs", asked.query)
