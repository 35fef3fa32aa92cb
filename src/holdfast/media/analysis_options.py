"""What a user asks of the analysis of one video: areas, lines to count over, times, sensitivity."""

from __future__ import annotations

import json
import math
import tomllib
from dataclasses import dataclass, fields
from datetime import datetime  # noqa: TC003 - msgspec resolves it
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import msgspec

from holdfast.errors import InvalidValueError
from holdfast.media.geometry import Line, Point
from holdfast.time_text import read_datetime

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from holdfast.media.entities import Video
    from holdfast.media.video_info import VideoInfo

Sensitivity = Literal["low", "normal", "high"]
LONGEST_NAME = 60
MOST_INTERVALS = 20_000
_LEAST_INTERVAL = 1.0
_OURS = "AnalysisOptions"
_PARTS = 64  # regions, masks or lines of one video


@dataclass(frozen=True, slots=True)
class Area:
    """A part of the picture under a *name*: inside the polygon through *points*, in pixels."""

    name: str
    points: tuple[Point, ...]

    def check(self, kind: str) -> None:
        """Raise InvalidValueError, for the field *kind*, unless it is an area."""
        _check_area(kind, self)


@dataclass(frozen=True, slots=True)
class CountingLine:
    """A line under a *name*, from *start* to *end* in pixels, over which crossings are counted.

    Crossing it from the left hand of somebody who walks from start to end to the right hand is
    forward; the other way is backward.
    """

    name: str
    start: Point
    end: Point

    @property
    def line(self) -> Line:
        """The line without its name."""
        return Line(self.start, self.end)


@dataclass(frozen=True, slots=True)
class AnalysisOptions:
    """How one video is to be analysed.

    Only what moves inside one of *regions* is looked for, by default in the whole picture, and
    nothing inside *masks*. Crossings are counted over each of *lines*, by default over the upright
    through the middle. Counts are given for each *interval* of seconds. *start* is the aware time
    at which the video begins. Sensitivity "high" finds smaller and fainter things, "low" only
    large and clear ones. *sound* keeps the video's sound in what is shown.
    """

    regions: tuple[Area, ...] = ()
    masks: tuple[Area, ...] = ()
    lines: tuple[CountingLine, ...] = ()
    interval: float = 60.0
    start: datetime | None = None
    sensitivity: Sensitivity = "normal"
    sound: bool = True

    # What pydantic reads where the HTTP API takes options: an unknown name is refused there too.
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        for kind in ("regions", "masks", "lines"):
            _check_names(kind, [each.name for each in getattr(self, kind)])
        for kind in ("regions", "masks"):
            for area in getattr(self, kind):
                area.check(kind)
        for line in self.lines:
            if not all(map(math.isfinite, (*line.start, *line.end))) or line.start == line.end:
                raise InvalidValueError(
                    _OURS, f"lines[{line.name}]", "expected two different points"
                )
        if not _LEAST_INTERVAL <= self.interval < math.inf:
            raise InvalidValueError(
                _OURS, "interval", f"is {self.interval}; expected {_LEAST_INTERVAL:.0f} s or more"
            )
        if self.start is not None and self.start.utcoffset() is None:
            raise InvalidValueError(
                _OURS, "start", f"{self.start.isoformat()} has no zone; write 2026-01-01T10:00Z"
            )
        if self.sensitivity not in ("low", "normal", "high"):
            raise InvalidValueError(
                _OURS, "sensitivity", f"is {self.sensitivity!r}; expected low, normal or high"
            )

    def check_video(self, video: VideoInfo | Video) -> None:
        """Raise InvalidValueError when what is asked does not fit *video*.

        That is a line or an area outside the picture, or more intervals than can be shown.
        """
        width, height = video.width, video.height
        rows = video.duration / self.interval
        if rows > MOST_INTERVALS:
            raise InvalidValueError(
                _OURS,
                "interval",
                f"{self.interval} s makes {rows:.0f} rows; expected at most {MOST_INTERVALS}",
            )
        parts = [(kind, area.name, area.points) for kind in ("regions", "masks")
                 for area in getattr(self, kind)]  # fmt: skip
        parts += [("lines", line.name, (line.start, line.end)) for line in self.lines]
        for kind, name, points in parts:
            across, down = [point.x for point in points], [point.y for point in points]
            if min(across) >= width or max(across) <= 0 or min(down) >= height or max(down) <= 0:
                raise InvalidValueError(
                    _OURS, f"{kind}[{name}]",
                    f"lies outside the picture of {width}x{height} pixels",
                )  # fmt: skip


def counting_line(name: str, line: Line) -> CountingLine:
    """Return *line* under a *name*."""
    return CountingLine(name, line.start, line.end)


def options_from(content: Mapping[str, object]) -> AnalysisOptions:
    """Return the options that *content*, as from JSON or TOML, says. Raises InvalidValueError."""
    known = [each.name for each in fields(AnalysisOptions)]
    unknown = sorted(content.keys() - known)
    if unknown:
        raise InvalidValueError(_OURS, ", ".join(unknown), f"unknown; known are {', '.join(known)}")
    start = content.get("start")
    if isinstance(start, str):
        content = {**content, "start": moment(start)}
    try:
        return msgspec.convert(content, AnalysisOptions)
    except msgspec.ValidationError as error:
        said, _, where = str(error).partition(" - at ")
        raise InvalidValueError(_OURS, where.strip("`$.") or "content", said) from None


def moment(text: str) -> datetime:
    """Return the time that *text* says, such as 2026-01-01T10:00Z. Raises InvalidValueError."""
    try:
        return read_datetime(text)
    except ValueError:
        raise InvalidValueError(
            _OURS, "start", f"is {text!r}; expected a time such as 2026-01-01T10:00Z"
        ) from None


def read_options(path: str | os.PathLike[str]) -> AnalysisOptions:
    """Return the options in the file *path*, JSON by its name, else TOML.

    Raises InvalidValueError for a file that can't be read or says what can't be.
    """
    file = Path(path)
    try:
        text = file.read_text("utf-8")
        content = json.loads(text) if file.suffix == ".json" else tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise InvalidValueError(_OURS, str(file), f"can't be read: {error}") from error
    if not isinstance(content, dict):
        raise InvalidValueError(_OURS, str(file), "expected an object with the options by name")
    return options_from(content)


def options_json(options: AnalysisOptions) -> dict[str, object]:
    """Return *options* as JSON holds them; `options_from` reads them again."""
    plain = json.loads(msgspec.json.encode(options))
    if not isinstance(plain, dict):
        raise TypeError(f"{type(plain).__name__} is no object")
    return plain


def _check_names(kind: str, names: Sequence[str]) -> None:
    if len(names) > _PARTS:
        raise InvalidValueError(_OURS, kind, f"{len(names)} of them; expected at most {_PARTS}")
    for name in names:
        # The names stand at the head of a table that spreadsheets open.
        if not (name.isprintable() and name[:1].isalnum() and len(name) <= LONGEST_NAME):
            raise InvalidValueError(
                _OURS, kind,
                f"the name {name!r}; expected up to {LONGEST_NAME} printable characters, "
                "a letter or digit first",
            )  # fmt: skip
        if names.count(name) > 1:
            raise InvalidValueError(_OURS, kind, f"the name {name!r} is given twice")


def _check_area(kind: str, area: Area) -> None:
    points = area.points
    if not 3 <= len(points) <= 1000:
        raise InvalidValueError(
            _OURS, f"{kind}[{area.name}]", f"{len(points)} points; expected 3 to 1000"
        )
    if not all(math.isfinite(value) for point in points for value in point):
        raise InvalidValueError(_OURS, f"{kind}[{area.name}]", "expected numbers of pixels")
    turned = zip(points, (*points[1:], points[0]), strict=True)
    if abs(sum(a.x * b.y - b.x * a.y for a, b in turned)) < 2:
        raise InvalidValueError(_OURS, f"{kind}[{area.name}]", "its points enclose nothing")
