"""How many workers a queue of jobs needs, and the pool brought there."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from holdfast.errors import ConfigurationError
from holdfast.hosts.host_entities import MachineStatus, RequestKind
from holdfast.jobs import Job, JobStatus
from holdfast.option_checks import check_kind, check_whole

if TYPE_CHECKING:
    from uuid import UUID

    from holdfast.hosts.host_entities import HostRequest, Machine
    from holdfast.hosts.host_pool import HostPool
    from holdfast.records import Store

_WORKING = (
    MachineStatus.PENDING,
    MachineStatus.LAUNCHING,
    MachineStatus.RUNNING,
    MachineStatus.UNKNOWN,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingPolicy:
    """How many workers serve *queue*: one for each *jobs_each* that are due or run.

    Never fewer than *least*, never more than *most*. More come at once; fewer only when that many
    have been enough at *calm* looks one after another, so that a short pause ends none of them.
    Raises ConfigurationError.
    """

    queue: str = "default"
    least: int = 0
    most: int = 4
    jobs_each: int = 5
    calm: int = 3

    def __post_init__(self) -> None:
        check_whole(self, "least", "most", least=0)
        check_whole(self, "jobs_each", "calm")
        if self.least > self.most:
            raise ConfigurationError(
                f"least={self.least}, most={self.most}: expected 0 <= least <= most"
            )

    def workers_for(self, jobs: int) -> int:
        """Return how many workers *jobs* need."""
        return min(max(math.ceil(jobs / self.jobs_each), self.least), self.most)


@dataclass(frozen=True, slots=True)
class Scaled:
    """One look of an autoscaler: what it saw, and the request that it made, if any."""

    jobs: int
    workers: int
    wanted: int
    request: HostRequest | None = None


class Autoscaler:
    """Brings *pool* to what *policy* says of the jobs in *store*. One is enough for a pool."""

    def __init__(self, pool: HostPool, store: Store, policy: ScalingPolicy) -> None:
        check_kind(policy, ScalingPolicy, "policy")
        self._pool = pool
        self._jobs = store.repository(Job)
        self._policy = policy
        self._needed: list[int] = []

    async def look(self, *, within: timedelta = timedelta(minutes=10)) -> Scaled:
        """Count jobs and workers once, ask for what is missing or give back what is too much.

        What an earlier look has asked for counts as there. The newest workers are given back
        first, each after the job at hand.
        """
        policy = self._policy
        jobs = await self._backlog()
        working = [each for each in await self._pool.machines.get_live() if each.status in _WORKING]
        coming = sum(
            max(each.requested - each.live, 0)
            for each in await self._pool.requests.get_active_requests(RequestKind.ACQUIRE)
        )
        workers = len(working) + coming
        self._needed = [*self._needed, policy.workers_for(jobs)][-policy.calm :]
        wanted = self._needed[-1]
        if wanted > workers:
            asked = await self._pool.request(wanted - workers, within=within)
            return Scaled(jobs, workers, wanted, await self._pool.work(asked.id))
        enough = max(self._needed)
        if workers > enough and len(self._needed) == policy.calm:
            back = await self._pool.give_back(_newest(working, workers - enough), within=within)
            return Scaled(jobs, workers, wanted, await self._pool.work(back.id))
        return Scaled(jobs, workers, wanted)

    async def _backlog(self) -> int:
        """Return how many jobs of the queue are due or run."""
        now = self._jobs.store.now()
        queue = Job.queue == self._policy.queue
        due = await self._jobs.count(queue, Job.status == JobStatus.QUEUED, Job.run_at <= now)
        return due + await self._jobs.count(queue, Job.status == JobStatus.RUNNING)


def _newest(machines: list[Machine], number: int) -> list[UUID]:
    ordered = sorted(machines, key=lambda each: (each.created_at, each.id), reverse=True)
    return [each.id for each in ordered[:number]]
