"""How many jobs stand where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from holdfast.jobs.job import JobStatus


@dataclass(frozen=True, slots=True)
class QueueStatistics:
    """A queue's jobs by status, every status named, and how long the oldest has been due.

    *oldest* is None when no job of the queue is due.
    """

    counts: Mapping[JobStatus, int]
    oldest: timedelta | None
