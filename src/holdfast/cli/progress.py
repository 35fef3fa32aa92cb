"""Progress bars on standard error; none where nobody looks.

Rich's are slow to import, and only terminals need them.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from holdfast.cli.output import notes, plain

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from rich.progress import Progress, TaskID

    from holdfast.platform import Platform

_LOOK = 0.1  # seconds between looks at the jobs


@contextmanager
def upload_bar(name: str, *, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """Yield what takes bytes done and bytes in all, and shows them as a bar."""
    console = notes()
    if quiet or not console.is_terminal:
        yield lambda _done, _total: None
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        console=console,
        transient=True,
    )
    with bar:
        task = bar.add_task(plain(name), total=None)

        def advance(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield advance


@asynccontextmanager
async def job_bars(platform: Platform, *, quiet: bool) -> AsyncIterator[None]:
    """Show the jobs under way, with their progress and messages, until the block ends."""
    console = notes()
    if quiet or not console.is_terminal:
        yield
        return
    from rich.progress import (
        BarColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
    )

    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("{task.fields[message]}", markup=False),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )
    with bar:
        looking = asyncio.create_task(_show_running_jobs(platform, bar))
        try:
            yield
        finally:
            looking.cancel()
            await asyncio.wait([looking])


async def _show_running_jobs(platform: Platform, bar: Progress) -> None:
    from holdfast.jobs import Job, JobStatus

    jobs = platform.store.repository(Job)
    shown: dict[object, TaskID] = {}
    while True:
        running = await jobs.find(Job.status == JobStatus.RUNNING, limit=10)
        for job in running:
            if job.id not in shown:
                name = plain(job.payload.get("filename", job.task))
                shown[job.id] = bar.add_task(name, total=1.0, message="")
            bar.update(shown[job.id], completed=job.progress, message=plain(job.message or ""))
        for gone in shown.keys() - {job.id for job in running}:
            bar.remove_task(shown.pop(gone))
        await asyncio.sleep(_LOOK)
