"""The command that lists videos: videos."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.cli.options import AsJson, Data, Traceback
from holdfast.cli.output import clock, lately, note, print_json, print_table, short
from holdfast.cli.runner import look
from holdfast.cli.video_output import MOST, detection_states, figure, note_cut, video_json

if TYPE_CHECKING:
    from holdfast.platform import Platform


def videos(data: Data = None, as_json: AsJson = False, traceback: Traceback = False) -> None:
    """List the videos, newest first."""
    from holdfast.media import Video

    async def work(platform: Platform) -> None:
        found = await platform.library.videos.find(
            order_by=Video.created_at.desc(), load=[Video.project]
        )
        states = await detection_states(platform, found)
        if as_json:
            print_json([video_json(video, states) for video in found])
            return
        if not found:
            note("No videos yet: bring one in with `holdfast ingest FILE`.")
            return
        now = platform.store.now()
        print_table(
            ("id", "project", "file", "length", "state", "tracks", "clips", "added"),
            [
                (
                    short(video.id),
                    video.project.name,
                    video.filename,
                    clock(video.duration),
                    states[video.id],
                    figure(video, "tracks"),
                    figure(video, "clips"),
                    lately(video.created_at, now),
                )
                for video in found[:MOST]
            ],
            right=("length", "tracks", "clips"),
            folded=("project", "file"),
        )
        note_cut(len(found))

    look(data, work)
