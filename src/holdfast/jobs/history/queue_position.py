"""When a job that waits may start: its place, and the pace of its queue lately."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from holdfast.jobs.history.task_figures import TaskFigures
from holdfast.jobs.history.task_statistics import FigureQuery, statistics_of
from holdfast.jobs.job_queue import JobQueue, QueueStatus
from holdfast.jobs.side_tables import has_table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from holdfast.jobs.history.task_statistics import TaskStatistics
    from holdfast.jobs.job import Job
    from holdfast.records import Store

PACE_OF = timedelta(minutes=15)
"""How far back a queue's pace is looked at."""
_FEWEST = 10  # ends in that time, below which there is no pace to speak of
_MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class QueuePosition:
    """A job's *place*, 1 for the next, and between which times it may start.

    Both are None while the queue is paused, and when too little ended in it lately. They take for
    granted that as many workers go on at the same pace, and that nothing more urgent comes in.
    """

    place: int
    earliest: datetime | None
    latest: datetime | None


async def estimated(store: Store, job: Job, place: int) -> QueuePosition:
    """Return *place*, that of *job*, with the times that the queue's pace makes of it.

    The latest is by the mean pace of the last 15 minutes, the earliest by that of the best minute
    in them, each moved by two standard deviations of such a count. A queue that was idle meanwhile
    has shown less than it can do: it is sooner than the latest.
    """
    now = store.now()
    if not has_table(store, TaskFigures) or await _is_paused(store, job.queue):
        return QueuePosition(place, None, None)
    asked = FigureQuery(since=now - PACE_OF, step="minute", queue=job.queue, by="all")
    pace = _pace(await statistics_of(store, asked))
    if pace is None:
        return QueuePosition(place, None, None)
    slowest, quickest = pace
    earliest = max(job.run_at, now + timedelta(seconds=(place - 1) / quickest))
    latest = max(job.run_at, now + timedelta(seconds=place / slowest))
    return QueuePosition(place, earliest, latest)


async def _is_paused(store: Store, queue: str) -> bool:
    found = await store.repository(JobQueue).get(queue) if has_table(store, JobQueue) else None
    return found is not None and found.status is QueueStatus.PAUSED


def _pace(minutes: Sequence[TaskStatistics]) -> tuple[float, float] | None:
    """Return how many attempts end in a second, at the least and at the most."""
    counts = [each.ended + each.retried for each in minutes]
    total = sum(counts)
    if total < _FEWEST:
        return None
    best = max(counts)
    slowest = (total - 2 * math.sqrt(total)) / PACE_OF.total_seconds()
    return slowest, (best + 2 * math.sqrt(best)) / _MINUTE
