"""Detections of a range of time, from the stored results."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

from holdfast.errors import InvalidValueError
from holdfast.media.object_keys import DETECTIONS, result_key
from holdfast.media.review.result_table import TimeColumns

if TYPE_CHECKING:
    from uuid import UUID

    from holdfast.media.review.result_table import ResultTable, ResultTables

MOST_ROWS = 20_000
_COLUMNS = ("frame", "time", "track", "label", "score", "x", "y", "width", "height")
_DIGITS = {"score": 3, "x": 1, "y": 1, "width": 1, "height": 1}
_TIMES = TimeColumns("time", "time")


@dataclass(frozen=True, slots=True)
class DetectionColumns:
    """Detections from *since* up to, without, *until* seconds, column by column, by frame.

    *label* has places in *labels*; boxes are in pixels. *until* is earlier than was asked when
    that would be too many: ask on from there.
    """

    since: float
    until: float
    labels: list[str]
    frame: list[int]
    time: list[float]
    track: list[int]
    label: list[int]
    score: list[float]
    x: list[float]
    y: list[float]
    width: list[float]
    height: list[float]


async def open_detections(tables: ResultTables, video: UUID) -> ResultTable:
    """Return the detections of *video*. Raises NotFoundError while there are none."""
    return await tables.open(result_key(video, PurePath(DETECTIONS)), _TIMES)


async def detections_between(
    table: ResultTable, since: float, until: float, *, most: int = MOST_ROWS
) -> DetectionColumns:
    """Return the detections from *since* up to, without, *until* seconds; about *most* of them.

    They end between two frames; one frame is always whole. Memory is a row group and the answer.
    Raises InvalidValueError for times that don't follow one another.
    """
    check_times(since, until)
    found = DetectionColumns(since, until, [], [], [], [], [], [], [], [], [], [])
    async for batch in table.batches(_COLUMNS, since=since, until=until, rows=most):
        _append(found, batch)
        end = _end(found.time, most)
        if end is not None:
            return _cut(found, end)
    return found


def check_times(since: float, until: float) -> None:
    """Raise InvalidValueError unless *until* comes after *since*."""
    if not (math.isfinite(since) and math.isfinite(until) and since < until):
        raise InvalidValueError("detections", "until", f"{since} to {until} s is no time")


def _append(found: DetectionColumns, batch: object) -> None:
    """Add the rows of *batch* that are of its time."""
    import numpy as np  # noqa: PLC0415 - the extra `media`

    from holdfast.media.review.columns import (  # noqa: PLC0415 - the same
        floats,
        integers,
        label_numbers,
    )

    times = floats(batch, "time")
    first, last = np.searchsorted(times, (found.since, found.until))
    part = slice(int(first), int(last))
    for name in ("frame", "track"):
        getattr(found, name).extend(integers(batch, name)[part].tolist())
    found.time.extend(times[part].tolist())
    found.label.extend(label_numbers(batch, found.labels)[part].tolist())
    for name, digits in _DIGITS.items():
        getattr(found, name).extend(np.round(floats(batch, name)[part], digits).tolist())


def _end(times: list[float], most: int) -> float | None:
    """Return the time before which *most* rows lie, or those of the first frame; None if all do."""
    if len(times) <= most:
        return None
    if times[most] > times[0]:
        return times[most]
    following = bisect_right(times, times[0])
    return times[following] if following < len(times) else None


def _cut(found: DetectionColumns, end: float) -> DetectionColumns:
    """Return what of *found* is before *end*."""
    kept = bisect_left(found.time, end)
    columns = {name: getattr(found, name)[:kept] for name in _COLUMNS}
    return DetectionColumns(found.since, end, found.labels, **columns)
