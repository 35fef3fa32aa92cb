"""What a handler is given: its job, a way to report, and whether to go on."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from holdfast.errors import JobCancelledError, LeaseLostError
from holdfast.jobs.claim import storable
from holdfast.jobs.job import MESSAGE_LENGTH, checked_fraction

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from holdfast.jobs.claim import Claimed
    from holdfast.jobs.job import Job
    from holdfast.jobs.jobs import Jobs


class Context:
    """A handler's side of its job. All but `complete` may be used from any thread."""

    def __init__(self, jobs: Jobs, claim: Claimed, reported: Callable[[], None]) -> None:
        self.claim = claim
        self.job: Job = claim.job
        """The job as it was claimed."""
        self.completed = False
        self._jobs = jobs
        self._reported = reported
        self._lock = threading.Lock()
        self._report: tuple[float, str | None] | None = None
        self._asked_to_stop = False
        self._lost = False
        self._leased_until = claim.job.leased_until

    @property
    def payload(self) -> Mapping[str, object]:
        """What the job was enqueued with; see `EnqueueOptions`."""
        return self.job.payload

    def progress(self, fraction: float, message: str | None = None) -> None:
        """Tell how far the work is, from 0 to 1. Returns at once.

        The worker writes it from the background; of reports that come faster than it writes, the
        latest is kept. Raises InvalidValueError for a fraction outside 0 to 1.
        """
        fraction = checked_fraction(fraction)
        with self._lock:
            if message is not None:
                message = storable(message, MESSAGE_LENGTH)
            elif self._report is not None:
                message = self._report[1]
            self._report = (fraction, message)
        self._reported()

    @property
    def cancelled(self) -> bool:
        """Whether to stop: somebody cancelled the job, or its lease is no longer ours."""
        return self._asked_to_stop or self.lease_lost

    @property
    def lease_lost(self) -> bool:
        """Whether the lease is over, as far as this process knows: nothing more will be kept."""
        return self._lost or _over(self._leased_until, self._jobs.now())

    def raise_if_cancelled(self) -> None:
        """Raise LeaseLostError or JobCancelledError when it is time to stop."""
        if self.lease_lost:
            raise LeaseLostError("Job", self.job.id)
        if self._asked_to_stop:
            raise JobCancelledError(f"job {self.job.id} was cancelled")

    async def complete(self, result: object = None) -> None:
        """End the job as succeeded from within the handler, which must be an async one.

        In `async with store.transaction()`, what the handler has written and the job's end are
        committed together, or neither is. What the handler returns then counts for nothing.
        Raises LeaseLostError, and InvalidValueError for a result that is no JSON.
        """
        await self._jobs.complete(self.claim, result)
        self.completed = True

    # --- the worker's side ------------------------------------------------------------------

    def take_report(self) -> tuple[float, str | None] | None:
        """Return what was reported and not yet taken."""
        with self._lock:
            report, self._report = self._report, None
        return report

    def observe(self, job: Job) -> None:
        """Take note of the job as it was just stored."""
        self._asked_to_stop = job.cancel_requested
        self._leased_until = job.leased_until

    def lose(self) -> None:
        """Take note that the lease is lost."""
        self._lost = True


def _over(leased_until: datetime | None, now: datetime) -> bool:
    return leased_until is None or leased_until <= now
