"""What a list of jobs is asked for, and the rows that it shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, TypeAlias

from fastapi import Depends, Query

from holdfast.jobs import Job, JobFilter, JobStatus

if TYPE_CHECKING:
    from datetime import datetime

    from holdfast.console.console_site import ConsoleSite
    from holdfast.jobs import FailureGroup
    from holdfast.records import Page

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

    def followed(self) -> JobFilter:
        """Return the filter of the jobs whose changes may change the list: some leave it."""
        return JobFilter(queue=self.queue or None, task=self.task or None)


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


async def listed_jobs(site: ConsoleSite, asked: AskedJobs, cursor: str | None = None) -> Page[Job]:
    """Return a page of the jobs that fit, the newest first."""
    jobs = site.platform.store.repository(Job)
    where = asked.jobs().where()
    return await jobs.page(where, order_by=Job.id.desc(), size=_PAGE, cursor=cursor)


def failure_url(site: ConsoleSite, group: FailureGroup) -> str:
    """Return the list of the jobs that failed for good and have the longest words of *group*."""
    words = max(group.reason.split(_CUT), key=len).strip()
    error = words if words in group.example else ""
    asked = AskedJobs(status=JobStatus.FAILED, queue=group.queue, task=group.task, error=error)
    return site.url("jobs", asked.query)
