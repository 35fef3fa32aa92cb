"""The verbs of schedules: put one, list them with their next ticks, pause, resume, remove."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from holdfast.errors import DuplicateError, NotFoundError, StaleVersionError
from holdfast.jobs.schedules.schedule import JobSchedule, ScheduleStatus, stored_timing
from holdfast.jobs.side_tables import side_table
from holdfast.jobs.store_clock import StoreClock

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from holdfast.errors import HoldfastError
    from holdfast.jobs.schedules.schedule import Schedule
    from holdfast.records import Repository, Store

_KEPT = ("status", "last_tick", "created_at", "updated_at", "version")
_ATTEMPTS = 100
_OVERTAKEN = (DuplicateError, StaleVersionError, NotFoundError)


class Schedules:
    """The schedules of *store*, which was opened with `JOB_ENTITIES`.

    Schedulers make jobs of them: each worker is one, and each server of a platform.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._clock = StoreClock(store)

    async def put(self, schedule: Schedule) -> JobSchedule:
        """Store *schedule*, in place of the one with its name; one that is paused stays so.

        Where the times are as they were, its next tick stays what it is; else it is the first from
        now on. Any number may put one name at once, and one of theirs is stored. Raises
        InvalidValueError.
        """
        return await self._put(schedule, declared=False)

    async def declare(self, schedule: Schedule) -> JobSchedule:
        """Store a *schedule* that stands in code: it is ticked by those alone that declare it."""
        return await self._put(schedule, declared=True)

    async def get(self, name: str) -> JobSchedule | None:
        """Return the schedule, None when there is none."""
        return await self._schedules().get(name)

    async def list(self) -> list[JobSchedule]:
        """Return all schedules, by name; `upcoming` tells the next ticks of one."""
        found = [
            each
            for status in ScheduleStatus
            for each in await self._schedules().find(JobSchedule.status == status)
        ]
        return sorted(found, key=lambda schedule: schedule.name)

    async def pause(self, name: str) -> JobSchedule:
        """Make no jobs of the schedule, until `resume`. Raises NotFoundError."""

        def paused(stored: JobSchedule) -> None:
            stored.status = ScheduleStatus.PAUSED

        return await self._change(name, "paused", paused)

    async def resume(self, name: str) -> JobSchedule:
        """Make jobs of the schedule again, from the first tick from now on. Raises NotFoundError.

        One that is active is left as it is.
        """
        await self._clock.compare()

        def resumed(stored: JobSchedule) -> None:
            if stored.status is ScheduleStatus.PAUSED:
                stored.status = ScheduleStatus.ACTIVE
                stored.next_tick = stored_timing(stored).next(self._clock.now())

        return await self._change(name, "resumed", resumed)

    async def remove(self, name: str) -> None:
        """Remove the schedule; its jobs stay. Raises NotFoundError.

        One that stands in code is there again when the next worker that declares it starts.
        """
        async with self.store.transaction():
            if not await self._schedules().delete(name):
                raise NotFoundError("JobSchedule", name)
            await self._tell("removed", name)

    async def _put(self, schedule: Schedule, *, declared: bool) -> JobSchedule:
        await self._clock.compare()
        wanted = JobSchedule.of(schedule, self._clock.now(), declared=declared)

        async def put() -> JobSchedule:
            stored = await self.get(schedule.name)
            async with self.store.transaction():
                if stored is None:
                    stored = await self._schedules().add(wanted)
                elif _taken_over(wanted, stored):
                    stored = await self._schedules().update(stored)
                else:
                    return stored
                await self._tell("put", schedule.name)
            return stored

        return await _until_first(put, _OVERTAKEN)

    async def _change(
        self, name: str, what: str, change: Callable[[JobSchedule], None]
    ) -> JobSchedule:
        async def changed() -> JobSchedule:
            stored = await self._schedules().get_one(name)
            change(stored)
            async with self.store.transaction():
                stored = await self._schedules().update(stored)
                await self._tell(what, name)
            return stored

        return await _until_first(changed, (StaleVersionError,))

    async def _tell(self, what: str, name: str) -> None:
        await self.store.record_event(f"schedule.{what}", entity="JobSchedule", key=name)

    def _schedules(self) -> Repository[JobSchedule]:
        return side_table(self.store, JobSchedule, of="schedules")


async def _until_first(
    write: Callable[[], Awaitable[JobSchedule]], overtaken: tuple[type[HoldfastError], ...]
) -> JobSchedule:
    """Return what *write* returns, done again while a tick, or somebody else, was faster."""
    for _ in range(_ATTEMPTS - 1):
        with suppress(*overtaken):
            return await write()
    return await write()


def _taken_over(wanted: JobSchedule, stored: JobSchedule) -> bool:
    """Make *stored* what is *wanted*, and tell whether that changes anything."""
    same_times = stored_timing(wanted) == stored_timing(stored)
    kept = (*_KEPT, "next_tick") if same_times else _KEPT
    changed = False
    for name, value in vars(wanted).items():
        if name not in kept and getattr(stored, name) != value:
            setattr(stored, name, value)
            changed = True
    return changed
