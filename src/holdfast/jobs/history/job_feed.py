"""The feed of jobs: what changes among them, looked for once for all who follow it.

While anybody follows, the store is asked every second by searches in an index: which jobs run,
which have ended since, which are new. What is found is compared with what was found before,
so a job that changes twice in between is told once, as it then stands. What happens to a job that
goes on waiting, such as an edit, is not told.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from holdfast.errors import HoldfastError
from holdfast.jobs.job import ENDS, Job, JobStatus
from holdfast.records import StoreCapability

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from datetime import datetime

    from holdfast.jobs.job_filter import JobFilter
    from holdfast.jobs.jobs import Jobs

MOST_KEPT = 1_000
"""Changes that are kept for those who are slow, or come again."""
MOST_FOUND = 500
"""Jobs of each kind that one look finds: those that run the longest, and the latest others."""
_EVERY = timedelta(seconds=1)
_OVERLAP = timedelta(seconds=5)  # looked back: commits and clocks are not quite in order
_log = logging.getLogger("holdfast.jobs")


@dataclass(frozen=True, slots=True)
class JobChange:
    """A job as it was found, and the *number* of the change: they count up from 1."""

    number: int
    job: Job


class JobFeed:
    """What changes among the jobs of *jobs*, for any number of followers in one event loop."""

    def __init__(self, jobs: Jobs, *, every: timedelta = _EVERY) -> None:
        self._jobs = jobs
        self._repository = jobs.store.repository(Job)
        self._every = every
        self._kept: deque[JobChange] = deque(maxlen=MOST_KEPT)
        self._number = 0
        self._followers = 0
        self._task: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._states: dict[UUID, tuple[object, ...]] = {}
        self._running: list[UUID] = []
        self._looked: datetime | None = None

    @property
    def last(self) -> int:
        """The number of the last change so far."""
        return self._number

    async def follow(
        self, wanted: JobFilter, *, after: int | None = None, lasting: timedelta | None = None
    ) -> AsyncIterator[JobChange | None]:
        """Yield the changes of jobs that fit, those behind the number *after* first.

        It ends when it has lasted so long; None is without an end.

        None stands for changes that are no longer known: look at the jobs again, and go on. A
        follower that takes nothing costs nothing, and finds the latest MOST_KEPT changes later.
        """
        watched, position = self._task is not None, self._number
        time = asyncio.get_running_loop().time
        end = None if lasting is None else time() + lasting.total_seconds()
        self._begin()
        try:
            if after is not None and watched and after <= position:
                position = after
            elif after is not None:
                yield None  # nobody looked meanwhile, or it was another process
            while True:
                news = self._news
                first = self._kept[0].number if self._kept else self._number + 1
                if position < first - 1:
                    position = first - 1
                    yield None
                    continue
                for change in [each for each in self._kept if each.number > position]:
                    position = change.number
                    if wanted.fits(change.job):
                        yield change
                if position == self._number:
                    async with asyncio.timeout_at(end):
                        await news.wait()
        except TimeoutError:
            return
        finally:
            await self._end()

    def _begin(self) -> None:
        self._followers += 1
        if self._task is None:
            self._task = asyncio.create_task(self._watch(), name="holdfast-job-feed")

    async def _end(self) -> None:
        self._followers -= 1
        if self._followers == 0 and self._task is not None:
            task, self._task = self._task, None
            task.cancel()
            await asyncio.wait({task})
            self._looked = None

    async def _watch(self) -> None:
        while True:
            try:
                await self.look()
            except HoldfastError as error:
                _log.warning("the jobs can't be watched now: %s", error)
            await asyncio.sleep(self._every.total_seconds())

    async def look(self) -> None:
        """Look once at what has changed; the first time only at what there is."""
        now, first = self._jobs.now(), self._looked is None
        since = (now if self._looked is None else self._looked) - _OVERLAP
        found = {job.id: job for job in await self._found(since)}
        gone = [job_id for job_id in self._running if job_id not in found]
        again = await self._repository.get_many(gone)
        found |= {job.id: job for job in again if job is not None}
        before, self._states = self._states, {job.id: _state(job) for job in found.values()}
        running = [job.id for job in found.values() if job.status is JobStatus.RUNNING]
        self._running = running[:MOST_FOUND]
        self._looked = now
        if first:
            return
        changed = [job for job in found.values() if before.get(job.id) != self._states[job.id]]
        for job in sorted(changed, key=lambda job: (job.updated_at, job.id)):
            self._number += 1
            self._kept.append(JobChange(self._number, job))
        if changed:
            news, self._news = self._news, asyncio.Event()
            news.set()

    async def _found(self, since: datetime) -> Sequence[Job]:
        """Return the jobs that run, those that ended since then, and those made since then."""
        jobs = self._repository
        found = await jobs.find(
            Job.status == JobStatus.RUNNING, order_by=Job.leased_until.asc(), limit=MOST_FOUND
        )
        for status in ENDS:
            ended = (Job.status == status) & (Job.finished_at >= since)
            found += await jobs.find(ended, order_by=Job.finished_at.desc(), limit=MOST_FOUND)
        return [*found, *await self._made(since)]

    async def _made(self, since: datetime) -> Sequence[Job]:
        """Return the latest of the jobs that were made since then, by the time in their ids."""
        if StoreCapability.SNAPSHOTS not in self._jobs.store.capabilities:
            return []  # DynamoDB finds keys by hash: a job is told there when it runs
        oldest = UUID(int=int(since.timestamp() * 1000) << 80)
        return await self._repository.find(
            Job.id >= oldest, order_by=Job.id.desc(), limit=MOST_FOUND
        )


def _state(job: Job) -> tuple[object, ...]:
    return (
        job.status,
        job.progress,
        job.message,
        job.attempts,
        job.error,
        job.cancel_requested,
        job.run_at,
    )
