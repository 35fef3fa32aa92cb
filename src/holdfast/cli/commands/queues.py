"""The commands of queues: queues list, pause, resume."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from holdfast.cli.commands.limits import limit_json, limit_said
from holdfast.cli.options import AsJson, Data, Traceback
from holdfast.cli.output import note, plain, print_json, print_table
from holdfast.cli.runner import look, run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.jobs import JobStatus, Limit, QueueStatistics
    from holdfast.platform import Platform

queues = typer.Typer(name="queues", help="Queues of jobs: list, pause, resume.")
Name = Annotated[str, typer.Argument(metavar="QUEUE", help="The name of a queue.")]


class _Queue(NamedTuple):
    """What is known of one queue."""

    paused: bool
    figures: QueueStatistics | None
    limit: Limit | None

    def counts(self, statuses: Sequence[JobStatus]) -> dict[str, int]:
        found = {} if self.figures is None else self.figures.counts
        return {status.value: found.get(status, 0) for status in statuses}


@queues.command("list")
def list_queues(data: Data = None, as_json: AsJson = False, traceback: Traceback = False) -> None:
    """List the queues that have jobs to do, are paused or limited: how many wait and run."""
    from holdfast.jobs import JobStatus, Queues

    async def work(platform: Platform) -> dict[str, _Queue]:
        paused = {queue.name for queue in await Queues(platform.jobs.store).paused()}
        counted = await platform.jobs.statistics(finished=False)
        found = await platform.jobs.limits.all()
        limits = {limit.queue: limit for limit in found if limit.queue is not None}
        names = sorted(paused | set(counted) | set(limits))
        return {name: _Queue(name in paused, counted.get(name), limits.get(name)) for name in names}

    found = look(data, work)
    statuses = tuple(status for status in JobStatus if not status.finished)
    if as_json:
        print_json(
            {
                name: {
                    "paused": queue.paused,
                    **queue.counts(statuses),
                    "limit": None if queue.limit is None else limit_json(queue.limit),
                }
                for name, queue in found.items()
            }
        )
    elif not found:
        note("No queues yet.")
    else:
        print_table(
            ("queue", "state", *(status.value for status in statuses), "limit"),
            [
                (
                    plain(name),
                    "paused" if queue.paused else "open",
                    *queue.counts(statuses).values(),
                    "" if queue.limit is None else limit_said(queue.limit),
                )
                for name, queue in found.items()
            ],
            right=[status.value for status in statuses],
            folded=("limit",),
        )


@queues.command()
def pause(queue: Name, data: Data = None, traceback: Traceback = False) -> None:
    """Have no job of a queue claimed, until `resume`; what runs goes on."""

    async def work(platform: Platform) -> None:
        from holdfast.jobs import Queues

        await Queues(platform.jobs.store).pause(queue)

    run(data, work)
    note("It is paused.")


@queues.command()
def resume(queue: Name, data: Data = None, traceback: Traceback = False) -> None:
    """Have jobs of a queue claimed again."""

    async def work(platform: Platform) -> list[str]:
        from holdfast.jobs import Queues

        queues = Queues(platform.jobs.store)
        paused = [each.name for each in await queues.paused()]
        if queue in paused:
            await queues.resume(queue)
        return paused

    paused = run(data, work)
    if queue in paused:
        note("Its jobs are claimed again.")
    else:  # as by a slip in the name, where another one stays paused
        others = f"; paused are: {', '.join(map(plain, paused))}" if paused else ""
        note(f"No queue {queue!r} is paused{others}.")
