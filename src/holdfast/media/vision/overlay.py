"""The overlay of the annotated video: boxes with numbers, trails, the line, the time.

Everything is drawn straight on the brightness and colour planes, at half size on the latter, so
that no picture is converted to RGB and back.
"""

from __future__ import annotations

import colorsys
import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from holdfast.media.vision.images import planes
from holdfast.media.vision.line_counter import LineCounter
from holdfast.media.vision.text_drawing import arrow, line_of_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from holdfast.media.analysis_options import AnalysisOptions
    from holdfast.media.video_info import VideoInfo
    from holdfast.media.vision.detector import Box, Detection, Line
    from holdfast.media.vision.frames import Frame
    from holdfast.media.vision.images import Pixels

TRAIL = 1.6  # seconds
_SHIFT = 3  # fractional bits of a coordinate


class Tint(NamedTuple):
    """A colour as limited-range BT.601 brightness, blueness and redness."""

    y: int
    u: int
    v: int


class _Stamp(NamedTuple):
    """A small picture ready to be copied onto the planes."""

    y: Pixels
    u: Pixels
    v: Pixels


@dataclass(slots=True, eq=False)
class _DrawnLine:
    line: Line
    counter: LineCounter
    counts: tuple[int, int] = (0, 0)
    stamp: _Stamp | None = None


_WHITE = Tint(235, 128, 128)
_INK = Tint(28, 130, 126)


def tint(track: int) -> Tint:
    """The colour of a track: the same everywhere, and far from its neighbours'."""
    hue = track * 0.618033988749895 % 1.0
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.72 if track % 2 else 0.9, 1.0)
    return Tint(
        round(16 + 65.5 * red + 128.6 * green + 25.0 * blue),
        round(128 - 37.8 * red - 74.2 * green + 112.0 * blue),
        round(128 + 112.0 * red - 93.8 * green - 18.2 * blue),
    )


class Overlay:
    """Draws on the frames of one video, in order. Remembers only what can still be seen."""

    def __init__(self, video: VideoInfo, lines: Sequence[Line], options: AnalysisOptions) -> None:
        self._thick = max(1, round(video.height / 360))
        self._text = max(12, round(video.height / 34)) & ~1
        self._trail = max(2, round(TRAIL * video.frame_rate))
        margin = 0.01 * math.hypot(video.width, video.height)
        self._lines = [_DrawnLine(line, LineCounter(line, margin)) for line in lines]
        self._areas = [
            [*area.points, area.points[0]] for area in (*options.regions, *options.masks)
        ]
        self._trails: dict[int, deque[tuple[int, float, float]]] = {}
        self._stamps: dict[int, _Stamp] = {}

    def draw(self, frame: Frame, detections: Sequence[Detection]) -> None:
        """Draw on *frame*'s own picture."""
        frame.picture.make_writable()
        canvas = planes(frame.picture)
        for detection in detections:
            x, y = detection.box.x + detection.box.width / 2, detection.box.y + detection.box.height
            trail = self._trails.setdefault(detection.track, deque(maxlen=self._trail))
            trail.append((frame.index, x, y))
            for line in self._lines:
                line.counter.step(detection.track, detection.box.centre)
        for points in self._areas:
            _path(canvas, points, _INK, 1)
        for line in self._lines:
            self._draw_line(canvas, line)
        self._draw_trails(canvas, frame.index)
        for detection in detections:
            self._draw_box(canvas, detection)
        self._draw_clock(canvas, frame)

    def _draw_line(self, canvas: tuple[Pixels, ...], drawn: _DrawnLine) -> None:
        start, end = drawn.line.start, drawn.line.end
        points = [(start.x, start.y), (end.x, end.y)]
        _path(canvas, points, _WHITE, 1)
        counts = (drawn.counter.forward, drawn.counter.backward)
        if drawn.stamp is None or drawn.counts != counts:
            drawn.counts, drawn.stamp = counts, self._counts_stamp(drawn.line, *counts)
        stamp = drawn.stamp
        rows, columns = canvas[0].shape
        top = min(((start.y, start.x), (end.y, end.x)))
        left = round(top[1]) - stamp.y.shape[1] // 2
        _copy(canvas, stamp, min(max(8, left), columns - 8), min(max(8.0, top[0]), rows - 8.0))

    def _counts_stamp(self, line: Line, forward: int, backward: int) -> _Stamp:
        start, end = line.start, line.end
        ahead = (-(end.y - start.y), end.x - start.x)  # towards the right hand
        gap = np.zeros((self._text, self._text // 3), np.float32)
        ways = sorted([(ahead, forward), ((-ahead[0], -ahead[1]), backward)])
        parts: list[NDArray[np.float32]] = []
        for (x, y), count in ways:
            parts += [arrow(self._text, x, y), gap, line_of_text(str(count), self._text), gap, gap]
        return _chip(np.hstack(parts[:-2]), _INK, _WHITE, self._text // 3)

    def _draw_trails(self, canvas: tuple[Pixels, ...], now: int) -> None:
        for track in list(self._trails):
            trail = self._trails[track]
            while trail and trail[0][0] <= now - self._trail:
                trail.popleft()
            if not trail:
                del self._trails[track]
                self._stamps.pop(track, None)
                for line in self._lines:
                    line.counter.forget(track)
            elif len(trail) > 1:
                _path(canvas, [(x, y) for _, x, y in trail], tint(track), self._thick)

    def _draw_box(self, canvas: tuple[Pixels, ...], detection: Detection) -> None:
        colour = tint(detection.track)
        box = detection.box
        _frame(canvas, box, colour, self._thick)
        stamp = self._stamps.get(detection.track)
        if stamp is None:
            mask = line_of_text(str(detection.track), self._text)
            stamp = _chip(mask, colour, _INK if colour.y > 110 else _WHITE, self._text // 4)
            self._stamps[detection.track] = stamp
        above = box.y - stamp.y.shape[0] - self._thick
        _copy(
            canvas,
            stamp,
            box.x - self._thick / 2,
            above if above >= 0 else box.y + box.height + self._thick,
        )

    def _draw_clock(self, canvas: tuple[Pixels, ...], frame: Frame) -> None:
        minutes, seconds = divmod(frame.time, 60)
        hours, minutes = divmod(int(minutes), 60)
        text = f"{hours}:{minutes:02d}:{int(seconds):02d}.{int(seconds * 10 % 10)}"
        stamp = _chip(line_of_text(text, self._text), _INK, _WHITE, self._text // 3)
        rows = canvas[0].shape[0]
        _copy(canvas, stamp, 12, rows - 12 - stamp.y.shape[0])


def _chip(mask: NDArray[np.float32], ground: Tint, ink: Tint, margin: int) -> _Stamp:
    """Letters on a plain ground, of even size."""
    rows, columns = mask.shape
    tall, wide = rows + 2 * (margin // 2), columns + 2 * margin
    cover = np.zeros((tall + tall % 2, wide + wide % 2), np.float32)
    cover[margin // 2 : margin // 2 + rows, margin : margin + columns] = mask
    small = cv2.resize(
        cover, (cover.shape[1] // 2, cover.shape[0] // 2), interpolation=cv2.INTER_AREA
    )
    return _Stamp(
        *(
            (part * (there - here) + here).round().astype(np.uint8)
            for part, here, there in zip((cover, small, small), ground, ink, strict=True)
        )
    )


def _copy(canvas: tuple[Pixels, ...], stamp: _Stamp, x: float, y: float) -> None:
    """Copy *stamp* with its corner at the even pixel by (*x*, *y*), moved to fit the picture."""
    rows, columns = canvas[0].shape
    tall, wide = stamp.y.shape
    if tall > rows or wide > columns:
        return  # the picture is smaller than a label
    left = min(max(0, round(x)), columns - wide) & ~1
    top = min(max(0, round(y)), rows - tall) & ~1
    canvas[0][top : top + tall, left : left + wide] = stamp.y
    for plane, part in zip(canvas[1:], stamp[1:], strict=True):
        plane[top // 2 : (top + tall) // 2, left // 2 : (left + wide) // 2] = part


def _path(
    canvas: tuple[Pixels, ...], points: Sequence[tuple[float, float]], colour: Tint, thick: int
) -> None:
    """Draw a line through *points*: smooth in brightness; the eye does not see edges in colour."""
    exact = np.array(points) * (1 << _SHIFT)
    full, half = exact.round().astype(np.int32), (exact / 2).round().astype(np.int32)
    upright = bool((exact[:, 0] == exact[0, 0]).all() or (exact[:, 1] == exact[0, 1]).all())
    style = cv2.LINE_8 if upright else cv2.LINE_AA
    cv2.polylines(canvas[0], [full], False, colour.y, thick, style, _SHIFT)
    narrow = max(1, round(thick / 2))
    cv2.polylines(canvas[1], [half], False, colour.u, narrow, cv2.LINE_8, _SHIFT)
    cv2.polylines(canvas[2], [half], False, colour.v, narrow, cv2.LINE_8, _SHIFT)


def _frame(canvas: tuple[Pixels, ...], box: Box, colour: Tint, thick: int) -> None:
    """Draw the edges of *box*."""
    x, y = round(box.x), round(box.y)
    right, bottom = round(box.x + box.width) - 1, round(box.y + box.height) - 1
    cv2.rectangle(canvas[0], (x, y), (right, bottom), colour.y, thick)
    narrow = max(1, round(thick / 2))
    for plane, value in zip(canvas[1:], colour[1:], strict=True):
        cv2.rectangle(plane, (x // 2, y // 2), (right // 2, bottom // 2), value, narrow)
