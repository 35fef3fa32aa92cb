"""The command that shows the main job from end to end: demo."""

from __future__ import annotations

import asyncio
import shlex
import socket
import sys
import time
from importlib.util import find_spec
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
    """Bring a video in, find what moves in it, say what was found, and show it on a page.

    On a terminal it is then served until Ctrl-C; elsewhere the command to do so is told.
    """
    shown: list[Video] = []

    async def work(platform: Platform) -> Exit:
        began = time.monotonic()
        found = await _ingest(platform, video)
        note("Looking for what moves ...")
        code = (await run_worker(platform, once=True)).code
        console().print(f"Done in {time.monotonic() - began:.0f} s.\n")
        await show_video(platform, found, as_json=False)
        console().print(f"\n{_where(platform.settings)}\n")
        _suggest(found, given=data)
        shown.append(found)
        return code

    code = run(data, work)
    if code:
        raise typer.Exit(code)
    if sys.stdout.isatty() and find_spec("uvicorn") is not None:
        _serve(shown[0], data)
    else:
        console().print("`serve` has a console for the browser: http://127.0.0.1:8000/console/")


def _serve(found: Video, data: Path | None) -> None:
    """Serve what is there, *found* with it, until Ctrl-C."""
    from holdfast.web import uvicorn_server
    from holdfast.web.serve_options import ServeOptions

    port = _free_port()
    options = ServeOptions(port=port, data=None if data is None else str(data))
    api = f"http://127.0.0.1:{port}/api/v1/videos/{found.id}"

    def announce() -> None:
        console().print("\nServing it now, until Ctrl-C:", style="bold")
        for address in (
            f"http://127.0.0.1:{port}/console/",
            f"{api}/files/processed/annotated.mp4",
        ):
            console().print(f"  {address}", soft_wrap=True)

    uvicorn_server.serve(options, announce)


def _free_port() -> int:
    """Return 8000, or another port where that is taken."""
    for port in (8000, 0):
        try:
            with socket.create_server(("127.0.0.1", port)) as listening:
                found: int = listening.getsockname()[1]
                return found
        except OSError:
            if port == 0:
                raise
    raise AssertionError("unreachable: a port is found or OSError raised")


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
    from holdfast.workspace import workspace

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
