"""The HTML of a report, in pieces, with nothing loaded from anywhere."""

from __future__ import annotations

import base64
import hashlib
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from holdfast import formatting
from holdfast.media.report import timeline
from holdfast.media.report.contents import (
    busiest_second,
    clips_of,
    length_of,
    lines_of,
    longest_clips,
    longest_tracks,
    seconds_with_movement,
    telling_moments,
)
from holdfast.media.report.stills import Embedded, data_uri, stills, thumbnail_of
from holdfast.media.vision.detector import WHAT_HAPPENS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jinja2 import Template

    from holdfast.media.report.contents import Report, ReportOptions
    from holdfast.media.vision.detector import Direction, Line, LineCount, Track

_STILLS = 6
_WARNINGS = 20


@dataclass(frozen=True, slots=True)
class Row:
    """A track as the table shows it."""

    track: Track
    picture: str | None
    crossed: Direction | None


@dataclass(frozen=True, slots=True)
class CrossedLine:
    """A line as the page shows it, with the ways that crossing it forward and backward takes."""

    name: str
    ahead: Direction
    back: Direction
    forward: int
    backward: int


@dataclass(frozen=True, slots=True)
class Still:
    """A picture of the video at *time* seconds, as a data URI."""

    time: float
    picture: str


def pieces(report: Report, options: ReportOptions) -> Iterator[str]:
    """The page's text, piece by piece: neither the video nor the page is ever whole in memory."""
    analysis = report.analysis
    length = length_of(analysis)
    clips = clips_of(analysis.stretches, analysis.tracks)
    tracks = longest_tracks(analysis.tracks, options.tracks)
    busiest = busiest_second(analysis.per_second)
    with ExitStack() as stack:
        video: Embedded | None = None
        shown: list[Still] = []
        too_large = 0
        if report.annotated is not None:
            opened = stack.enter_context(Embedded(report.annotated))
            if opened.size <= options.video_bytes:
                video = opened
                times = [0.0 if busiest is None else busiest + 0.5]
            else:
                too_large = opened.size
                times = telling_moments(analysis, _STILLS)
            taken = stills(report.annotated, times)
            shown = [Still(time, data_uri(data)) for time, data in zip(times, taken, strict=True)]
        yield from _template().generate(
            report=report,
            analysis=analysis,
            info=analysis.video,
            length=length,
            tracks=tracks,
            rows=_rows(report, tracks, options.thumbnails),
            pictured=min(options.thumbnails, len(tracks)) if report.frames else 0,
            clips=longest_clips(clips, options.clips),
            busiest=busiest,
            moving=seconds_with_movement(analysis.stretches) / length,
            lines=[_shown(line) for line in lines_of(analysis)],
            disturbances=analysis.disturbances[:_WARNINGS],
            happens=WHAT_HAPPENS,
            intervals=analysis.intervals[: options.intervals],
            lanes=timeline.pack(tracks, length),
            stripes=timeline.stripes(analysis.stretches, length),
            ticks=timeline.time_ticks(length),
            counts=timeline.count_steps(analysis.per_second, length),
            video=video,
            too_large=too_large,
            stills=shown,
            options=options,
            style=_style(),
            script=_script(),
            policy=policy(),
        )


def heading(line: Line, *, forward: bool) -> Direction:
    """The way that a crossing of *line* takes one, by its nearest name."""
    sign = 1 if forward else -1
    across = -(line.end.y - line.start.y) * sign
    down = (line.end.x - line.start.x) * sign
    if abs(across) >= abs(down):
        return "right" if across >= 0 else "left"
    return "down" if down > 0 else "up"


def _shown(line: LineCount) -> CrossedLine:
    return CrossedLine(
        line.name,
        heading(line.line, forward=True),
        heading(line.line, forward=False),
        line.forward,
        line.backward,
    )


def policy() -> str:
    """The content security policy: this page's own style and script, pictures it holds, no more."""
    return "; ".join(
        (
            "default-src 'none'",
            "img-src data:",
            "media-src data:",
            f"style-src '{_digest(_style())}'",
            f"script-src '{_digest(_script())}'",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _rows(report: Report, tracks: list[Track], thumbnails: int) -> Iterator[Row]:
    """The rows as they are needed, so that one thumbnail is in memory at a time."""
    pictured = {track.id for track in longest_tracks(tracks, thumbnails)}
    line = report.analysis.line
    for track in tracks:
        picture: str | None = None
        if report.frames is not None and track.id in pictured:
            picture = _picture(report.frames, track.id)
        crossed = track.crossed and heading(line, forward=track.crossed == "forward")
        yield Row(track, picture, crossed)


def _picture(folder: Path, track: int) -> str | None:
    data = thumbnail_of(folder / f"track-{track}.jpg")
    return None if data is None else data_uri(data)


@cache
def _template() -> Template:
    environment = Environment(
        autoescape=True,
        loader=FunctionLoader(_text),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters.update(
        clock=formatting.clock,
        lasting=formatting.lasting,
        moment=formatting.moment,
        number=formatting.number,
        plain=formatting.plain,
        readable=formatting.readable,
        share=formatting.share,
        since=formatting.since,
        volume=formatting.volume,
    )
    return environment.get_template("page.html")


@cache
def _style() -> Markup:
    return Markup(_text("page.css"))  # noqa: S704 - a file of this package


@cache
def _script() -> Markup:
    return Markup(_text("page.js"))  # noqa: S704 - a file of this package


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _text(name: str) -> str:
    return resources.files("holdfast.media.report").joinpath(name).read_text("utf-8")
