"""The domain of figures: each minute a server notes what it did, and how the jobs stand."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

from holdfast.domain import Domain
from holdfast.figures.figure_history import FigureHistory, Resolution
from holdfast.figures.figure_slot import FigureSlot
from holdfast.jobs import Job, Jobs, JobStatus
from holdfast.jobs.job import ENDS

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from holdfast.domain import DomainParts
    from holdfast.stats import Stats


class FigureSampler:
    """Notes the figures of one process: what was counted since it looked last."""

    def __init__(self, parts: DomainParts) -> None:
        self.history = FigureHistory(parts.store)
        self._parts = parts
        self._last = self._counted()

    async def sample(self) -> None:
        """Write what was counted since the last call, and how the jobs stand."""
        now = self._counted()
        grown = {name: max(value - self._last.get(name, 0.0), 0.0) for name, value in now.items()}
        self._last = now
        await self.history.add(grown)
        if any(isinstance(each, Jobs) for each in self._parts.services.values()):
            await self._sample_jobs()

    def _counted(self) -> dict[str, float]:
        """Return what this process counted since its start."""
        cache = self._parts.cache.stats().counters
        buckets = {id(place.bucket): place.bucket for place in self._parts.buckets.values()}
        objects = [_done(bucket.stats()) for bucket in buckets.values()]
        return {
            "cache_hits": cache.get("hits", 0.0),
            "cache_misses": cache.get("misses", 0.0),
            "commits": self._parts.store.stats().counters.get("committed", 0.0),
            "objects_done": sum(done for done, _ in objects),
            "objects_failed": sum(failed for _, failed in objects),
        }

    async def _sample_jobs(self) -> None:
        """Count what ended in each resolution's slot so far: the same whoever counts."""
        jobs = self._parts.store.repository(Job)
        now = self._parts.store.now()
        waiting = await jobs.count(Job.status == JobStatus.QUEUED)
        running = await jobs.count(Job.status == JobStatus.RUNNING)
        for resolution in Resolution:
            since = Job.finished_at >= resolution.start(now)
            # By status each, along the index that has both.
            ended = {status: await jobs.count(since, Job.status == status) for status in ENDS}
            failed = ended.pop(JobStatus.FAILED)
            await self.history.set(
                resolution,
                {
                    "jobs_ended": float(sum(ended.values())),
                    "jobs_failed": float(failed),
                    "jobs_waiting": float(waiting),
                    "jobs_running": float(running),
                },
            )


def _done(stats: Stats) -> tuple[float, float]:
    """Return how many operations succeeded and failed."""
    every = stats.operations.values()
    failed = sum(each.errors for each in every)
    return sum(each.count for each in every) - failed, failed


def _service(parts: DomainParts) -> AbstractAsyncContextManager[object]:
    return nullcontext(FigureSampler(parts))


async def _each_minute(parts: DomainParts) -> None:
    await parts.service(FigureSampler).sample()


FIGURES = Domain(
    name="figures",
    entities=(FigureSlot,),
    service=_service,
    each_minute=_each_minute,
)
"""Figures of the last hour, day and week, for the console's overview."""
