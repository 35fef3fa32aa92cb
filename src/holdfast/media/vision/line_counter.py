"""Counts the tracks that cross a line."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from holdfast.media.vision.detector import Line, Point, Side


class LineCounter:
    """Counts crossings of *line*; a thing has crossed once it stands *margin* pixels beyond.

    The margin keeps a thing that dithers on the line from being counted again and again.
    """

    def __init__(self, line: Line, margin: float) -> None:
        length = math.hypot(line.end.x - line.start.x, line.end.y - line.start.y)
        if length == 0:
            raise ValueError("a line to count over needs two different points")
        self._line = line
        self._margin = margin * length
        self._stood: dict[int, Point] = {}
        self.forward = 0
        self.backward = 0

    def step(self, track: int, point: Point) -> Side | None:
        """Take where *track* is now; say which way it has just crossed, if it has."""
        if abs(self._line.side(point)) < self._margin:
            return None
        before = self._stood.get(track)
        self._stood[track] = point
        crossed = None if before is None else self._line.crossing(before, point)
        if crossed == "forward":
            self.forward += 1
        elif crossed == "backward":
            self.backward += 1
        return crossed

    def forget(self, track: int) -> None:
        """*track* is over."""
        self._stood.pop(track, None)
