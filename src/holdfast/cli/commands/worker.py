"""The command that works on queued jobs: worker."""

from __future__ import annotations

import asyncio
import signal
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from holdfast.cli.exit_codes import Exit
from holdfast.cli.options import AsJson, Data, Traceback
from holdfast.cli.output import moment, note, plain, print_json
from holdfast.cli.progress import job_bars
from holdfast.cli.runner import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from holdfast.jobs import Job
    from holdfast.platform import Platform

_POLL = timedelta(seconds=0.5)


def worker(
    once: Annotated[bool, typer.Option("--once", help="Stop when no work is left.")] = False,
    data: Data = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """Work on queued jobs, until stopped: Ctrl-C finishes the job at hand first.

    Any number of workers may run at once. With --once, work that another worker holds is waited
    for, and taken over should that worker die.
    """

    async def work(platform: Platform) -> Exit:
        return await run_worker(platform, once=once, as_json=as_json)

    code = run(data, work)
    if code:
        raise typer.Exit(code)


async def run_worker(platform: Platform, *, once: bool, as_json: bool = False) -> Exit:
    """Work on the platform's jobs and return how that went."""
    from holdfast.jobs import Worker, WorkerOptions

    options = WorkerOptions(lease=platform.settings.lease_time, poll=_POLL)
    worker = Worker(platform.jobs, platform.handlers, options=options)
    if not once and not as_json:
        note("Waiting for jobs; Ctrl-C stops.")
    began = platform.store.now()
    stopped = asyncio.Event()

    def stop() -> None:
        stopped.set()
        worker.stop()

    with _at_signals(stop):
        async with job_bars(platform, quiet=as_json):
            count = await worker.run(until="idle" if once else "stopped")
            while once and not stopped.is_set() and await _held_elsewhere(platform):
                with suppress(TimeoutError):
                    await asyncio.wait_for(stopped.wait(), _POLL.total_seconds())
                count += await worker.run(until="idle")
    return await _say_outcome(platform, began, count, as_json=as_json)


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
