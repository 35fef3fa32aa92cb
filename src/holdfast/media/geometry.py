"""Points, boxes and lines in a picture: pixels from its top left corner, y pointing down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

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
