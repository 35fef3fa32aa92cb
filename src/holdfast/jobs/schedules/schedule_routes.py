"""The routes of schedules and of paused queues: an operator pauses, an administrator schedules."""

from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from holdfast.access import Role
from holdfast.access.gate import allow
from holdfast.errors import ConfigurationError, InvalidValueError, NotFoundError
from holdfast.fastapi import OutModel, problem_responses
from holdfast.jobs.job_queue import JobQueue, Queues
from holdfast.jobs.jobs import Jobs
from holdfast.jobs.new_job import NewJob
from holdfast.jobs.options import EnqueueOptions
from holdfast.jobs.schedules.schedule import NAME_LENGTH, JobSchedule, Schedule, upcoming
from holdfast.jobs.schedules.scheduler import Scheduler
from holdfast.jobs.schedules.schedules import Schedules

Name = Annotated[str, Path(min_length=1, max_length=NAME_LENGTH)]
QueueName = Annotated[str, Path(min_length=1, max_length=100)]


class ScheduleOut(OutModel[JobSchedule]):
    """A schedule, its last tick, and the next one."""


class ScheduleShown(BaseModel):
    """A schedule and its next ticks; none while it is paused."""

    schedule: ScheduleOut
    ticks: list[datetime]


class QueueStatusOut(OutModel[JobQueue]):
    """Whether jobs of a queue are claimed, and since when that is so."""


class EnqueuedOut(BaseModel):
    """The job that stands for what was asked, and whether it was made for that."""

    job_id: UUID
    created: bool


class ScheduleAsked(BaseModel):
    """Which job is enqueued when: by *cron* in *zone*, or *every* so many seconds.

    Of the ticks that are missed while no scheduler runs, the latest *catch_up* are made up for.
    While a job with its *unique_key* lives, a tick makes none.
    """

    model_config = ConfigDict(extra="forbid")

    task: str = Field(min_length=1, max_length=200)
    payload: dict[str, object] = Field(default_factory=dict)
    cron: str | None = Field(default=None, max_length=500)
    every: int | None = Field(default=None, ge=1, le=10**9)
    zone: str = Field(default="UTC", max_length=100)
    catch_up: int = Field(default=1, ge=0, le=1000)
    queue: str | None = Field(default=None, min_length=1, max_length=100)
    priority: int | None = None
    max_attempts: int | None = Field(default=None, ge=1, le=10_000)
    unique_key: str | None = Field(default=None, min_length=1, max_length=255)

    def schedule(self, name: str) -> Schedule:
        """Return what is asked for. Raises InvalidValueError for times that can't be."""
        options = EnqueueOptions(
            queue=self.queue,
            priority=self.priority,
            max_attempts=self.max_attempts,
            unique_key=self.unique_key,
        )
        try:
            return Schedule(
                name,
                NewJob(self.task, self.payload, options),
                cron=self.cron,
                every=None if self.every is None else timedelta(seconds=self.every),
                zone=self.zone,
                catch_up=self.catch_up,
            )
        except ConfigurationError as error:  # here it is a client's value, not a program's
            raise InvalidValueError("JobSchedule", "cron", str(error)) from error


def schedule_routes(jobs: Jobs) -> APIRouter:
    """Return the routes of the schedules and queues of *jobs*' store, below those of jobs."""
    router = APIRouter(prefix="/jobs")
    schedules, queues = Schedules(jobs.store), Queues(jobs.store)
    scheduler = Scheduler(jobs)

    @router.get("/schedules", dependencies=[allow(Role.VIEWER)])
    async def list_schedules() -> list[ScheduleOut]:
        """List all schedules, by name."""
        return [ScheduleOut.of(each) for each in await schedules.list()]

    @router.get(
        "/schedules/{name}", dependencies=[allow(Role.VIEWER)], responses=problem_responses(404)
    )
    async def get(name: Name, ticks: Annotated[int, Query(ge=0, le=100)] = 5) -> ScheduleShown:
        """Show a schedule and when it is due next."""
        found = await schedules.get(name)
        if found is None:
            raise NotFoundError("JobSchedule", name)
        return ScheduleShown(schedule=ScheduleOut.of(found), ticks=upcoming(found, ticks))

    @router.put("/schedules/{name}", dependencies=[allow(Role.ADMIN)])
    async def put(name: Name, asked: ScheduleAsked) -> ScheduleOut:
        """Store a schedule, in place of the one with its name."""
        return ScheduleOut.of(await schedules.put(asked.schedule(name)))

    @router.delete(
        "/schedules/{name}",
        status_code=204,
        dependencies=[allow(Role.ADMIN)],
        responses=problem_responses(404),
    )
    async def remove(name: Name) -> None:
        """Remove a schedule; the jobs that it has made stay."""
        await schedules.remove(name)

    @router.post(
        "/schedules/{name}/pause",
        dependencies=[allow(Role.OPERATOR)],
        responses=problem_responses(404),
    )
    async def pause(name: Name) -> ScheduleOut:
        """Make no jobs of a schedule until it is resumed."""
        return ScheduleOut.of(await schedules.pause(name))

    @router.post(
        "/schedules/{name}/resume",
        dependencies=[allow(Role.OPERATOR)],
        responses=problem_responses(404),
    )
    async def resume(name: Name) -> ScheduleOut:
        """Make jobs of a schedule again, from its next tick on; none for the time of the pause."""
        return ScheduleOut.of(await schedules.resume(name))

    @router.post(
        "/schedules/{name}/run",
        dependencies=[allow(Role.OPERATOR)],
        responses=problem_responses(404),
    )
    async def run_now(name: Name) -> EnqueuedOut:
        """Make a job of a schedule now, beside its ticks; *created* is false for one that lives."""
        made = await scheduler.run_now(name)
        return EnqueuedOut(job_id=made.job.id, created=made.created)

    @router.get("/paused-queues", dependencies=[allow(Role.VIEWER)])
    async def paused_queues() -> list[QueueStatusOut]:
        """List the queues whose jobs nobody claims."""
        return [QueueStatusOut.of(each) for each in await queues.paused()]

    @router.post("/queues/{queue}/pause", dependencies=[allow(Role.OPERATOR)])
    async def pause_queue(queue: QueueName) -> QueueStatusOut:
        """Have no job of a queue claimed until it is resumed; what runs goes on."""
        return QueueStatusOut.of(await queues.pause(queue))

    @router.post("/queues/{queue}/resume", dependencies=[allow(Role.OPERATOR)])
    async def resume_queue(queue: QueueName) -> QueueStatusOut:
        """Have the jobs of a queue claimed again."""
        return QueueStatusOut.of(await queues.resume(queue))

    return router
