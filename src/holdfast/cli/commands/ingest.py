"""The command that brings video files in: ingest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from holdfast.cli.analysis_arguments import (
    Areas,
    HowSensitive,
    Interval,
    Lines,
    Masks,
    Regions,
    Start,
    analysis_options,
)
from holdfast.cli.exit_codes import Exit, exit_of
from holdfast.cli.options import AsJson, Data, Traceback
from holdfast.cli.output import complain, console, plain, print_json, short
from holdfast.cli.progress import upload_bar
from holdfast.cli.runner import run
from holdfast.errors import HoldfastError

if TYPE_CHECKING:
    from holdfast.media.analysis_options import AnalysisOptions
    from holdfast.platform import Platform


def ingest(  # noqa: PLR0913, PLR0917 - the options of a command
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE", show_default=False, readable=False)
    ],
    project: Annotated[str, typer.Option(metavar="NAME", help="Where they belong.")] = "default",
    line: Lines = None,
    region: Regions = None,
    mask: Masks = None,
    interval: Interval = None,
    start: Start = None,
    sensitivity: HowSensitive = None,
    options: Areas = None,
    data: Data = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """Bring video files in and queue the detection in them.

    A file that can't be used is named and left out; the others are brought in all the same. A
    file whose content the project has is recognised by its checksum; `holdfast detect` looks at
    it again.
    """
    from holdfast.media.library import printable

    asked = analysis_options(options, (line, region, mask), interval, start, sensitivity)

    async def work(platform: Platform) -> Exit:
        outcomes: list[dict[str, object]] = []
        first_failure = Exit.DONE
        for path in files:
            try:
                outcomes.append(await _ingest_one(platform, path, (project, asked), quiet=as_json))
            except HoldfastError as error:
                if traceback:
                    raise
                first_failure = first_failure or exit_of(error)
                outcomes.append({"file": printable(str(path)), "error": str(error)})
                complain(error)
        if as_json:
            print_json(outcomes)
        return first_failure

    code = run(data, work)
    if code:
        raise typer.Exit(code)


async def _ingest_one(
    platform: Platform, path: Path, where: tuple[str, AnalysisOptions], *, quiet: bool
) -> dict[str, object]:
    from holdfast.media.library import printable

    project, options = where
    with upload_bar(path.name, quiet=quiet) as progress:
        done = await platform.library.ingest(
            path, project=project, options=options, progress=progress
        )
    video = done.video
    if not quiet:
        name = plain(printable(path.name))
        known = "" if video.filename == printable(path.name) else f" as {plain(video.filename)}"
        text = (
            f"{name}: queued as video {short(video.id)}"
            if done.created
            else f"{name}: already there{known} (video {short(video.id)}, same checksum)"
            + ("; its file was missing, and is stored again" if done.restored else "")
        )
        console().print(text)
    return {"file": printable(str(path)), "video": video.id, "created": done.created}
