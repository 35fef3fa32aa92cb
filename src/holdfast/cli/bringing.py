"""Commands that bring videos in and work on them: ingest, worker."""

from __future__ import annotations

import asyncio
import signal
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from holdfast.cli.exits import Exit, exit_of
from holdfast.cli.options import AsJson, Data, Traceback
from holdfast.cli.progress import storing, watching
from holdfast.cli.running import run
from holdfast.cli.show import console, notes, plain, print_json, short
from holdfast.errors import HoldfastError
from holdfast.jobs import Worker, WorkerOptions
from holdfast.media.library import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from holdfast.platform import Platform


def ingest(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", show_default=False)],
    project: Annotated[str, typer.Option(metavar="NAME", help="Where they belong.")] = "default",
    data: Data = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """Bring video files in and queue the detection in them.

    A file that can't be used is named and left out; the others are brought in all the same. A
    file whose content the project has is recognised by its checksum.
    """

    async def work(platform: Platform) -> Exit:
        outcomes: list[dict[str, object]] = []
        worst = Exit.DONE
        for path in files:
            try:
                outcomes.append(await _ingest_one(platform, path, project, quiet=as_json))
            except HoldfastError as error:
                if traceback:
                    raise
                worst = worst or exit_of(error)
                outcomes.append({"file": printable(str(path)), "error": str(error)})
                notes().print(f"holdfast: {plain(error)}", markup=False, style="red")
        if as_json:
            print_json(outcomes)
        return worst

    code = run(data, work)
    if code:
        raise typer.Exit(code)


async def _ingest_one(
    platform: Platform, path: Path, project: str, *, quiet: bool
) -> dict[str, object]:
    with storing(path.name, quiet=quiet) as progress:
        done = await platform.library.ingest(path, project=project, progress=progress)
    video = done.video
    if not quiet:
        name = plain(printable(path.name))
        known = "" if video.filename == printable(path.name) else f" as {plain(video.filename)}"
        text = (
            f"{name}: queued as video {short(video.id)}"
            if done.created
            else f"{name}: already there{known} (video {short(video.id)}, same checksum)"
        )
        console().print(text, markup=False)
    return {"file": printable(str(path)), "video": video.id, "created": done.created}


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
    worker = Worker(platform.jobs, platform.handlers, options=WorkerOptions(on_end=None))
    if not once and not as_json:
        notes().print("Waiting for jobs; Ctrl-C stops.")
    with _stopped_by_signals(worker.stop):
        async with watching(platform, quiet=as_json):
            outcome = await worker.run(until_idle=once)
    if as_json:
        print_json({"succeeded": outcome.succeeded, "failed": outcome.failed})
    return Exit.JOB_FAILED if outcome.failed else Exit.DONE


@contextmanager
def _stopped_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Make the first SIGINT or SIGTERM call *stop*, and the second end the program."""
    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)

    def first() -> None:
        for each in signals:
            loop.remove_signal_handler(each)
        notes().print("Finishing the job at hand; again to stop at once.")
        stop()

    for each in signals:
        loop.add_signal_handler(each, first)
    try:
        yield
    finally:
        for each in signals:
            loop.remove_signal_handler(each)
