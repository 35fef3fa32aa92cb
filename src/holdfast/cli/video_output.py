"""How videos and clips are shown, as tables and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.cli.output import clock, fields_of, note, print_table

if TYPE_CHECKING:
    from uuid import UUID

    from holdfast.media import Clip, Video
    from holdfast.platform import Platform

MOST = 200  # rows of a table; JSON has them all


def print_clips(found: list[Clip], names: dict[UUID, str]) -> None:
    """Print *found* as a table, with their videos' *names* when there are any."""
    columns: tuple[str, ...] = ("clip", "from", "to", "length", "frames", "tracks")
    rows: list[tuple[object, ...]] = [
        (
            clip.number,
            clock(clip.start_time),
            clock(clip.end_time),
            clock(clip.duration),
            f"{clip.start_frame}-{clip.end_frame - 1}",
            clip.tracks,
        )
        for clip in found[:MOST]
    ]
    if names:
        columns = ("video", *columns)
        rows = [(names[clip.video_id], *row) for clip, row in zip(found[:MOST], rows, strict=True)]
    print_table(
        columns,
        rows,
        right=("clip", "from", "to", "length", "frames", "tracks"),
        folded=("video",),
    )


async def detection_states(platform: Platform, found: list[Video]) -> dict[UUID, str]:
    """Return how far the detection in each video is, in a word."""
    from holdfast.jobs import Job

    keys = [video.job_id for video in found if video.job_id is not None]
    jobs = {
        job.id: job
        for job in await platform.store.repository(Job).get_many(keys)
        if job is not None
    }
    states: dict[UUID, str] = {}
    for video in found:
        job = jobs.get(video.job_id) if video.job_id is not None else None
        if job is None:
            states[video.id] = "done" if video.analysed_at else ""
        else:
            states[video.id] = "done" if job.status.value == "succeeded" else job.status.value
    return states


def video_json(video: Video, states: dict[UUID, str]) -> dict[str, object]:
    """Return *video* for programs, with its project's name and its detection's state."""
    content = {
        name: value for name, value in fields_of(video).items() if name not in ("project", "clips")
    }
    return {**content, "project": video.project.name, "state": states[video.id]}


def figure(video: Video, name: str) -> object:
    """Return what the detection counted as *name*; empty before there is one."""
    return "" if video.summary is None else video.summary.get(name, "")


def note_cut(count: int) -> None:
    """Say that a table of *count* rows was cut, when it was."""
    if count > MOST:
        note(f"{MOST} of {count} shown; --json has them all.")
