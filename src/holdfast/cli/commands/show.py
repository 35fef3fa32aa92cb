"""The command that shows one video: show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.cli.options import AsJson, Data, Traceback, VideoName
from holdfast.cli.output import (
    clock,
    console,
    fields_of,
    moment,
    note,
    print_facts,
    print_json,
    print_table,
)
from holdfast.cli.runner import look
from holdfast.cli.video_output import (
    crossings,
    detection_states,
    figure,
    print_clips,
    video_json,
    warnings_of,
)
from holdfast.formatting import volume

if TYPE_CHECKING:
    from holdfast.media import Video
    from holdfast.platform import Platform


def show(
    video: VideoName, data: Data = None, as_json: AsJson = False, traceback: Traceback = False
) -> None:
    """Show all that is known of VIDEO."""

    async def work(platform: Platform) -> None:
        await show_video(platform, await platform.library.find(video), as_json=as_json)

    look(data, work)


async def show_video(platform: Platform, found: Video, *, as_json: bool) -> None:
    """Print *found* with its clips and what lies in the bucket."""
    from holdfast.media import Video

    video = await platform.library.videos.get_one(found.id, load=[Video.project, Video.clips])
    states = await detection_states(platform, [video])
    objects = await platform.library.objects(video.id)
    if as_json:
        content = video_json(video, states)
        content["clips"] = [fields_of(clip) for clip in video.clips]
        content["objects"] = [{"key": info.key, "size": info.size} for info in objects]
        print_json(content)
        return
    facts: dict[str, object] = {
        "video": video.id,
        "file": video.filename,
        "project": video.project.name,
        "state": states[video.id],
        "length": f"{clock(video.duration)} ({video.frames} frames at {_rate(video)} a second)",
        "picture": f"{video.width}x{video.height}, {video.codec}",
        "size": volume(video.size),
        "sha256": video.sha256,
        "added": moment(video.created_at),
    }
    if video.summary is not None:
        facts["tracks"] = figure(video, "tracks")
        facts |= crossings(video.summary)
        if video.summary.get("start"):
            facts["begins"] = video.summary["start"]
    print_facts(facts)
    for text in warnings_of(video.summary or {}):
        note(text, style="yellow")
    if all(info.key != video.raw_key for info in objects):
        note("its file is missing in the bucket: ingest it again into its project", style="yellow")
    console().print()
    if video.clips:
        print_clips(video.clips, {})
        console().print()
    stills = [info for info in objects if info.key.startswith("frames/")]
    print_table(
        ("object", "size"),
        [(info.key, volume(info.size)) for info in objects if info not in stills]
        + [(f"frames/{video.id}/ ({len(stills)} pictures)", volume(sum(i.size for i in stills)))],
        right=("size",),
        folded=("object",),
    )


def _rate(video: Video) -> str:
    rate = video.frame_rate
    return str(rate) if rate.denominator == 1 else f"{float(rate):.3f} ({rate})"
