"""Geometry of the timeline and the plot below it, across in percent of the video's length.

Pure arithmetic; the page's template draws it.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from holdfast.media.vision.detector import Direction, Stretch, Track

_STEPS = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10800, 21600)
_DAY = 86_400
_BARS_TALL = 240  # pixels that the lanes of bars share
_PLOT_TALL = 100
_MOST_BINS = 480
_MOST_TICKS = 9
_LEAST_SPAN = 0.25  # percent: what is shorter could not be seen


@dataclass(frozen=True, slots=True)
class Span:
    """Something that lasts: *start* and *length* in percent."""

    start: float
    length: float


@dataclass(frozen=True, slots=True)
class Bar:
    """A track in its lane: *y* and *height* in pixels."""

    track: Track
    span: Span
    y: float
    height: float

    @property
    def direction(self) -> Direction:
        """Where the track's thing moved to."""
        return self.track.direction


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on an axis; *minor* ones go when there is little room."""

    place: float
    value: float
    minor: bool


@dataclass(frozen=True, slots=True)
class Lanes:
    """The tracks packed into lanes: no two overlap within one. *tall* in pixels."""

    bars: tuple[Bar, ...]
    count: int
    tall: float


@dataclass(frozen=True, slots=True)
class Counts:
    """Tracks seen by second as steps: *path* in a box of 100 by *tall*.

    Each step is the most in *bin* seconds.
    """

    path: str
    outline: str
    bin: int
    top: int
    levels: tuple[Tick, ...]
    tall: int


def span(start: float, end: float, duration: float) -> Span:
    """The part from *start* to *end* seconds, inside the video and wide enough to be seen."""
    left = min(max(start / duration, 0.0), 1.0) * 100
    right = min(max(end / duration, 0.0), 1.0) * 100
    length = max(right - left, _LEAST_SPAN)
    return Span(round(min(left, 100 - length), 3), round(length, 3))


def pack(tracks: Sequence[Track], duration: float) -> Lanes:
    """Put each of *tracks* into the lowest lane that is free when it appears."""
    spans = [(span(track.first_time, track.last_time, duration), track) for track in tracks]
    spans.sort(key=lambda each: (each[0].start, each[1].id))
    taken: list[tuple[float, int]] = []
    free: list[int] = []
    count = 0
    placed: list[tuple[int, Span, Track]] = []
    for where, track in spans:
        while taken and taken[0][0] <= where.start:
            heapq.heappush(free, heapq.heappop(taken)[1])
        if free:
            lane = heapq.heappop(free)
        else:
            lane, count = count, count + 1
        placed.append((lane, where, track))
        heapq.heappush(taken, (where.start + where.length + _LEAST_SPAN, lane))
    pitch = min(20.0, _BARS_TALL / max(1, count))
    height = pitch - min(6.0, pitch * 0.3)
    bars = [
        Bar(track, where, round(lane * pitch + (pitch - height) / 2, 2), round(height, 2))
        for lane, where, track in placed
    ]
    return Lanes(tuple(bars), count, round(max(pitch * count, 16.0), 2))


def stripes(stretches: Sequence[Stretch], duration: float) -> list[Span]:
    """Return where *stretches* lie across a video of *duration* seconds."""
    return [span(each.start_time, each.end_time, duration) for each in stretches]


def time_ticks(duration: float) -> list[Tick]:
    """Round moments, at most nine, from the start on; every second one is minor."""
    steps = [*_STEPS, *(_DAY * days for days in (1, 2, 5, 10, 30, 100, 400))]
    step = next((each for each in steps if duration / each <= _MOST_TICKS), math.ceil(duration))
    return [
        Tick(round(at * step / duration * 100, 3), float(at * step), minor=bool(at % 2))
        for at in range(math.floor(duration / step * (1 + 1e-9)) + 1)
    ]


def count_steps(per_second: Sequence[int], duration: float) -> Counts:
    """The counts as a step plot over the whole *duration*, zeros included where nothing is."""
    seconds = max(1, math.ceil(duration), len(per_second))
    width = math.ceil(seconds / _MOST_BINS)
    bins = [max(per_second[at : at + width], default=0) for at in range(0, seconds, width)]
    rise = _rise(max(bins))
    top = max(1, math.ceil(max(bins) / rise)) * rise
    points = " ".join(_corners(bins, width, duration, top))
    levels = [
        Tick(round(_PLOT_TALL * (1 - value / top), 2), float(value), minor=False)
        for value in range(0, top + 1, rise)
    ]
    return Counts(
        path=f"M0 {_PLOT_TALL} L{points} L100 {_PLOT_TALL} Z",
        outline=f"M{points}",
        bin=width,
        top=top,
        levels=tuple(levels),
        tall=_PLOT_TALL,
    )


def _corners(bins: Sequence[int], width: int, duration: float, top: int) -> Iterator[str]:
    """Two corners for each level: equal neighbours are one step."""
    start = 0.0
    for at, value in enumerate(bins):
        end = 100.0 if at == len(bins) - 1 else min((at + 1) * width / duration, 1.0) * 100
        if at + 1 < len(bins) and bins[at + 1] == value:
            continue
        y = _PLOT_TALL * (1 - value / top)
        yield f"{start:.3f} {y:.2f}"
        yield f"{end:.3f} {y:.2f}"
        start = end


def _rise(highest: int) -> int:
    """The distance of the levels: 1, 2 or 5 times a power of ten, at most four to the top."""
    power = 1
    while True:
        for times in (1, 2, 5):
            if highest <= times * power * 4:
                return times * power
        power *= 10
