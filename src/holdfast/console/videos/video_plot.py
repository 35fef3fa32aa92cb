"""The timeline of a video as the server draws it: what is seen by class, and where movement is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.media.review.activity import Activity
    from holdfast.media.review.segments import Segment

WIDE = 1000
TALL = 56


@dataclass(frozen=True, slots=True)
class ActivityLine:
    """The steps of one class, as the `d` of a path in a box of 1000 by 56."""

    label: str
    path: str


@dataclass(frozen=True, slots=True)
class MovementBar:
    """A stretch of movement across the box, and its number."""

    number: int
    start: float
    x: float
    width: float
    seen: bool


@dataclass(frozen=True, slots=True)
class VideoPlot:
    """All of it; *most* tracks of one class are seen at once at the highest step."""

    lines: list[ActivityLine]
    bars: list[MovementBar]
    most: int


def video_plot(
    activity: Activity | None, segments: Sequence[Segment], duration: float
) -> VideoPlot:
    """Return the plot of a video of *duration* seconds."""
    length = max(duration, 0.04)
    most = max((max(each.tracks) for each in activity.labels), default=0) if activity else 0
    lines = [
        ActivityLine(each.label, _steps(each.tracks, activity.step / length * WIDE, most))
        for each in (activity.labels if activity and most else ())
        if activity
    ]
    bars = [
        MovementBar(
            each.number,
            each.start_time,
            round(each.start_time / length * WIDE, 2),
            round(max((each.end_time - each.start_time) / length * WIDE, 1.5), 2),
            each.seen,
        )
        for each in segments
    ]
    return VideoPlot(lines, bars, most)


def _steps(counts: Sequence[int], wide: float, most: int) -> str:
    parts = [f"M0 {TALL}"]
    before = 0
    for place, count in enumerate(counts):
        if count != before:
            parts.append(f"H{min(place * wide, WIDE):.2f}V{TALL - count / most * (TALL - 4):.2f}")
            before = count
    return "".join([*parts, f"H{WIDE}V{TALL}Z"])
