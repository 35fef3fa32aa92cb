"""The command that makes a page of what was found: report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from holdfast.cli.options import AsJson, Data, Traceback, VideoName
from holdfast.cli.output import console, plain, print_json
from holdfast.cli.runner import look
from holdfast.extras import needs_extra
from holdfast.formatting import volume

if TYPE_CHECKING:
    from holdfast.platform import Platform


def report(
    video: VideoName,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="The page to write.")
    ],
    data: Data = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """Write what was found in VIDEO as one HTML file that can be sent to anybody."""
    # Templates are a tenth of the start-up, which no other command should pay.
    with needs_extra("media", "a report"):
        from holdfast.media.report.video_report import report_video

    async def work(platform: Platform) -> None:
        found = await platform.library.find(video)
        await report_video(platform.library, found, output, platform.settings.work_folder)

    look(data, work)
    size = output.stat().st_size
    if as_json:
        print_json({"report": str(output), "size": size})
    else:
        console().print(f"{plain(output)} ({volume(size)})")
