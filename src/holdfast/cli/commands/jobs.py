"""The commands of jobs: jobs list, show, logs, stats, watch, cancel, retry, import, limits."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from holdfast.cli.commands.job_import import import_
from holdfast.cli.commands.limits import limits
from holdfast.cli.exit_codes import Exit
from holdfast.cli.job_choice import JobChoice, chosen, filter_of
from holdfast.cli.job_output import (
    job_json,
    line_json,
    print_attempts,
    print_change,
    print_failures,
    print_job,
    print_job_ids,
    print_jobs,
    print_lines,
    print_statistics,
    statistics_json,
)
from holdfast.cli.options import AsJson, Data, Traceback
from holdfast.cli.output import note, print_json
from holdfast.cli.runner import look, run
from holdfast.errors import IntegrityError, JobKeyMissingError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.jobs import Job, JobLogLine, Jobs
    from holdfast.platform import Platform

jobs = typer.Typer(
    name="jobs",
    help="Jobs: list, show, logs, stats, watch, cancel, retry, import, limits; alone: the list.",
    invoke_without_command=True,
)
JobID = Annotated[UUID, typer.Argument(metavar="JOB", help="The id of a job.")]
SomeJobs = Annotated[
    list[UUID] | None,
    typer.Argument(metavar="[JOB]...", help="Ids of jobs; else those that the options mean."),
]
Queue = Annotated[str | None, typer.Option(help="Only of this queue.")]
Task = Annotated[str | None, typer.Option(help="Only of this task.")]
Tag = Annotated[str | None, typer.Option(help="Only those with this tag.")]
Status = Annotated[list[str] | None, typer.Option(help="Only in this status; may be repeated.")]
All = Annotated[bool, typer.Option("--all", help="All there are, when nothing else is said.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Count them, and leave them as they are.")]
Hours = Annotated[float, typer.Option(help="How far back.", min=0.01, max=24 * 400)]

_EVERY = 1.0  # seconds between two looks at a log that is followed
_PAGE = 200


@jobs.callback()
def list_all(
    context: typer.Context, data: Data = None, as_json: AsJson = False, traceback: Traceback = False
) -> None:
    """List the jobs, newest first, with how far they are."""
    if context.invoked_subcommand is None:
        _list(JobChoice(), data, most=None, as_json=as_json)


@jobs.command("list")
def list_jobs(  # noqa: PLR0913, PLR0917 - options of a command
    status: Status = None,
    queue: Queue = None,
    task: Task = None,
    tag: Tag = None,
    most: Annotated[int, typer.Option(help="How many at most.", min=1)] = 50,
    data: Data = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """List jobs with their ids, newest first."""
    choice = JobChoice(statuses=tuple(status or ()), queue=queue, task=task, tag=tag)
    _list(choice, data, most=most, as_json=as_json)


@jobs.command()
def show(
    job: JobID, data: Data = None, as_json: AsJson = False, traceback: Traceback = False
) -> None:
    """Show one job: where it stands, its attempts, and its place while it waits."""

    async def work(platform: Platform) -> None:
        service = platform.jobs
        found = await service.get_one(job)
        attempts, position = await service.attempts(job), await service.queue_position(job)
        if as_json:
            told = [{name: getattr(each, name) for name in _ATTEMPT_FIELDS} for each in attempts]
            place = position and {
                "place": position.place, "earliest": position.earliest, "latest": position.latest
            }  # fmt: skip
            plain_job = _opened(service, found)
            print_json({**job_json(plain_job), "attempts_made": told, "position": place})
            return
        print_job(found, position)
        print_attempts(attempts)

    look(data, work)


@jobs.command()
def logs(
    job: JobID,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on to its end.")] = False,
    level: Annotated[str, typer.Option(help="At least: debug, info, warning, error.")] = "debug",
    data: Data = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """Print a job's log; with --json one document, or with --follow one on each line."""

    async def work(platform: Platform) -> None:
        from holdfast.jobs import LogLevel

        service, after = platform.jobs, 0
        found = await service.get_one(job)
        lines: list[JobLogLine] = []
        while True:
            page = await service.log(job, after=after, at_least=LogLevel(level), size=_PAGE)
            after = page[-1].position if page else after
            if as_json and not follow:
                lines += page
            else:
                print_lines(page, as_json=as_json)
            if page:
                continue
            if not follow or found.status.finished:
                break
            await asyncio.sleep(_EVERY)
            found = await service.get_one(job)
        if as_json and not follow:
            print_json([line_json(line) for line in lines])

    _check_level(level)
    look(data, work)


@jobs.command()
def stats(  # noqa: PLR0913, PLR0917 - options of a command
    hours: Hours = 24,
    by: Annotated[str, typer.Option(help="What is told apart: task, queue or all.")] = "task",
    step: Annotated[str | None, typer.Option(help="A row for each: minute, hour or day.")] = None,
    queue: Queue = None,
    task: Task = None,
    data: Data = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """Tell rates, durations and failures of tasks over the last hours."""

    async def work(platform: Platform) -> None:
        from holdfast.jobs import FigureQuery

        service = platform.jobs
        since = service.now() - timedelta(hours=hours)
        asked = FigureQuery(since=since, step=step, queue=queue, task=task, by=by)  # type: ignore[arg-type]
        found = await service.task_statistics(asked)
        failures = await service.failures(since, queue=queue, task=task)
        if as_json:
            print_json(statistics_json(found, failures))
        else:
            print_statistics(found, stepped=step is not None)
            print_failures(failures)

    _check_word("--by", by, ("task", "queue", "all"))
    if step is not None:
        _check_word("--step", step, ("minute", "hour", "day"))
    look(data, work)


@jobs.command()
def watch(
    job: Annotated[
        UUID | None, typer.Argument(metavar="[JOB]", help="One job, to its end; else all.")
    ] = None,
    queue: Queue = None,
    task: Task = None,
    data: Data = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """Print what changes among jobs, a line each, until Ctrl-C; of one job to its end.

    Ends with 7 when that job failed or was cancelled.
    """

    async def work(platform: Platform) -> Exit:
        from holdfast.jobs import JobFeed, JobFilter

        if job is not None:
            return await _watch_one(platform.jobs, job, as_json=as_json)
        wanted = JobFilter(queue=queue, task=task)
        async for change in JobFeed(platform.jobs).follow(wanted):
            if change is not None:
                print_change(change.job, as_json=as_json)
        return Exit.DONE

    code = look(data, work)
    if code:
        raise typer.Exit(code)


@jobs.command()
def cancel(  # noqa: PLR0913, PLR0917 - options of a command
    job: SomeJobs = None,
    status: Status = None,
    queue: Queue = None,
    task: Task = None,
    tag: Tag = None,
    everything: All = False,
    dry_run: DryRun = False,
    data: Data = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """Cancel jobs: those named, or all that the options mean and that are not at their end."""
    choice = JobChoice(tuple(status or ()), queue, task, tag, everything=everything)
    _change("cancel", chosen(job, choice), data, dry_run=dry_run, as_json=as_json)


@jobs.command()
def retry(  # noqa: PLR0913, PLR0917 - options of a command
    job: SomeJobs = None,
    queue: Queue = None,
    task: Task = None,
    tag: Tag = None,
    everything: All = False,
    dry_run: DryRun = False,
    data: Data = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """Put jobs back into their queues: those named, or all that the options mean and failed."""
    choice = JobChoice((), queue, task, tag, everything=everything)
    _change("retry", chosen(job, choice), data, dry_run=dry_run, as_json=as_json)


jobs.command("import")(import_)
jobs.add_typer(limits)

_ATTEMPT_FIELDS = ("number", "worker", "began_at", "ended_at", "outcome", "error")


def _list(choice: JobChoice, data: Data, *, most: int | None, as_json: bool) -> None:
    async def work(platform: Platform) -> None:
        from holdfast.jobs import Job

        where = filter_of(choice).where()
        found = await platform.store.repository(Job).find(
            where, order_by=Job.created_at.desc(), limit=most
        )
        if as_json:
            print_json([job_json(job) for job in found])
        elif not found:
            note("No jobs yet: `holdfast ingest FILE` makes one." if most is None else "None.")
        elif most is None:
            print_jobs(found, platform.store.now())
        else:
            print_job_ids(found)

    look(data, work)


def _change(
    verb: str, named: Sequence[UUID] | JobChoice, data: Data, *, dry_run: bool, as_json: bool
) -> None:
    """Do *verb* to the jobs that are *named*, or fit; in bounded pieces, each job by itself."""

    async def work(platform: Platform) -> dict[str, int]:
        from holdfast.cli.chosen_jobs import change_matching, change_named

        if isinstance(named, JobChoice):
            return await change_matching(platform.jobs, verb, filter_of(named), dry_run=dry_run)
        return await change_named(platform.jobs, verb, named, dry_run=dry_run)

    done = run(data, work)
    if as_json:
        print_json(done)
    else:
        note(", ".join(f"{count} {what}" for what, count in done.items()) + ".")


def _opened(service: Jobs, job: Job) -> Job:
    """Return *job* with what was sealed in it; as it is stored where its key is not here."""
    try:
        return service.opened(job)
    except (JobKeyMissingError, IntegrityError) as error:
        note(f"Shown as it is stored: {error}", style="yellow")
        return job


async def _watch_one(service: Jobs, job_id: UUID, *, as_json: bool) -> Exit:
    from holdfast.jobs import JobStatus

    told = None
    while True:
        found = await service.get_one(job_id)
        state = (found.status, found.progress, found.message, found.attempts)
        if state != told:
            print_change(found, as_json=as_json)
        told = state
        if found.status.finished:
            return Exit.DONE if found.status is JobStatus.SUCCEEDED else Exit.JOB_FAILED
        await asyncio.sleep(_EVERY)


def _check_level(level: str) -> None:
    from holdfast.jobs import LogLevel

    _check_word("--level", level, tuple(LogLevel))


def _check_word(option: str, word: str, known: Sequence[str]) -> None:
    if word not in known:
        raise typer.BadParameter(f"{option} {word!r}: expected one of {', '.join(known)}")
