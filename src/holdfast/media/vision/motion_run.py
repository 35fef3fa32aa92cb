"""A motion detector at work: what differs from the learnt background, in each frame."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

from holdfast.media.vision.detector import Box, Findings
from holdfast.media.vision.images import Pixels, planes
from holdfast.media.vision.tracker import Sighting, Tracker
from holdfast.media.vision.view_monitor import GRID, ViewMonitor

if TYPE_CHECKING:
    from cv2.typing import MatLike

    from holdfast.media.video_info import VideoInfo
    from holdfast.media.vision.frames import Frame
    from holdfast.media.vision.motion_detector import MotionOptions

LABEL = "moving"
MOST = 128  # things in one frame
_EDGE = 0.8  # small pixels that opening takes off the edge of a thing
_GROUND = 0.65
_BEGINNING = 1.5  # seconds in which the background is learnt fast
_RELEARN = 0.15  # the share of each frame that is learnt while all of the picture changes
_FASTEST, _SLOWEST = 0.05, 1e-6  # shares of a frame that are learnt otherwise
_SOLID = 0.2  # the share of a patch, shadow included, that must differ clearly from the ground
_NEW = 0.08  # the share of a cell of the picture from which something new is seen in it


class MotionRun:
    """A `MotionDetector` at work on one video."""

    def __init__(self, options: MotionOptions, video: VideoInfo) -> None:
        self._factor = max(1, round(video.width / options.working_width))
        self._size = (
            max(8, video.width // self._factor),
            max(8, video.height // self._factor),
        )
        self._least = max(6.0, options.least_area * self._size[0] * self._size[1])
        # The share of a pixel's past that must be one colour for it to be the ground's: what stands
        # still is ground once it has the rest. A smaller share lets light that creeps be learnt
        # faster in the same time; a larger one knows more colours, as of leaves in the wind.
        self._learning = -math.log(_GROUND) / (options.memory / 10)  # a second
        self._period = 1 / float(video.frame_rate)
        self._last: float | None = None
        self._background = cv2.createBackgroundSubtractorMOG2(500, options.threshold, True)
        self._background.setShadowThreshold(0.6)
        self._background.setBackgroundRatio(_GROUND)
        self._speck = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
        self._reach = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 5))
        self._tracker = Tracker(options.tracking, video, LABEL)
        self._view = ViewMonitor()
        self._crowded = 0.0

    def look(self, frame: Frame) -> Findings:
        """Learn from the next frame, and follow what differs from the background."""
        # Scaled plane by plane and only then mixed: far cheaper than mixing at full size.
        small = cv2.merge([_shrunk(plane, self._size) for plane in planes(frame.picture)])
        mixed = np.asarray(cv2.cvtColor(small, cv2.COLOR_YUV2BGR), np.uint8)
        luma = np.asarray(small[:, :, 0], np.uint8)
        disturbed = self._view.look(luma, frame.time, self._crowded)
        sightings = self._sightings(mixed, frame, disturbed=disturbed)
        if disturbed:
            self._tracker.forget_guesses()
        found = self._tracker.follow(frame.index, frame.time, sightings)
        return Findings(found.detections, found.settled, self._view.take(frame.time))

    def finish(self) -> Findings:
        """Give what is left; everything is settled."""
        found = self._tracker.finish()
        return Findings(found.detections, found.settled, self._view.finish())

    def _share_to_learn(self, frame: Frame, *, disturbed: bool) -> float:
        """Return how much of *frame* goes into the background.

        By time and not by frames, so that a thing that stops melts into it just as late in the
        first minute as in any other, and at any rate.
        """
        if disturbed:
            return _RELEARN
        passed = self._period if self._last is None else frame.time - self._last
        share = passed * self._learning
        if frame.time < _BEGINNING:
            share = max(share, 1 / (2 * (frame.index + 1)))
        return min(max(share, _SLOWEST), _FASTEST if frame.index > 10 else 1.0)

    def _sightings(self, small: Pixels, frame: Frame, *, disturbed: bool) -> list[Sighting]:
        mask = self._background.apply(
            small, learningRate=self._share_to_learn(frame, disturbed=disturbed)
        )
        self._last = frame.time
        if frame.index == 0:
            return []  # the first picture is the background
        moving = cv2.threshold(mask, 200, 255, cv2.THRESH_BINARY)[1]
        moving = self._with_dark_things(cv2.morphologyEx(moving, cv2.MORPH_OPEN, self._speck), mask)
        joined = cv2.dilate(moving, self._reach)
        new = cv2.resize(joined, GRID, interpolation=cv2.INTER_AREA)
        self._crowded = cv2.countNonZero(cv2.threshold(new, 255 * _NEW, 255, 0)[1]) / new.size
        if disturbed:
            return []
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

    def _with_dark_things(self, moving: MatLike, mask: MatLike) -> MatLike:
        """Return *moving* with the patches that are nothing but darker than the ground.

        A shadow lies beside what casts it, which differs clearly; a patch in which next to
        nothing does is a thing of the ground's colour, such as a grey car on asphalt.
        """
        dark = cv2.inRange(mask, 1, 200)
        if cv2.countNonZero(dark) < self._least:
            return moving
        dark = cv2.morphologyEx(dark, cv2.MORPH_OPEN, self._speck)
        if cv2.countNonZero(dark) < self._least:
            return moving
        whole = cv2.bitwise_or(moving, dark)
        outlines = cv2.findContours(whole, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]
        for outline in outlines:
            x, y, width, height = cv2.boundingRect(outline)
            part = np.s_[y : y + height, x : x + width]
            filled = cv2.countNonZero(whole[part])
            if filled < self._least or cv2.countNonZero(moving[part]) > _SOLID * filled:
                continue
            moving[part] = cv2.bitwise_or(moving[part], dark[part])
        return moving


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
