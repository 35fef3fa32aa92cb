"""The contract of detectors, and the values that they take and give.

Boxes are in pixels of the video as displayed, from its top left corner; times are in seconds from
its start.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.media.probe import VideoInfo
    from holdfast.media.vision.frames import Frame

Direction = Literal["right", "left", "up", "down"]
Side = Literal["forward", "backward"]


class Point(NamedTuple):
    """A place in the picture, in pixels."""

    x: float
    y: float


class Box(NamedTuple):
    """An upright rectangle in the picture: its top left corner and its size, in pixels."""

    x: float
    y: float
    width: float
    height: float

    @property
    def area(self) -> float:
        """Its area, in square pixels."""
        return self.width * self.height

    @property
    def centre(self) -> Point:
        """Its middle."""
        return Point(self.x + self.width / 2, self.y + self.height / 2)

    def overlap(self, other: Box) -> float:
        """The area that both cover."""
        across = min(self.x + self.width, other.x + other.width) - max(self.x, other.x)
        down = min(self.y + self.height, other.y + other.height) - max(self.y, other.y)
        return across * down if across > 0 and down > 0 else 0.0

    def likeness(self, other: Box) -> float:
        """Intersection over union: 0 apart, 1 the same."""
        shared = self.overlap(other)
        return shared / (self.area + other.area - shared) if shared else 0.0

    def union(self, other: Box) -> Box:
        """The smallest box around both."""
        x, y = min(self.x, other.x), min(self.y, other.y)
        right = max(self.x + self.width, other.x + other.width)
        bottom = max(self.y + self.height, other.y + other.height)
        return Box(x, y, right - x, bottom - y)

    def clipped(self, width: float, height: float) -> Box:
        """The part inside a picture of *width* and *height*."""
        x, y = min(max(self.x, 0.0), width), min(max(self.y, 0.0), height)
        right = min(max(self.x + self.width, x), width)
        bottom = min(max(self.y + self.height, y), height)
        return Box(x, y, right - x, bottom - y)


@dataclass(frozen=True, slots=True)
class Detection:
    """One thing in one frame. *track* is the same in every frame for the same thing."""

    frame: int
    time: float
    track: int
    label: str
    score: float
    box: Box


@dataclass(frozen=True, slots=True)
class Findings:
    """What is newly certain. No later findings speak of a frame before *settled*."""

    detections: Sequence[Detection]
    settled: int


class DetectorRun(Protocol):
    """A detector at work on one video. Frames come in order, each once."""

    def look(self, frame: Frame) -> Findings:
        """Take the next frame; what is found may belong to earlier frames."""
        ...

    def finish(self) -> Findings:
        """Give what is left; everything is settled."""
        ...


class Detector(Protocol):
    """Finds and follows things in videos. Holds no state between videos.

    The same video gives the same findings. Memory must not grow with the video's length.
    """

    def start(self, video: VideoInfo) -> DetectorRun:
        """Begin on *video*."""
        ...


@dataclass(frozen=True, slots=True)
class Line:
    """A line to count over, from *start* to *end*.

    Crossing it from the left hand of somebody who walks from start to end to the right hand is
    forward; the other way is backward.
    """

    start: Point
    end: Point

    def side(self, point: Point) -> float:
        """Above zero on the right hand, below on the left (the picture's y points down)."""
        return (self.end.x - self.start.x) * (point.y - self.start.y) - (
            self.end.y - self.start.y
        ) * (point.x - self.start.x)

    def crossing(self, before: Point, after: Point) -> Side | None:
        """Which way the step from *before* to *after* crosses the line, None when it does not."""
        was, now = self.side(before), self.side(after)
        if (was > 0) == (now > 0):
            return None
        path = Line(before, after)
        if path.side(self.start) * path.side(self.end) > 0:
            return None  # it passes beyond an end of the line
        return "forward" if now > 0 else "backward"


@dataclass(frozen=True, slots=True)
class Track:
    """One thing from its first frame to its last.

    *displacement* is the pixels from *entry* to *exit* as the crow flies, *path_length* along the
    way; *angle* is in degrees counter-clockwise from rightwards, in (-180, 180]; *mean_speed* is
    pixels of path a second; *crossed* says which way it last crossed the line, if it did. The best
    moment is the one whose frame is kept as a picture.
    """

    id: int
    label: str
    first_frame: int
    last_frame: int
    first_time: float
    last_time: float
    detections: int
    best_frame: int
    best_time: float
    best_box: Box
    entry: Point
    exit: Point
    displacement: float
    direction: Direction
    angle: float
    path_length: float
    mean_speed: float
    mean_area: float
    mean_score: float
    crossed: Side | None


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of the video with movement: frames from *start_frame* up to, without, *end_frame*."""

    start_frame: int
    end_frame: int
    start_time: float
    end_time: float
