"""The contract of detectors, and the values that they take and give.

Boxes are in pixels of the video as displayed, from its top left corner; times are in seconds from
its start.
"""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - the same
from dataclasses import dataclass, field
from datetime import datetime  # noqa: TC003 - an Analysis is read by its annotations
from typing import TYPE_CHECKING, Literal, Protocol

from holdfast.media.geometry import Box, Line, Point, Side
from holdfast.media.video_info import VideoInfo  # noqa: TC001 - the same

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.media.analysis_options import Sensitivity
    from holdfast.media.vision.frames import Frame

__all__ = [
    "WHAT_HAPPENS",
    "Analysis",
    "Box",
    "Cause",
    "DescribedDetector",
    "Detection",
    "Detector",
    "DetectorRun",
    "Direction",
    "Disturbance",
    "Findings",
    "FrameStrip",
    "IntervalCount",
    "Line",
    "LineCount",
    "Point",
    "Side",
    "Stretch",
    "Track",
    "TunableDetector",
]

Direction = Literal["right", "left", "up", "down"]
Cause = Literal["camera", "light", "picture"]
WHAT_HAPPENS: dict[Cause, str] = {
    "camera": "the camera moves",
    "light": "the light changes",
    "picture": "most of the picture changes",
}
"""A disturbance in words, by its cause."""


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
class Disturbance:
    """A time in which the picture as a whole changes, so that no count can be trusted.

    *cause* is "camera" when it moves, "light" when all of it grows darker or lighter, "picture"
    for any other change of most of it, such as a cut or a thing that fills it. Times are in
    seconds.
    """

    start_time: float
    end_time: float
    cause: Cause


@dataclass(frozen=True, slots=True)
class Findings:
    """What is newly certain. No later findings speak of a frame before *settled*.

    *disturbances* are those that have ended since the last findings.
    """

    detections: Sequence[Detection]
    settled: int
    disturbances: Sequence[Disturbance] = ()


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


class DescribedDetector(Detector, Protocol):
    """A detector that tells which model it is."""

    @property
    def facts(self) -> Mapping[str, str]:
        """What is kept with all results, such as `model` and `digest`."""
        ...


class TunableDetector(Detector, Protocol):
    """A detector whose sensitivity can be set."""

    def tuned(self, sensitivity: Sensitivity) -> Detector:
        """Return a detector that finds less ("low") or more ("high") than this one."""
        ...


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


@dataclass(frozen=True, slots=True)
class LineCount:
    """How often tracks crossed the *line* called *name*, each way."""

    name: str
    line: Line
    forward: int
    backward: int


@dataclass(frozen=True, slots=True)
class IntervalCount:
    """What was counted from *start_time* until before *end_time*, in seconds.

    *tracks* is how many were seen; *lines* has the crossings of each line, forward and backward,
    and *regions* how many tracks were seen in each region, both in the order of the options.
    """

    start_time: float
    end_time: float
    tracks: int
    lines: tuple[tuple[int, int], ...]
    regions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class FrameStrip:
    """How small pictures lie in the frame strip: row by row, one for each *interval* of seconds.

    There are *pictures* of them, *columns* in a row, each *width* by *height* pixels.
    """

    interval: float
    pictures: int
    columns: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Analysis:
    """What was found in a video. *per_second* counts the tracks seen in each second.

    *line*, *forward* and *backward* are those of the first of *lines*; *regions* are named in the
    order of the options; *start* is the aware time at which the video begins, if that is known.
    What moves is not followed through *disturbances*, and counts around them are a guess.
    *detector* says which model found it, where the detector tells: its name, version, digest.
    *strip* is None for a result from before there were frame strips.

    *video* is what was probed, with the number of frames and the duration that decoding all of
    them showed.
    """

    video: VideoInfo
    frames: int
    detections: int
    tracks: tuple[Track, ...]
    stretches: tuple[Stretch, ...]
    per_second: tuple[int, ...]
    line: Line
    forward: int
    backward: int
    disturbances: tuple[Disturbance, ...] = ()
    lines: tuple[LineCount, ...] = ()
    regions: tuple[str, ...] = ()
    intervals: tuple[IntervalCount, ...] = ()
    start: datetime | None = None
    detector: Mapping[str, str] = field(default_factory=dict)
    strip: FrameStrip | None = None
