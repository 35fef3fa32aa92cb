"""Reads the summary that an analysis leaves: what was found, as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 - pydantic asks

from pydantic import TypeAdapter, ValidationError

from holdfast.errors import IntegrityError
from holdfast.media.video_info import VideoInfo  # noqa: TC001 - pydantic asks
from holdfast.media.vision.detector import (
    Analysis,
    Disturbance,
    IntervalCount,
    Line,
    LineCount,
    Stretch,
    Track,
)


@dataclass(frozen=True)
class _Summary:
    """An Analysis, with annotations that can be looked up at run time."""

    video: VideoInfo
    frames: int
    detections: int
    tracks: tuple[Track, ...]
    stretches: tuple[Stretch, ...]
    per_second: tuple[int, ...]
    line: Line
    forward: int
    backward: int
    disturbances: tuple[Disturbance, ...] = ()
    lines: tuple[LineCount, ...] = ()
    regions: tuple[str, ...] = ()
    intervals: tuple[IntervalCount, ...] = ()
    start: datetime | None = None


def read_summary(content: bytes, name: str) -> Analysis:
    """Return the analysis that `summary.json` of the video *name* holds.

    Raises IntegrityError when it is damaged.
    """
    try:
        return Analysis(**vars(TypeAdapter(_Summary).validate_json(content)))
    except ValidationError as error:
        raise IntegrityError(f"the summary of {name!r} is damaged: {error}") from error
