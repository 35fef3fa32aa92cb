"""Tracks, stretches of movement and counts, gathered from detections."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.media.vision.detector import (
    Box,
    Detection,
    Direction,
    Line,
    Point,
    Side,
    Stretch,
    Track,
)
from holdfast.media.vision.line_counter import LineCounter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.media.video_info import VideoInfo

JOIN = 1.0  # seconds without movement over which a stretch goes on
PAD = 0.5  # seconds kept before and after the movement
_ORIGIN = Point(0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Moment:
    """The frame in which a track is best seen."""

    frame: int
    time: float
    box: Box


@dataclass(slots=True, eq=False)
class _Sums:
    first: Detection
    last: Detection
    best: Detection
    count: int = 0
    path: float = 0.0
    area: float = 0.0
    score: float = 0.0
    anchor: Point = _ORIGIN
    crossed: Side | None = None


class TrackLog:
    """Sums detections up as they come, in order of frame.

    Memory is a few hundred bytes a track, a stretch and a second of video; nothing a detection.
    """

    def __init__(self, video: VideoInfo, line: Line) -> None:
        self._video = video
        self._rate = float(video.frame_rate)
        self._step = 0.01 * math.hypot(video.width, video.height)
        self._counter = LineCounter(line, self._step)
        self._sums: dict[int, _Sums] = {}
        self._moving: list[tuple[Detection, Detection]] = []
        self._seconds: list[int] = []
        self._present: set[int] = set()

    @property
    def forward(self) -> int:
        """How many tracks crossed the line forward so far."""
        return self._counter.forward

    @property
    def backward(self) -> int:
        """How many tracks crossed the line backward so far."""
        return self._counter.backward

    def add(self, detections: Sequence[Detection]) -> None:
        """Take detections that follow, by frame, those that were added before."""
        for detection in detections:
            self._sum(detection)
            self._stretch(detection)
            self._count(detection)

    def tracks(self, best: dict[int, Moment]) -> list[Track]:
        """Every track, by number. *best* says when each is best seen, where that is known."""
        return [self._track(number, best.get(number)) for number in sorted(self._sums)]

    def stretches(self, frames: int, duration: float) -> list[Stretch]:
        """The stretches of movement in a video of *frames* and *duration*; none overlap."""
        pad = int(PAD * self._rate)
        return [
            Stretch(
                start_frame=max(0, first.frame - pad),
                end_frame=min(frames, last.frame + pad + 1),
                start_time=max(0.0, first.time - pad / self._rate),
                end_time=min(duration, last.time + (pad + 1) / self._rate),
            )
            for first, last in self._moving
        ]

    def per_second(self) -> list[int]:
        """How many different tracks are seen in each second, up to the last with any."""
        return [*self._seconds, len(self._present)] if self._present else list(self._seconds)

    def _sum(self, detection: Detection) -> None:
        centre = detection.box.centre
        sums = self._sums.get(detection.track)
        if sums is None:
            sums = _Sums(detection, detection, detection, anchor=centre)
            self._sums[detection.track] = sums
        sums.last = detection
        sums.count += 1
        sums.area += detection.box.area
        sums.score += detection.score
        if detection.box.area * detection.score > sums.best.box.area * sums.best.score:
            sums.best = detection
        stride = math.dist(sums.anchor, centre)
        if stride >= self._step:  # smaller steps are the trembling of the box
            sums.path += stride
            sums.anchor = centre
        crossed = self._counter.step(detection.track, centre)
        sums.crossed = crossed or sums.crossed

    def _stretch(self, detection: Detection) -> None:
        if self._moving:
            first, last = self._moving[-1]
            between = detection.frame - last.frame - 1
            if between <= math.ceil(JOIN * self._rate):
                self._moving[-1] = (first, detection)
                return
        self._moving.append((detection, detection))

    def _count(self, detection: Detection) -> None:
        second = int(detection.time)
        if second > len(self._seconds):
            self._seconds.append(len(self._present))
            self._seconds.extend([0] * (second - len(self._seconds)))
            self._present.clear()
        self._present.add(detection.track)

    def _track(self, number: int, best: Moment | None) -> Track:
        sums = self._sums[number]
        entry, leave = sums.first.box.centre, sums.last.box.centre
        angle, direction = _heading(leave.x - entry.x, leave.y - entry.y)
        path = sums.path + math.dist(sums.anchor, leave)
        lasted = sums.last.time - sums.first.time + 1 / self._rate
        moment = best or Moment(sums.best.frame, sums.best.time, sums.best.box)
        return Track(
            id=number,
            label=sums.first.label,
            first_frame=sums.first.frame,
            last_frame=sums.last.frame,
            first_time=sums.first.time,
            last_time=sums.last.time,
            detections=sums.count,
            best_frame=moment.frame,
            best_time=moment.time,
            best_box=moment.box,
            entry=entry,
            exit=leave,
            displacement=math.dist(entry, leave),
            direction=direction,
            angle=angle,
            path_length=path,
            mean_speed=path / lasted,
            mean_area=sums.area / sums.count,
            mean_score=sums.score / sums.count,
            crossed=sums.crossed,
        )


def middle_line(video: VideoInfo) -> Line:
    """The upright line through the middle; forward over it is rightwards."""
    return Line(Point(video.width / 2, float(video.height)), Point(video.width / 2, 0.0))


def _heading(across: float, down: float) -> tuple[float, Direction]:
    angle = math.degrees(math.atan2(-down, across))
    if angle <= -180:
        angle += 360
    if abs(across) >= abs(down):
        return angle, "right" if across >= 0 else "left"
    return angle, "down" if down > 0 else "up"
