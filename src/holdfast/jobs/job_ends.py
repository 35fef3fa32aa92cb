"""What is written beside a job when it ends, or an attempt at it does: its history, and figures."""

from __future__ import annotations

import logging
from contextlib import nullcontext
from datetime import timedelta
from typing import TYPE_CHECKING

from holdfast.errors import HoldfastError
from holdfast.jobs.history.figure_recording import delete_in_pieces, write_tally
from holdfast.jobs.history.job_attempt import JobAttempt
from holdfast.jobs.history.job_log import JobLogLine
from holdfast.jobs.history.task_tally import AttemptEnd, TaskTally
from holdfast.jobs.job_reads import JobReads
from holdfast.jobs.side_tables import has_table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractAsyncContextManager
    from datetime import datetime

    from holdfast.jobs.job import Job, JobStatus
    from holdfast.records import Store

FIGURES_EVERY = timedelta(seconds=10)
"""How often a worker writes down what it has counted."""
_FIGURES_LATE = 3 * FIGURES_EVERY  # a verb that ends a job writes them down itself, where no worker
_log = logging.getLogger("holdfast.jobs")


class JobEnds(JobReads):
    """Keeps history and figures of the jobs of *store*, where it has tables for them."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.tally = TaskTally()

    async def write_figures(self) -> None:
        """Add what was counted of ended jobs to the statistics. Raises UnavailableError.

        A worker does it every FIGURES_EVERY and at its end, a server each minute. Without either,
        a verb that ends a job does it when the last time is half a minute ago. What a process has
        counted since then dies with it.
        """
        await write_tally(self.store, self.tally)

    def _with_history(self) -> AbstractAsyncContextManager[object]:
        """Return a transaction where the end of an attempt is also a row of the history."""
        return self.store.transaction() if has_table(self.store, JobAttempt) else nullcontext()

    async def _forget(self, jobs: Sequence[Job]) -> None:
        """Delete log and history of *jobs*, which are about to be deleted: no row outlives its job.

        One that is put back into its queue at this moment goes on without them.
        """
        ids = [job.id for job in jobs]
        logged = [job.id for job in jobs if job.log_lines]
        if has_table(self.store, JobAttempt):
            where = JobAttempt.job_id.in_(ids)
            await delete_in_pieces(self.store, JobAttempt, JobAttempt.id, where)
        if logged and has_table(self.store, JobLogLine):
            lines = JobLogLine.job_id.in_(logged)
            await delete_in_pieces(self.store, JobLogLine, JobLogLine.id, lines)

    async def _count(
        self,
        job: Job,
        at: datetime,
        *,
        status: JobStatus | None = None,
        duration: timedelta | None = None,
        error: str | None = None,
        lost: bool = False,
    ) -> None:
        """Count, once it is committed, that *job* ended or an attempt at it did, now in *status*.

        None: in the one that it has.
        """
        end = AttemptEnd(
            job_id=job.id,
            queue=job.queue,
            task=job.task,
            at=at,
            status=status or job.status,
            duration=duration,
            error=error,
            lost=lost,
        )

        async def counted() -> None:
            self.tally.add(end)
            if self.tally.since is not None and self.tally.since < at - _FIGURES_LATE:
                try:
                    await self.write_figures()
                except HoldfastError as refused:
                    _log.warning("the statistics can't be written now: %s", refused)

        await self.store.after_commit(counted)
