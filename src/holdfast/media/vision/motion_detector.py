"""Detection by movement: what differs from the learnt background, followed over time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import cv2
import numpy as np

from holdfast.media.vision.detector import Box, Findings
from holdfast.media.vision.images import Pixels, planes
from holdfast.media.vision.tracker import Sighting, Tracker, TrackerOptions

if TYPE_CHECKING:
    from cv2.typing import MatLike

    from holdfast.media.probe import VideoInfo
    from holdfast.media.vision.frames import Frame

LABEL = "moving"
MOST = 128  # things in one frame
_EDGE = 0.8  # small pixels that opening takes off the edge of a thing


@dataclass(frozen=True, slots=True)
class MotionOptions:
    """How movement is looked for.

    The background is learnt on a picture about *working_width* pixels wide; *memory* is the
    seconds of video that it remembers: what stands still melts into it after a tenth of that.
    *threshold* is the squared distance, in standard deviations, beyond which a pixel is new;
    *least_area* the smallest thing, as a share of the picture.
    """

    working_width: int = 280
    memory: float = 80.0
    threshold: float = 16.0
    least_area: float = 0.00015
    tracking: TrackerOptions = field(default_factory=TrackerOptions)

    def __post_init__(self) -> None:
        if self.working_width < 16:
            raise ValueError(f"working_width is {self.working_width}; expected at least 16")
        if not 0 < self.least_area < 1:
            raise ValueError(f"least_area is {self.least_area}; expected a share between 0 and 1")
        if self.memory <= 0 or self.threshold <= 0:
            raise ValueError("memory and threshold must be above 0")


class MotionDetector:
    """Finds what moves before a camera that stands still."""

    def __init__(self, options: MotionOptions | None = None) -> None:
        self._options = options or MotionOptions()

    def start(self, video: VideoInfo) -> MotionRun:
        """Begin on *video*: with no background learnt yet and no tracks."""
        return MotionRun(self._options, video)


class MotionRun:
    """A `MotionDetector` at work on one video."""

    def __init__(self, options: MotionOptions, video: VideoInfo) -> None:
        self._factor = max(1, round(video.width / options.working_width))
        self._size = (
            max(8, video.width // self._factor),
            max(8, video.height // self._factor),
        )
        self._least = max(6.0, options.least_area * self._size[0] * self._size[1])
        history = min(max(round(options.memory * video.frame_rate), 300), 4000)
        self._background = cv2.createBackgroundSubtractorMOG2(history, options.threshold, True)
        self._background.setShadowThreshold(0.6)
        self._speck = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
        self._reach = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 5))
        self._tracker = Tracker(options.tracking, video, LABEL)

    def look(self, frame: Frame) -> Findings:
        # Scaled plane by plane and only then mixed: far cheaper than mixing at full size.
        """Learn from the next frame, and follow what differs from the background."""
        small = cv2.merge([_shrunk(plane, self._size) for plane in planes(frame.picture)])
        mixed = np.asarray(cv2.cvtColor(small, cv2.COLOR_YUV2BGR), np.uint8)
        return self._tracker.follow(frame.index, frame.time, self._sightings(mixed, frame))

    def finish(self) -> Findings:
        """Give what is left; everything is settled."""
        return self._tracker.finish()

    def _sightings(self, small: Pixels, frame: Frame) -> list[Sighting]:
        mask = self._background.apply(small)
        if frame.index == 0:
            return []  # the first picture is the background
        moving = cv2.threshold(mask, 200, 255, cv2.THRESH_BINARY)[1]
        moving = cv2.morphologyEx(moving, cv2.MORPH_OPEN, self._speck)
        joined = cv2.dilate(moving, self._reach)
        if cv2.countNonZero(joined) > joined.size * 0.7:
            return []  # the light or the camera moved, not a thing
        outlines = cv2.findContours(joined, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]
        across = frame.picture.width / self._size[0]
        down = frame.picture.height / self._size[1]
        found = []
        for outline in outlines:
            x, y, width, height = cv2.boundingRect(outline)
            inside = moving[y : y + height, x : x + width]
            filled = cv2.countNonZero(inside)
            if filled < self._least:
                continue
            left, top, wide, tall = cv2.boundingRect(inside)  # without the dilation's margin
            box = Box(
                (x + left - _EDGE) * across,
                (y + top - _EDGE) * down,
                (wide + 2 * _EDGE) * across,
                (tall + 2 * _EDGE) * down,
            )
            found.append(Sighting(box, min(1.0, 1.25 * filled / (wide * tall))))
        if len(found) > MOST:  # noise, rain, a crowd: the largest say most
            found.sort(key=lambda sighting: -sighting.box.area)
            del found[MOST:]
        return found


def _shrunk(plane: Pixels, size: tuple[int, int]) -> MatLike:
    """*plane* at *size*. Whole halves are averaged, which is fast; the rest is interpolated."""
    rows, columns = plane.shape
    while columns >= 2 * size[0] and rows >= 2 * size[1]:
        rows, columns = rows // 2, columns // 2
        even = plane[: rows * 2, : columns * 2]
        plane = np.asarray(
            cv2.resize(even, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8
        )
    return cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR)
