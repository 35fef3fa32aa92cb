"""The command that asks for another analysis of a video: detect."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
from holdfast.cli.options import AsJson, Data, Traceback, VideoName
from holdfast.cli.output import console, plain, print_json, short
from holdfast.cli.runner import look

if TYPE_CHECKING:
    from holdfast.platform import Platform


def detect(  # noqa: PLR0913, PLR0917 - the options of a command
    video: VideoName,
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
    """Queue another detection in VIDEO, whose results replace those of the last one."""
    asked = analysis_options(options, (line, region, mask), interval, start, sensitivity)

    async def work(platform: Platform) -> None:
        found = await platform.library.find(video)
        job = await platform.library.detect(found, asked)
        if as_json:
            print_json({"video": found.id, "job": job.id})
        else:
            console().print(f"{plain(found.filename)}: queued as job {short(job.id)}")

    look(data, work)
