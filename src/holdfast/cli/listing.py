"""Commands that show what is there: videos, show, clips, jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from holdfast.cli.options import AsJson, Data, Traceback, VideoName
from holdfast.cli.running import look
from holdfast.cli.show import (
    amount,
    clock,
    console,
    fields_of,
    lately,
    moment,
    note,
    print_facts,
    print_json,
    print_table,
    short,
)
from holdfast.jobs import Job, JobStatus
from holdfast.media import Clip, Video

if TYPE_CHECKING:
    from uuid import UUID

    from holdfast.platform import Platform

MOST = 200  # rows of a table; JSON has them all


def videos(data: Data = None, as_json: AsJson = False, traceback: Traceback = False) -> None:
    """List the videos, newest first."""

    async def work(platform: Platform) -> None:
        found = await platform.library.videos.find(
            order_by=Video.created_at.desc(), load=[Video.project]
        )
        states = await _states(platform, found)
        if as_json:
            print_json([_video_json(video, states) for video in found])
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
                    _figure(video, "tracks"),
                    _figure(video, "clips"),
                    lately(video.created_at, now),
                )
                for video in found[:MOST]
            ],
            right=("length", "tracks", "clips"),
            folded=("project", "file"),
        )
        _say_cut(len(found))

    look(data, work)


def show(
    video: VideoName, data: Data = None, as_json: AsJson = False, traceback: Traceback = False
) -> None:
    """Show all that is known of VIDEO."""

    async def work(platform: Platform) -> None:
        await show_video(platform, await platform.library.find(video), as_json=as_json)

    look(data, work)


async def show_video(platform: Platform, found: Video, *, as_json: bool) -> None:
    """Print *found* with its clips and what lies in the bucket."""
    video = await platform.library.videos.get_one(found.id, load=[Video.project, Video.clips])
    states = await _states(platform, [video])
    objects = await platform.library.objects(video.id)
    if as_json:
        content = _video_json(video, states)
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
        "size": amount(video.size),
        "sha256": video.sha256,
        "added": moment(video.created_at),
    }
    if video.summary is not None:
        facts["tracks"] = _figure(video, "tracks")
        facts["over the line"] = f"{_figure(video, 'forward')} ->, {_figure(video, 'backward')} <-"
    print_facts(facts)
    console().print()
    if video.clips:
        _print_clips(video.clips, {})
        console().print()
    stills = [info for info in objects if info.key.startswith("frames/")]
    print_table(
        ("object", "size"),
        [(info.key, amount(info.size)) for info in objects if info not in stills]
        + [(f"frames/{video.id}/ ({len(stills)} pictures)", amount(sum(i.size for i in stills)))],
        right=("size",),
        folded=("object",),
    )


def clips(
    video: Annotated[
        str | None, typer.Argument(metavar="[VIDEO]", help="Only this video's.", show_default=False)
    ] = None,
    data: Data = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """List the clips: the stretches of videos in which something moves."""

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
            _print_clips(found, {clip.video_id: clip.video.filename for clip in found})
            _say_cut(len(found))

    look(data, work)


def jobs(data: Data = None, as_json: AsJson = False, traceback: Traceback = False) -> None:
    """List the jobs, newest first, with how far they are."""

    async def work(platform: Platform) -> None:
        found = await platform.store.repository(Job).find(order_by=Job.created_at.desc())
        if as_json:
            print_json([fields_of(job) for job in found])
            return
        if not found:
            note("No jobs yet: `holdfast ingest FILE` makes one.")
            return
        now = platform.store.now()
        print_table(
            ("task", "file", "state", "done", "tries", "added", "message"),
            [
                (
                    job.task,
                    job.payload.get("filename", ""),
                    job.status.value,
                    f"{job.progress:.0%}",
                    f"{job.attempts}/{job.max_attempts}",
                    lately(job.created_at, now),
                    job.message if job.status is JobStatus.RUNNING else job.error,
                )
                for job in found[:MOST]
            ],
            right=("done", "tries"),
            folded=("file", "message"),
        )
        _say_cut(len(found))

    look(data, work)


def _print_clips(found: list[Clip], names: dict[UUID, str]) -> None:
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


async def _states(platform: Platform, found: list[Video]) -> dict[UUID, str]:
    """Return how far the detection in each video is, in a word."""
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


def _video_json(video: Video, states: dict[UUID, str]) -> dict[str, object]:
    content = {
        name: value for name, value in fields_of(video).items() if name not in ("project", "clips")
    }
    return {**content, "project": video.project.name, "state": states[video.id]}


def _clip_json(clip: Clip) -> dict[str, object]:
    content = {name: value for name, value in fields_of(clip).items() if name != "video"}
    return {**content, "filename": clip.video.filename}


def _figure(video: Video, name: str) -> object:
    return "" if video.summary is None else video.summary.get(name, "")


def _rate(video: Video) -> str:
    rate = video.frame_rate
    return str(rate) if rate.denominator == 1 else f"{float(rate):.3f} ({rate})"


def _say_cut(count: int) -> None:
    if count > MOST:
        note(f"{MOST} of {count} shown; --json has them all.")
