"""Small plots as SVG, made on the server: places of lines and of their labels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WIDE, NARROW, _HEIGHT = 640, 360, 150
_LEFT, _BOTTOM, _TOP, _RIGHT = 44, 20, 8, 6
_MOST_LINES = 4
_LABEL_ROOM = 80  # across, for each label below


@dataclass(frozen=True, slots=True)
class PlotLine:
    """One series: *tone* is its colour's number, *points* are of its line, *area* lies below it.

    *dots* are its values, each with its place and what is said of it.
    """

    label: str
    tone: int
    points: str
    area: str
    dots: tuple[tuple[float, float, str], ...]


@dataclass(frozen=True, slots=True)
class LinePlot:
    """A plot as its template draws it, *said* in words for those who do not see it."""

    lines: tuple[PlotLine, ...]
    rows: tuple[tuple[float, str], ...]
    columns: tuple[tuple[float, str], ...]
    said: str
    width: int = WIDE
    height: int = _HEIGHT
    left: int = _LEFT

    @property
    def right(self) -> int:
        """Where lines end."""
        return self.width - _RIGHT


def line_plot(
    series: Mapping[str, Sequence[float | None]],
    labels: Sequence[str],
    *,
    dotted: bool = False,
    width: int = WIDE,
) -> LinePlot | None:
    """Return the plot of *series*, at most four, over *labels*; None where there is no value.

    A gap (None) is passed over. *dotted* marks each value; one that is alone is marked anyhow.
    *width* is about that of its place in CSS pixels, for its text to be of the size of others.
    """
    chosen = dict(list(series.items())[:_MOST_LINES])
    values = [each for line in chosen.values() for each in line if each is not None]
    if not values:
        return None
    low, high = min(0.0, *values), max(values)
    step = _step(high - low or 1.0)
    low, high = math.floor(low / step) * step, math.ceil(high / step) * step or step
    room, height = width - _LEFT - _RIGHT, _HEIGHT - _BOTTOM - _TOP

    def across(place: int) -> float:
        return round(_LEFT + room * (place / max(len(labels) - 1, 1)), 1)

    def down(value: float) -> float:
        return round(_TOP + height * (1 - (value - low) / (high - low)), 1)

    lines: list[PlotLine] = []
    for tone, (label, line) in enumerate(chosen.items(), 1):
        places = [(across(at), down(each)) for at, each in enumerate(line) if each is not None]
        points = " ".join(f"{x},{y}" for x, y in places)
        ends = f"{places[0][0]},{down(low)} {points} {places[-1][0]},{down(low)}" if places else ""
        said = [
            f"{labels[at]}: {label} {_short(each)}"
            for at, each in enumerate(line)
            if each is not None
        ]
        dots = tuple((x, y, text) for (x, y), text in zip(places, said, strict=True))
        marked = dotted or len(places) == 1  # a line through one point is none
        lines.append(PlotLine(label, tone, points, ends, dots if marked else ()))
    count = round((high - low) / step)
    rows = tuple((down(low + step * n), _short(low + step * n)) for n in range(count + 1))
    every = max(1, math.ceil(len(labels) * _LABEL_ROOM / room))
    columns = tuple((across(at), labels[at]) for at in range(0, len(labels), every))
    said_of_all = "; ".join(
        f"{label}: last {_short(last)}, highest {_short(top)}"
        for label, line in chosen.items()
        if (known := [each for each in line if each is not None])
        for last, top in [(known[-1], max(known))]
    )
    return LinePlot(tuple(lines), rows, columns, said_of_all, width)


def _step(span: float) -> float:
    """Return a round distance between two rows of which some three cover *span*."""
    rough = span / 3
    power = 10.0 ** math.floor(math.log10(rough))
    return next(power * each for each in (1, 2, 2.5, 5, 10) if power * each >= rough)


def _short(value: float) -> str:
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(value) >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.3g}"
