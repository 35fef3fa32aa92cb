"""Options of the commands that ask for an analysis: where to look, what to count, since when."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from holdfast.errors import InvalidValueError
    from holdfast.media.analysis_options import AnalysisOptions, Area, CountingLine, Sensitivity
    from holdfast.media.geometry import Point

Lines = Annotated[
    list[str] | None,
    typer.Option(
        "--line", metavar="NAME=X,Y X,Y",
        help="Count what crosses this line, in pixels; again for more.",
    ),
]  # fmt: skip
Regions = Annotated[
    list[str] | None,
    typer.Option("--region", metavar="NAME=X,Y X,Y X,Y ...", help="Look only inside; also again."),
]
Masks = Annotated[
    list[str] | None,
    typer.Option("--mask", metavar="NAME=X,Y X,Y X,Y ...", help="Don't look inside; also again."),
]
Interval = Annotated[
    float | None, typer.Option(metavar="SECONDS", help="Count for each so many. [default: 60]")
]
Start = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="When the video begins, such as 2026-01-01T10:00Z."),
]
HowSensitive = Annotated[
    str | None, typer.Option("--sensitivity", metavar="LEVEL", help="low, normal or high.")
]
Areas = Annotated[
    Path | None,
    typer.Option(
        "--options", metavar="FILE", help="All of these from a TOML or JSON file.", readable=False
    ),
]


def analysis_options(
    file: Path | None,
    shapes: tuple[list[str] | None, list[str] | None, list[str] | None],
    interval: float | None,
    start: str | None,
    sensitivity: str | None,
) -> AnalysisOptions:
    """Return what a command line asks, over what *file* says; *shapes* are lines, regions, masks.

    Raises InvalidValueError.
    """
    from holdfast.media.analysis_options import AnalysisOptions, moment, read_options

    asked = AnalysisOptions() if file is None else read_options(file)
    lines, regions, masks = shapes
    if lines:
        asked = replace(asked, lines=tuple(map(_line, lines)))
    if regions:
        asked = replace(asked, regions=tuple(_area("regions", each) for each in regions))
    if masks:
        asked = replace(asked, masks=tuple(_area("masks", each) for each in masks))
    if interval is not None:
        asked = replace(asked, interval=interval)
    if start is not None:
        asked = replace(asked, start=moment(start))
    if sensitivity is not None:
        asked = replace(asked, sensitivity=_sensitivity(sensitivity))
    return asked


def _sensitivity(text: str) -> Sensitivity:
    match text:
        case "low" | "normal" | "high":
            return text
        case _:
            raise _refused("sensitivity", f"is {text!r}; expected low, normal or high")


def _line(text: str) -> CountingLine:
    from holdfast.media.analysis_options import CountingLine

    name, points = _named_points("lines", text)
    if len(points) != 2:
        raise _refused(f"lines[{name}]", f"{len(points)} points; expected two")
    return CountingLine(name, *points)


def _area(kind: str, text: str) -> Area:
    from holdfast.media.analysis_options import Area

    return Area(*_named_points(kind, text))


def _named_points(kind: str, text: str) -> tuple[str, tuple[Point, ...]]:
    from holdfast.media.geometry import Point

    name, _, rest = text.partition("=")
    try:
        pairs = [pair.split(",") for pair in rest.split()]
        return name, tuple(Point(float(x), float(y)) for x, y in pairs)
    except ValueError:
        raise _refused(kind, f"{text!r}; expected NAME=X,Y X,Y ... in pixels") from None


def _refused(field: str, reason: str) -> InvalidValueError:
    from holdfast.errors import InvalidValueError

    return InvalidValueError("AnalysisOptions", field, reason)
