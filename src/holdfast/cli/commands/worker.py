"""The command that works on queued jobs: worker."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import asynccontextmanager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from holdfast.cli.code_watch import code_changed
from holdfast.cli.exit_codes import Exit
from holdfast.cli.options import AsJson, Data, Traceback
from holdfast.cli.output import moment, note, plain, print_json
from holdfast.cli.progress import job_bars
from holdfast.cli.runner import run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    from holdfast.jobs import Job, Worker
    from holdfast.platform import Platform

_POLL = timedelta(seconds=0.5)
_MOMENT = timedelta(seconds=1)


def worker(  # noqa: PLR0913, PLR0917 - options of a command
    once: Annotated[bool, typer.Option("--once", help="Stop when no work is left.")] = False,
    queues: Annotated[
        str | None, typer.Option(help="The queues that are served, with commas between.")
    ] = None,
    concurrency: Annotated[int | None, typer.Option(help="Jobs that run at once.", min=1)] = None,
    processes: Annotated[
        int | None, typer.Option(help="Child processes for handlers that ask for one.", min=1)
    ] = None,
    drain: Annotated[
        float | None,
        typer.Option(help="Seconds for jobs at hand to end; then they are put back.", min=0),
    ] = None,
    reload: Annotated[
        bool, typer.Option("--reload", help="Start again when the code changes: for development.")
    ] = False,
    data: Data = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """Work on queued jobs, until stopped: Ctrl-C finishes the jobs at hand first.

    Any number of workers may run at once. With --once, work that another worker holds is waited
    for, and taken over should that worker die. Options that are not given are as the settings
    below `worker` say.
    """

    async def work(platform: Platform) -> WorkerRun:
        own = platform.settings.worker
        options = WorkerChoice(
            queues=own.queues if queues is None else _names(queues),
            concurrency=concurrency or own.concurrency,
            processes=processes or own.processes or None,
            drain=own.drain if drain is None else drain,
            memory=own.memory or None,
            reload=reload,
        )
        return await run_worker(platform, once=once, as_json=as_json, choice=options)

    ran = run(data, work)
    if ran.again:
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - ourselves
    if ran.code:
        raise typer.Exit(ran.code)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerChoice:
    """What a worker of the command line does; see the settings below `worker`."""

    queues: tuple[str, ...] = ("default",)
    concurrency: int = 1
    processes: int | None = None
    drain: float = 0.0
    memory: int | None = None
    reload: bool = False


@dataclass(frozen=True, slots=True)
class WorkerRun:
    """How a worker's run went, and whether the program is to start *again*."""

    code: Exit
    again: bool


_CHOICE = WorkerChoice()


async def run_worker(
    platform: Platform, *, once: bool, as_json: bool = False, choice: WorkerChoice = _CHOICE
) -> WorkerRun:
    """Work on the platform's jobs and return how that went."""
    from holdfast.jobs import Worker, WorkerOptions

    options = WorkerOptions(
        queues=choice.queues,
        concurrency=choice.concurrency,
        processes=choice.processes,
        memory=choice.memory,
        lease=platform.settings.lease_time,
        poll=_POLL,
    )
    worker = Worker(platform.jobs, platform.handlers, options=options, schedules=platform.schedules)
    if not once and not as_json:
        note("Waiting for jobs; Ctrl-C stops.")
    began = platform.store.now()
    stopped = asyncio.Event()
    drain = timedelta(seconds=choice.drain) if choice.drain else None

    def stop() -> None:
        stopped.set()
        worker.stop(deadline=drain)

    with _at_signals(stop):
        async with (
            job_bars(platform, quiet=as_json),
            _until_code_changes(worker) if choice.reload else nullcontext() as reloading,
        ):
            count = await worker.run(until="idle" if once else "stopped")
            while once and not stopped.is_set() and await _held_elsewhere(platform):
                with suppress(TimeoutError):
                    await asyncio.wait_for(stopped.wait(), _POLL.total_seconds())
                count += await worker.run(until="idle")
    changed = reloading is not None and reloading.done() and not stopped.is_set()
    if changed or (worker.outgrown and not stopped.is_set()):
        note("The code has changed: starting again." if changed else "Starting again.")
        return WorkerRun(Exit.DONE, again=True)
    code = await _say_outcome(platform, began, count, as_json=as_json)
    return WorkerRun(code, again=False)


@asynccontextmanager
async def _until_code_changes(worker: Worker) -> AsyncIterator[asyncio.Task[Path]]:
    """Stop *worker* when the code changes: jobs at hand have a moment, and are then put back."""

    def changed(task: asyncio.Task[Path]) -> None:
        if not task.cancelled():
            worker.stop(deadline=_MOMENT)

    task = asyncio.create_task(code_changed())
    task.add_done_callback(changed)
    try:
        yield task
    finally:
        task.cancel()


async def _held_elsewhere(platform: Platform) -> bool:
    from holdfast.jobs import Job, JobStatus

    return await platform.store.repository(Job).exists(Job.status == JobStatus.RUNNING)


async def _say_outcome(platform: Platform, began: datetime, count: int, *, as_json: bool) -> Exit:
    from holdfast.jobs import Job, JobStatus

    jobs = platform.store.repository(Job)
    failed = await jobs.find(Job.status == JobStatus.FAILED, Job.finished_at >= began)
    again = await jobs.find(Job.status == JobStatus.QUEUED, ~Job.error.is_null())
    if as_json:
        print_json({"worked": count, "failed": len(failed), "to_try_again": len(again)})
    else:
        for job in failed:
            note(f"{_subject(job)}: failed: {plain(job.error)}", style="red")
        for job in again:
            when = f"is tried again from {moment(job.run_at)} on"
            note(f"{_subject(job)}: {when}: {plain(job.error)}", style="yellow")
        if not count and not failed and not again:
            note("Nothing to do.")
    return Exit.JOB_FAILED if failed or again else Exit.DONE


def _subject(job: Job) -> str:
    return plain(job.payload.get("filename", job.task))


@contextmanager
def _at_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Make the first SIGINT or SIGTERM call *stop*, and the second end the program."""
    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)

    def first() -> None:
        for each in signals:
            loop.remove_signal_handler(each)
        note("Finishing the job at hand; again to stop at once.")
        stop()

    for each in signals:
        loop.add_signal_handler(each, first)
    try:
        yield
    finally:
        for each in signals:
            loop.remove_signal_handler(each)
