"""The command that shows the main job from end to end: demo."""

from __future__ import annotations

import asyncio
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from holdfast.backend_url import redacted
from holdfast.cli.commands.show import show_video
from holdfast.cli.commands.worker import run_worker
from holdfast.cli.exit_codes import Exit
from holdfast.cli.options import Data, Traceback
from holdfast.cli.output import console, note, plain, short
from holdfast.cli.progress import upload_bar
from holdfast.cli.runner import run
from holdfast.extras import needs_extra

if TYPE_CHECKING:
    from holdfast.media import Video
    from holdfast.platform import Platform
    from holdfast.settings import Settings

PROJECT = "demo"


def demo(
    video: Annotated[
        Path | None,
        typer.Argument(
            metavar="[VIDEO]", help="A video of yours, not the generated scene.", readable=False
        ),
    ] = None,
    data: Data = None,
    traceback: Traceback = False,
) -> None:
    """Bring a video in, find what moves in it, and say what was found and where it lies."""

    async def work(platform: Platform) -> Exit:
        began = time.monotonic()
        found = await _ingest(platform, video)
        note("Looking for what moves ...")
        code = await run_worker(platform, once=True)
        console().print(f"Done in {time.monotonic() - began:.0f} s.\n")
        await show_video(platform, found, as_json=False)
        console().print(f"\n{_where(platform.settings)}\n")
        _suggest(found, given=data)
        return code

    code = run(data, work)
    if code:
        raise typer.Exit(code)


def _where(settings: Settings) -> str:
    if not settings.store and not settings.bucket:
        return f"Everything lies in {plain(settings.data)}"
    places = (("records", settings.store_url), ("objects", settings.bucket_url))
    return "\n".join(f"The {name} lie in {plain(redacted(url))}" for name, url in places)


async def _ingest(platform: Platform, given: Path | None) -> Video:
    if given is not None:
        note(f"Bringing in {plain(given)} ...")
        with upload_bar(given.name, quiet=False) as progress:
            return (await platform.library.ingest(given, project=PROJECT, progress=progress)).video
    with needs_extra("media", "the demo"):
        from holdfast.media.scene import make_scene
    from holdfast.media.workspace import workspace

    note("Making a traffic scene ...")
    with workspace(platform.settings.work_folder) as folder:
        scene = folder / "traffic.mp4"
        await asyncio.to_thread(make_scene, scene)
        return (await platform.library.ingest(scene, project=PROJECT)).video


def _suggest(found: Video, *, given: Path | None) -> None:
    program = Path(sys.argv[0])
    name = str(program) if program.exists() else "holdfast"
    name = shlex.quote(name.removeprefix(f"{Path.cwd()}/"))
    where = f" --data {shlex.quote(str(given))}" if given is not None else ""
    identity = short(found.id)
    console().print("Try next:", style="bold")
    for command in (f"report {identity} -o report.html", f"clips {identity}", "jobs", "serve"):
        console().print(f"  {name} {command}{where}")
