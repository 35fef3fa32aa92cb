"""The command that takes jobs of other queues over: jobs import."""

from __future__ import annotations

from contextlib import asynccontextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from holdfast.cli.options import AsJson, Data, Traceback
from holdfast.cli.output import note, print_json, print_table
from holdfast.cli.runner import run
from holdfast.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from holdfast.integrations.queues import ForeignJob, ImportReport, RefusedJob
    from holdfast.platform import Platform

_SHOWN = 20  # refused jobs that are told one by one


class OtherQueue(StrEnum):
    """Whose jobs are taken over."""

    PROCRASTINATE = "procrastinate"
    CELERY = "celery"
    ARQ = "arq"


def import_(  # noqa: PLR0913, PLR0917 - options of a command
    source: Annotated[OtherQueue, typer.Argument(help="Whose queues they are.")],
    url: Annotated[
        str,
        typer.Argument(
            metavar="URL", help="postgresql://... of procrastinate, redis://... of the others."
        ),
    ],
    queue: Annotated[
        list[str] | None,
        typer.Option(help="Of Celery and arq: a queue to read; may be repeated."),
    ] = None,
    parameters: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TASK=NAME,...", help="The names of a task's positional arguments, in order."
        ),
    ] = None,
    schema: Annotated[
        str | None, typer.Option(help="Of procrastinate: where its tables are.")
    ] = None,
    running: Annotated[
        bool,
        typer.Option("--running", help="Of procrastinate: also jobs that workers have taken."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell what would be taken over, and do nothing.")
    ] = False,
    data: Data = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """Take over the jobs that wait elsewhere, each once. Nothing is changed there."""
    names = dict(_named(each) for each in parameters or ())
    if source is OtherQueue.PROCRASTINATE and queue:
        raise ConfigurationError("--queue is for Celery and arq: of procrastinate, all are read")
    if source is not OtherQueue.PROCRASTINATE and (schema is not None or running):
        raise ConfigurationError(f"--schema and --running are not for {source.value}")

    async def work(platform: Platform) -> ImportReport:
        from holdfast.integrations.queues import import_jobs, procrastinate_jobs

        if source is OtherQueue.PROCRASTINATE:
            found = procrastinate_jobs(url, schema=schema, running=running)
            return await import_jobs(platform.jobs, found, parameters=names, dry_run=dry_run)
        async with _on_redis(source, url, queue) as found:
            return await import_jobs(platform.jobs, found, parameters=names, dry_run=dry_run)

    _tell(run(data, work), dry_run=dry_run, as_json=as_json)


@asynccontextmanager
async def _on_redis(
    source: OtherQueue, url: str, queues: Sequence[str] | None
) -> AsyncIterator[AsyncIterator[ForeignJob | RefusedJob]]:
    from holdfast.integrations.queues import arq_jobs, celery_jobs, redis_source

    read = celery_jobs if source is OtherQueue.CELERY else arq_jobs
    async with redis_source(url) as redis:
        yield read(redis, queues) if queues else read(redis)


def _named(text: str) -> tuple[str, list[str]]:
    task, _, names = text.partition("=")
    found = [name.strip() for name in names.split(",")]
    if not task or not all(found) or len({*found}) < len(found):
        raise ConfigurationError(f"--parameters {text!r}: expected TASK=NAME,NAME,...")
    return task, found


def _tell(report: ImportReport, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "imported": report.imported,
                "known": report.known,
                "tasks": dict(report.tasks),
                "refused": [
                    {"id": each.id, "task": each.task, "reason": each.reason}
                    for each in report.refused
                ],
            }
        )
        return
    if report.refused:
        print_table(
            ("refused", "task", "because it"),
            [(each.id, each.task, each.reason) for each in report.refused[:_SHOWN]],
            folded=("because it",),
        )
    jobs = "1 job" if report.imported == 1 else f"{report.imported} jobs"
    would = "would be " if dry_run else ""
    known = f", {report.known} were here already" if report.known else ""
    refused = f", {len(report.refused)} refused" if report.refused else ""
    note(f"{jobs} {would}taken over{known}{refused}.")
