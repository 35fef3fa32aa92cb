"""The command that lists clips: clips."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from holdfast.cli.options import AsJson, Data, Traceback
from holdfast.cli.output import fields_of, note, print_json
from holdfast.cli.runner import look
from holdfast.cli.video_output import note_cut, print_clips

if TYPE_CHECKING:
    from holdfast.media import Clip
    from holdfast.platform import Platform


def clips(
    video: Annotated[
        str | None, typer.Argument(metavar="[VIDEO]", help="Only this video's.", show_default=False)
    ] = None,
    data: Data = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """List the clips: the stretches of videos in which something moves."""
    from holdfast.media import Clip

    async def work(platform: Platform) -> None:
        library = platform.library
        wanted = [] if video is None else [Clip.video_id == (await library.find(video)).id]
        found = await library.clips.find(
            *wanted, order_by=[Clip.video_id.asc(), Clip.number.asc()], load=[Clip.video]
        )
        if as_json:
            print_json([_clip_json(clip) for clip in found])
        elif not found:
            note("No clips: nothing was seen to move, or no worker has run yet.")
        else:
            print_clips(found, {clip.video_id: clip.video.filename for clip in found})
            note_cut(len(found))

    look(data, work)


def _clip_json(clip: Clip) -> dict[str, object]:
    content = {name: value for name, value in fields_of(clip).items() if name != "video"}
    return {**content, "filename": clip.video.filename}
