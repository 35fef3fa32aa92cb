"""The commands of schedules: schedules list, show, put, pause, resume, run, remove."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, TypeVar

import orjson
import typer

from holdfast.cli.options import AsJson, Data, Traceback
from holdfast.cli.output import fields_of, moment, note, plain, print_json, print_table
from holdfast.cli.runner import look, run
from holdfast.errors import ConfigurationError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from holdfast.jobs import Enqueued, JobSchedule, Schedules
    from holdfast.platform import Platform

T = TypeVar("T")

schedules = typer.Typer(
    name="schedules", help="Jobs again and again: list, show, put, pause, resume, run, remove."
)
Name = Annotated[str, typer.Argument(metavar="NAME", help="The name of a schedule.")]


@schedules.command("list")
def list_schedules(
    data: Data = None, as_json: AsJson = False, traceback: Traceback = False
) -> None:
    """List all schedules with their last and next ticks."""
    found = look(data, _with(lambda schedules: schedules.list()))
    if as_json:
        print_json([fields_of(each) for each in found])
    elif not found:
        note("No schedules yet: `holdfast schedules put NAME TASK --cron ...` makes one.")
    else:
        print_table(
            ("schedule", "task", "when", "last", "next", "in"),
            [
                (
                    plain(each.name),
                    plain(each.task),
                    _times(each),
                    "" if each.last_tick is None else moment(each.last_tick),
                    each.status.value if each.status == "paused" else moment(each.next_tick),
                    "code" if each.declared else "the store",
                )
                for each in found
            ],
        )


@schedules.command()
def show(
    name: Name,
    ticks: Annotated[int, typer.Option(help="How many of its next ticks.", min=1, max=1000)] = 5,
    data: Data = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """Show a schedule and when it is due next."""
    from holdfast.jobs import upcoming

    async def found(schedules: Schedules) -> JobSchedule:
        stored = await schedules.get(name)
        if stored is None:
            raise NotFoundError("JobSchedule", name)
        return stored

    stored = look(data, _with(found))
    following = upcoming(stored, ticks)
    if as_json:
        print_json({**fields_of(stored), "ticks": following})
        return
    note(f"{plain(stored.task)}, {_times(stored)}; {stored.status.value}")
    for tick in following:
        typer.echo(moment(tick))


@schedules.command()
def put(  # noqa: PLR0913, PLR0917 - options of a command
    name: Name,
    task: Annotated[str, typer.Argument(help="The task whose job is enqueued.")],
    cron: Annotated[
        str | None, typer.Option(help='Five fields, as "0 3 * * *", or @daily.')
    ] = None,
    every: Annotated[
        int | None, typer.Option(help="Seconds from tick to tick.", min=1, max=10**9)
    ] = None,
    zone: Annotated[str, typer.Option(help="Whose wall clock cron goes by.")] = "UTC",
    payload: Annotated[str, typer.Option(help="The payload, as JSON.")] = "{}",
    queue: Annotated[str | None, typer.Option(help="The queue. [default: default]")] = None,
    catch_up: Annotated[
        int, typer.Option(help="How many missed ticks are made up for.", min=0, max=1000)
    ] = 1,
    data: Data = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """Store a schedule, in place of the one with its name."""
    from holdfast.jobs import EnqueueOptions, NewJob, Schedule

    schedule = Schedule(
        name,
        NewJob(task, _json(payload), EnqueueOptions(queue=queue)),
        cron=cron,
        every=None if every is None else timedelta(seconds=every),
        zone=zone,
        catch_up=catch_up,
    )
    stored = run(data, _with(lambda schedules: schedules.put(schedule)))
    if as_json:
        print_json(fields_of(stored))
    else:
        note(f"Stored; its next tick is {moment(stored.next_tick)}.")


@schedules.command()
def pause(name: Name, data: Data = None, traceback: Traceback = False) -> None:
    """Make no jobs of a schedule, until `resume`."""
    run(data, _with(lambda schedules: schedules.pause(name)))
    note("It is paused.")


@schedules.command()
def resume(name: Name, data: Data = None, traceback: Traceback = False) -> None:
    """Make jobs of a schedule again, from its next tick on."""
    stored = run(data, _with(lambda schedules: schedules.resume(name)))
    note(f"Its next tick is {moment(stored.next_tick)}.")


@schedules.command("run")
def run_now(
    name: Name, data: Data = None, as_json: AsJson = False, traceback: Traceback = False
) -> None:
    """Make a job of a schedule now, beside its ticks."""

    async def work(platform: Platform) -> Enqueued:
        from holdfast.jobs import Scheduler

        return await Scheduler(platform.jobs).run_now(name)

    made = run(data, work)
    if as_json:
        print_json({"job_id": str(made.job.id), "created": made.created})
    elif made.created:
        note(f"The job {made.job.id} is queued.")
    else:
        note(f"The job {made.job.id} has its unique key and lives: none was made.")


@schedules.command()
def remove(name: Name, data: Data = None, traceback: Traceback = False) -> None:
    """Remove a schedule; the jobs that it has made stay."""
    run(data, _with(lambda schedules: schedules.remove(name)))
    note("Removed.")


def _with(do: Callable[[Schedules], Awaitable[T]]) -> Callable[[Platform], Awaitable[T]]:
    async def work(platform: Platform) -> T:
        from holdfast.jobs import Schedules

        return await do(Schedules(platform.jobs.store))

    return work


def _times(stored: JobSchedule) -> str:
    if stored.cron is None:
        return f"every {stored.every} s"
    return f"{stored.cron} ({stored.zone})"


def _json(text: str) -> dict[str, object]:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ConfigurationError(f"--payload: {error}") from None
    if not isinstance(value, dict):
        raise ConfigurationError('--payload: expected a JSON object, as {"days": 7}')
    return value
