"""The commands of limits of jobs: jobs limits list, show, set, remove."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from holdfast.cli.options import AsJson, Data, Traceback
from holdfast.cli.output import note, plain, print_json, print_table
from holdfast.cli.runner import look, run
from holdfast.errors import ConfigurationError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.jobs import Limit, LimitUse
    from holdfast.platform import Platform

limits = typer.Typer(name="limits", help="Limits of queues and tasks: list, show, set, remove.")
Queue = Annotated[str | None, typer.Option(help="The limit of this queue.")]
Task = Annotated[str | None, typer.Option(help="The limit of this task, in whatever queue.")]
_SHOWN = 50  # keys in a table


@limits.command("list")
def list_limits(data: Data = None, as_json: AsJson = False, traceback: Traceback = False) -> None:
    """List all limits."""

    async def work(platform: Platform) -> list[Limit]:
        return await platform.jobs.limits.all()

    found = look(data, work)
    if as_json:
        print_json([limit_json(limit) for limit in found])
    elif not found:
        note("No limits.")
    else:
        rows = [(plain(_subject(limit)), limit_said(limit)) for limit in found]
        print_table(("of", "limit"), rows, folded=("limit",))


@limits.command()
def show(
    queue: Queue = None,
    task: Task = None,
    data: Data = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """Show how a limit stands: how many jobs run and wait, by key."""
    _check(queue, task)

    async def work(platform: Platform) -> LimitUse:
        found = await platform.jobs.limits.use(queue=queue, task=task)
        if found is None:
            raise NotFoundError("JobLimit", queue if task is None else task)
        return found

    found = look(data, work)
    counts = found.by_key()
    if as_json:
        names = ("key", "running", "waiting")
        print_json(
            {
                "limit": limit_json(found.limit),
                "running": sum(found.running.values()),
                "waiting": sum(found.waiting.values()),
                "used": found.used,
                "keys": [dict(zip(names, row, strict=True)) for row in counts],
            }
        )
        return
    note(f"{_subject(found.limit)}: {limit_said(found.limit)}.")
    print_table(
        ("key", "running", "waiting"),
        [("-" if key is None else plain(key), *numbers) for key, *numbers in counts[:_SHOWN]],
        right=("running", "waiting"),
    )
    if len(counts) > _SHOWN:
        note(f"And {len(counts) - _SHOWN} more keys: --json shows all.")


@limits.command("set")
def set_limit(  # noqa: PLR0913, PLR0917 - options of a command
    queue: Queue = None,
    task: Task = None,
    concurrency: Annotated[
        int | None, typer.Option(help="How many jobs run at once.", min=1)
    ] = None,
    key_concurrency: Annotated[
        int | None, typer.Option(help="How many with one limit key do.", min=1)
    ] = None,
    rate: Annotated[int | None, typer.Option(help="How many start in a period.", min=1)] = None,
    key_rate: Annotated[
        int | None, typer.Option(help="How many with one limit key do.", min=1)
    ] = None,
    period: Annotated[float, typer.Option(help="Its seconds.", min=0.001, max=1e8)] = 1.0,
    weight: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=N", help="So many times the jobs for a key; may be repeated."),
    ] = None,
    data: Data = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """Limit the jobs of a queue or a task, in place of the limit that is there."""
    from holdfast.jobs import Limit

    _check(queue, task)
    wanted = Limit(
        queue=queue,
        task=task,
        concurrency=concurrency,
        key_concurrency=key_concurrency,
        rate=rate,
        key_rate=key_rate,
        period=timedelta(seconds=period),
        weights=_weights(weight or ()),
    )

    async def work(platform: Platform) -> None:
        await platform.jobs.limits.set(wanted)

    run(data, work)
    if as_json:
        print_json(limit_json(wanted))
    else:
        note(f"It is limited: {limit_said(wanted)}.")


@limits.command()
def remove(
    queue: Queue = None,
    task: Task = None,
    data: Data = None,
    traceback: Traceback = False,
) -> None:
    """Let a queue or a task have no limit."""
    _check(queue, task)

    async def work(platform: Platform) -> bool:
        return await platform.jobs.limits.remove(queue=queue, task=task)

    note("It has no limit any more." if run(data, work) else "It had no limit.")


def limit_json(limit: Limit) -> dict[str, object]:
    """Return *limit* as JSON shows it."""
    return {"queue": limit.queue, "task": limit.task, **limit.as_json()}


def limit_said(limit: Limit) -> str:
    """Return what *limit* allows, in a line."""
    period = f"in {limit.period.total_seconds():g} s"
    said = {
        "{} at once": limit.concurrency,
        "{} of a key": limit.key_concurrency,
        f"{{}} {period}": limit.rate,
        f"{{}} of a key {period}": limit.key_rate,
    }
    parts = [text.format(number) for text, number in said.items() if number is not None]
    return ", ".join([*parts, *(f"{name} x{weight}" for name, weight in limit.weights.items())])


def _subject(limit: Limit) -> str:
    return f"queue {limit.queue}" if limit.task is None else f"task {limit.task}"


def _check(queue: str | None, task: str | None) -> None:
    if (queue is None) == (task is None):
        raise ConfigurationError("say --queue or --task: a limit is of one of them")


def _weights(given: Sequence[str]) -> dict[str, int]:
    weights = {}
    for each in given:
        key, equals, number = each.rpartition("=")
        if not (key and equals and number.isascii() and number.isdigit()):
            raise ConfigurationError(f"--weight {each!r}: expected KEY=N, as in museum=2")
        weights[key] = int(number)
    return weights
