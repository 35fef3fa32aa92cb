"""The scheduler: makes the jobs of schedules, each tick once among any number of schedulers."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from holdfast.errors import (
    ConfigurationError,
    HoldfastError,
    LockTimeoutError,
    NotFoundError,
    SerializationError,
    StaleVersionError,
)
from holdfast.jobs.schedules.schedule import (
    JobSchedule,
    Schedule,
    ScheduleStatus,
    due_tick,
    new_job,
    stored_timing,
)
from holdfast.jobs.schedules.schedules import Schedules
from holdfast.jobs.side_tables import has_table, side_table

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from datetime import datetime

    from holdfast.jobs.jobs import Jobs
    from holdfast.jobs.new_job import Enqueued

_log = logging.getLogger("holdfast.jobs")
_LOOK_EVERY = 5.0  # seconds, at the most: what others put or resume is seen by then
_AT_ONCE = 100
_OVERTAKEN = (StaleVersionError, NotFoundError, SerializationError, LockTimeoutError)


class Scheduler:
    """Makes jobs of the schedules of *jobs*' store, and of *declared* ones, which stand in code.

    Any number may run at once. A tick's job is stored in the transaction that moves its schedule
    on, by one conditional write: so each tick has one job, whoever is killed when. Schedules that
    stand in the code of others alone are left to them.

    Raises ConfigurationError for two of one name, and for *declared* ones in a store that was
    opened without `JOB_ENTITIES`.
    """

    def __init__(self, jobs: Jobs, declared: Sequence[Schedule] = ()) -> None:
        self._jobs = jobs
        self._store = jobs.store
        self._known = has_table(self._store, JobSchedule)
        self._declared = {schedule.name: schedule for schedule in declared}
        if len(self._declared) != len(declared):
            raise ConfigurationError("two schedules have one name")
        if declared:
            side_table(self._store, JobSchedule, of="schedules")
        self._said = not declared

    async def tick(self) -> int:
        """Make the jobs that are due now, and return how many this scheduler made.

        The first call stores the declared schedules. What one schedule meets is logged, and the
        others go on. Raises what the store raises when it can't be read.
        """
        made = 0
        if not self._known:
            return made
        await self._jobs.clock.compare()
        await self._declare()
        passed: set[str] = set()
        while due := await self._due(passed):
            for stored in due:
                made += await self._tick(stored, passed)
        return made

    async def run_now(self, name: str) -> Enqueued:
        """Make a job of the schedule now, beside its ticks, which stay what they are.

        It may be paused, or stand in the code of others. As with a tick, a job with the
        schedule's unique key that lives is returned in place of a new one. In one transaction with
        its record in the audit. Raises NotFoundError.
        """
        stored = await side_table(self._store, JobSchedule, of="schedules").get_one(name)
        async with self._store.transaction():
            (made,) = await self._jobs.enqueue_many([new_job(stored, self._jobs.now())])
            await self._store.record_event(
                "schedule.run",
                entity="JobSchedule",
                key=name,
                details={"job": str(made.job.id), "created": made.created},
            )
        return made

    async def run(self) -> None:
        """Make jobs as they fall due, until cancelled; while the store is away, try again."""
        while self._known:
            try:
                await self.tick()
                pause = await self._until_next()
            except HoldfastError as error:
                _log.warning("no schedule can be looked at now: %s", error)
                pause = _LOOK_EVERY
            await asyncio.sleep(pause)

    async def _declare(self) -> None:
        if not self._said:
            schedules = Schedules(self._store)
            for schedule in self._declared.values():
                await schedules.declare(schedule)
            self._said = True

    async def _due(self, passed: set[str]) -> list[JobSchedule]:
        """Return the next schedules that are due and none of *passed*."""
        found = await self._store.repository(JobSchedule).find(
            JobSchedule.status == ScheduleStatus.ACTIVE,
            JobSchedule.next_tick <= self._jobs.now(),
            order_by=JobSchedule.next_tick.asc(),
            limit=_AT_ONCE + len(passed),
        )
        passed.update(
            each.name for each in found if each.declared and each.name not in self._declared
        )
        return [each for each in found if each.name not in passed]

    async def _until_next(self) -> float:
        """Return the seconds until the next look."""
        now = self._jobs.now()
        following = await self._store.repository(JobSchedule).first(
            JobSchedule.status == ScheduleStatus.ACTIVE,
            JobSchedule.next_tick > now,
            order_by=JobSchedule.next_tick.asc(),
        )
        if following is None:
            return _LOOK_EVERY
        return min((following.next_tick - now).total_seconds(), _LOOK_EVERY)

    async def _tick(self, stored: JobSchedule, passed: set[str]) -> int:
        """Make the job of one tick, and return how many were made. What failed is *passed*."""
        try:
            due = due_tick(
                stored_timing(stored), stored.next_tick, self._jobs.now(), catch_up=stored.catch_up
            )
            return await self._moved(stored, due.tick, due.then)
        except _OVERTAKEN:
            return 0  # another scheduler was faster, or somebody has changed it: look again
        except HoldfastError:
            _log.exception("the schedule %r can't be looked after now", stored.name)
            passed.add(stored.name)
            return 0

    async def _moved(self, stored: JobSchedule, tick: datetime | None, then: datetime) -> int:
        changes = [JobSchedule.next_tick.to(then)]
        if tick is not None:
            changes.append(JobSchedule.last_tick.to(tick))
        async with self._store.transaction():
            await self._store.repository(JobSchedule).patch(
                stored.name, *changes, version=stored.version
            )
            if tick is None:
                return 0
            (made,) = await self._jobs.enqueue_many([new_job(stored, tick)])
        return int(made.created)


@asynccontextmanager
async def scheduling(scheduler: Scheduler) -> AsyncIterator[None]:
    """Let *scheduler* run beside the block."""

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("no job is made of a schedule here any more", exc_info=error)

    task = asyncio.create_task(scheduler.run())
    task.add_done_callback(ended)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})
