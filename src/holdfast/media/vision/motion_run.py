"""A motion detector at work: what differs from the learnt background, in each frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from holdfast.media.vision.detector import Box, Findings
from holdfast.media.vision.images import Pixels, planes
from holdfast.media.vision.tracker import Sighting, Tracker

if TYPE_CHECKING:
    from cv2.typing import MatLike

    from holdfast.media.video_info import VideoInfo
    from holdfast.media.vision.frames import Frame
    from holdfast.media.vision.motion_detector import MotionOptions

LABEL = "moving"
MOST = 128  # things in one frame
_EDGE = 0.8  # small pixels that opening takes off the edge of a thing


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
