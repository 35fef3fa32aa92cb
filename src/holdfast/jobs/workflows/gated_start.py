"""Starts of workflows that no transaction holds as a whole: their jobs wait for a gate.

The gate is a job that the starter holds by a lease. Jobs and links are written in pieces, each in
a transaction that renews the lease, so nothing is written behind one that ran out. The last
transaction ends the gate and writes the run: from then on the workflow is there, and its jobs are
told of the gate's end as of any other. When a starter dies its lease runs out, whoever claims next
cancels the gate, and with it all that was written.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from holdfast.errors import (
    DuplicateError,
    HoldfastError,
    LeaseLostError,
    NotFoundError,
    PreconditionFailedError,
)
from holdfast.jobs.atomic import atomically
from holdfast.jobs.claim import ended, held_by
from holdfast.jobs.job import NO_LANE, Job, JobStatus
from holdfast.jobs.workflows.job_dependency import JobDependency
from holdfast.jobs.workflows.workflow import Workflow, holds
from holdfast.jobs.workflows.workflow_gate import gate_of
from holdfast.jobs.workflows.workflow_run import WorkflowRun

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from holdfast.jobs.jobs import Jobs
    from holdfast.records import Change

_log = logging.getLogger("holdfast.jobs")
GATE_TASK = "holdfast.workflow_start"
_QUEUE = "holdfast-start"  # its own, for no limit of a queue to count it
_LEASE = timedelta(minutes=2)
ITEMS_AT_ONCE = 90
"""How many items a piece has; DynamoDB takes 100 in a transaction."""


def items_of(jobs: Iterable[Job]) -> int:
    """Return how many items of a transaction *jobs* are, the guards of unique keys among them."""
    return sum(1 + (job.live_key is not None) for job in jobs)


@dataclass(slots=True)
class _Piece:
    """What one transaction writes beside the gate."""

    jobs: list[Job] = field(default_factory=list)
    links: list[JobDependency] = field(default_factory=list)

    def fits(self, items: int) -> bool:
        return items_of(self.jobs) + len(self.links) + items <= ITEMS_AT_ONCE


class GatedStart:
    """The start of *flow*, a new one, among *jobs*."""

    def __init__(self, jobs: Jobs, flow: Workflow) -> None:
        self._store = jobs.store
        self._all = jobs
        self._flow = flow
        self._jobs = jobs.store.repository(Job)
        self._gate = gate_of(flow.id)
        self._token = uuid4()

    async def store(self, jobs: Mapping[UUID, Job], links: Sequence[JobDependency]) -> WorkflowRun:
        """Store *jobs* and *links*, and return the run, with which they are there.

        Raises what refuses a row, and LeaseLostError when it took too long; then all that was
        written is cancelled.
        """
        await self._all.clock.compare()
        await self._jobs.add(self._closed())
        try:
            for piece in self._pieces(jobs, links):
                await atomically(self._store, partial(self._write, piece))
            return await atomically(self._store, partial(self._open, len(jobs)))
        except HoldfastError:
            await self._give_up()
            raise

    def _closed(self) -> Job:
        now = self._all.now()
        return Job(
            id=self._gate,
            queue=_QUEUE,
            task=GATE_TASK,
            payload={"workflow": str(self._flow.id)},
            status=JobStatus.RUNNING,
            lane=NO_LANE,
            attempts=1,
            max_attempts=1,
            run_at=now,
            started_at=now,
            worker="the start of a workflow",
            lease=self._token,
            leased_until=now + _LEASE,
            retention=0,
            cancel_requested=True,  # so it is cancelled when its lease runs out, not a dead letter
        )

    def _pieces(self, jobs: Mapping[UUID, Job], links: Sequence[JobDependency]) -> Iterator[_Piece]:
        """Yield what to write, in the order in which it may break off anywhere.

        A job comes before its links, and these before the job that they lead to: so one that is
        there has all links to it that it counts, and each that is there waits for the gate.
        """
        own: dict[UUID, list[JobDependency]] = defaultdict(list)
        graph: dict[UUID, set[UUID]] = {job_id: set() for job_id in jobs}
        for link in links:
            own[link.job_id].append(link)
            graph[link.job_id].add(link.on_id)
        piece = _Piece()
        for job_id in reversed(list(TopologicalSorter(graph).static_order())):
            job = jobs[job_id]
            holds(job)
            if not piece.fits(items_of([job]) + 1):
                yield piece
                piece = _Piece()
            piece.jobs.append(job)
            piece.links.append(JobDependency(job_id=job_id, on_id=self._gate))
            for link in own[job_id]:
                if not piece.fits(1):
                    yield piece
                    piece = _Piece()
                piece.links.append(link)
        yield piece

    async def _write(self, piece: _Piece) -> None:
        changes: list[Change] = [Job.leased_until.to(self._all.now() + _LEASE)]
        if piece.jobs:
            changes += [Job.dependents.increment(len(piece.jobs)), Job.awaited.to(True)]
        await self._hold(*changes)
        try:
            await self._jobs.add_many(piece.jobs)
        except DuplicateError as error:  # without its place in the piece, which nobody knows
            raise DuplicateError(error.entity, error.fields) from None
        await self._store.repository(JobDependency).add_many(piece.links)

    async def _open(self, size: int) -> WorkflowRun:
        await self._hold(*ended(JobStatus.SUCCEEDED, self._all.now(), retention=0))
        runs = self._store.repository(WorkflowRun)
        return await runs.add(WorkflowRun(id=self._flow.id, name=self._flow.name, size=size))

    async def _give_up(self) -> None:
        """Cancel at once what was written; where that fails too, it is when the lease is over."""
        try:
            await self._hold(*ended(JobStatus.CANCELLED, self._all.now(), retention=0))
            await self._all.release_waiting()
        except HoldfastError as error:
            _log.info("the start of the workflow %s is undone later: %s", self._flow.id, error)

    async def _hold(self, *changes: Change) -> None:
        """Change the gate while its lease is held. Raises LeaseLostError."""
        held = held_by(self._token, self._all.now())
        try:
            await self._jobs.patch(self._gate, *changes, when=held)
        except (PreconditionFailedError, NotFoundError):
            raise LeaseLostError("Job", self._gate) from None
