"""What a report is made of, and how much of it goes onto the page."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.media.vision.detector import LineCount

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from holdfast.media.vision.detector import Analysis, Stretch, Track

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Report:
    """An analysis and what it belongs to.

    *title* and *project* are names that people gave, shown as they are; *ingested* and *analysed*
    are aware; *checksum* is the video file's, with the name of its kind ("sha256 3f..");
    *annotated* is the annotated video, *frames* the folder with `track-<id>.jpg`, each None
    when there is none.
    """

    analysis: Analysis
    title: str
    project: str
    ingested: datetime
    analysed: datetime
    detector: str
    checksum: str
    annotated: Path | None = None
    frames: Path | None = None

    def __post_init__(self) -> None:
        for name in ("ingested", "analysed"):
            when: datetime = getattr(self, name)
            if when.utcoffset() is None:
                raise ValueError(f"{name} is {when!r}, without a zone; expected an aware datetime")


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """The bounds of a page, so that it can be sent.

    A video of more than *video_bytes* is left out and stills are shown instead. Of more than
    *tracks* or *clips* the longest are listed; of more than *thumbnails* tracks the longest have
    a picture; of the counts by interval the first *intervals* are listed. The page says what it
    leaves out.
    """

    video_bytes: int = 24 * MIB
    tracks: int = 2000
    clips: int = 500
    thumbnails: int = 200
    intervals: int = 500

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; expected 0 or more")


@dataclass(frozen=True, slots=True)
class ReportClip:
    """A stretch by its *number* from 1, and the tracks that are seen in it."""

    number: int
    stretch: Stretch
    tracks: tuple[int, ...]


def longest_tracks(tracks: Sequence[Track], most: int) -> list[Track]:
    """At most *most*: those seen in the most frames, in the order given."""
    if len(tracks) <= most:
        return list(tracks)
    kept = sorted(tracks, key=lambda track: (-track.detections, track.id))[:most]
    chosen = {track.id for track in kept}
    return [track for track in tracks if track.id in chosen]


def clips_of(stretches: Sequence[Stretch], tracks: Sequence[Track]) -> list[ReportClip]:
    """Every stretch as a clip. Stretches are in order and don't overlap."""
    starts = [stretch.start_frame for stretch in stretches]
    ends = [stretch.end_frame for stretch in stretches]
    inside: list[list[int]] = [[] for _ in stretches]
    for track in tracks:
        for at in range(
            bisect_right(ends, track.first_frame), bisect_right(starts, track.last_frame)
        ):
            inside[at].append(track.id)
    return [
        ReportClip(number, stretch, tuple(numbers))
        for number, (stretch, numbers) in enumerate(zip(stretches, inside, strict=True), 1)
    ]


def longest_clips(clips: Sequence[ReportClip], most: int) -> list[ReportClip]:
    """At most *most*: those with the most frames, in the order given."""
    if len(clips) <= most:
        return list(clips)
    by_length = sorted(
        clips,
        key=lambda clip: (clip.stretch.start_frame - clip.stretch.end_frame, clip.number),
    )
    chosen = {clip.number for clip in by_length[:most]}
    return [clip for clip in clips if clip.number in chosen]


def lines_of(analysis: Analysis) -> tuple[LineCount, ...]:
    """Return the lines with their counts; of an older summary the one that it has."""
    return analysis.lines or (
        LineCount("the line", analysis.line, analysis.forward, analysis.backward),
    )


def busiest_second(per_second: Sequence[int]) -> int | None:
    """The first second with the most tracks; None when nothing is ever seen."""
    most = max(per_second, default=0)
    return per_second.index(most) if most else None


def telling_moments(analysis: Analysis, most: int) -> list[float]:
    """Up to *most* times that show what happened: the busiest second of each part of the video.

    The start alone when nothing moved.
    """
    seconds = analysis.per_second
    parts = min(most, len(seconds))
    times: list[float] = []
    for part in range(parts):
        start, end = part * len(seconds) // parts, (part + 1) * len(seconds) // parts
        best = max(range(start, end), key=seconds.__getitem__)
        if seconds[best]:
            times.append(best + 0.5)
    return times or [0.0]


def seconds_with_movement(stretches: Sequence[Stretch]) -> float:
    """Return how many seconds of the video something moves."""
    return sum(stretch.end_time - stretch.start_time for stretch in stretches)


def length_of(analysis: Analysis) -> float:
    """Seconds that the timeline spans: the video's length, or to the last track if that is later.

    Never zero.
    """
    last = max((track.last_time for track in analysis.tracks), default=0.0)
    return max(analysis.video.duration, last, 0.04)
