"""Tracks from the stored results: page by page, by class, direction, speed, crossing and time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

from holdfast.errors import InvalidValueError
from holdfast.media.object_keys import TRACKS, result_key
from holdfast.media.review.result_table import TimeColumns

if TYPE_CHECKING:
    from uuid import UUID

    import pyarrow as pa

    from holdfast.media.review.result_table import ResultTable, ResultTables

MOST_TRACKS = 500
_TIMES = TimeColumns("first_time", "last_time")
_COLUMNS = (
    "id", "label", "first_frame", "last_frame", "first_time", "last_time", "detections",
    "best_frame", "best_time", "direction", "mean_speed", "mean_score", "crossed",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class TrackFilter:
    """Which tracks: all that is given has to fit.

    *crossed* is "forward" or "backward" over the first line; speeds are in pixels a second; in
    sight at any moment from *since* to *until* seconds.
    """

    label: str | None = None
    direction: str | None = None
    crossed: str | None = None
    least_speed: float | None = None
    most_speed: float | None = None
    since: float = float("-inf")
    until: float = float("inf")


@dataclass(frozen=True, slots=True)
class StoredTrack:
    """One thing from its first frame to its last, as `holdfast.media.vision.Track` says."""

    id: int
    label: str
    first_frame: int
    last_frame: int
    first_time: float
    last_time: float
    detections: int
    best_frame: int
    best_time: float
    direction: str
    mean_speed: float
    mean_score: float
    crossed: str | None


@dataclass(frozen=True, slots=True)
class TrackPage:
    """Tracks in the order of their numbers; *next* is the number after which the rest follow."""

    items: list[StoredTrack]
    next: int | None


async def open_tracks(tables: ResultTables, video: UUID) -> ResultTable:
    """Return the tracks of *video*. Raises NotFoundError while there are none."""
    return await tables.open(result_key(video, PurePath(TRACKS)), _TIMES)


async def tracks_page(
    table: ResultTable, asked: TrackFilter, *, after: int | None = None, most: int = 50
) -> TrackPage:
    """Return the first *most* tracks that fit, of those with a number above *after*.

    Memory is a row group and the answer. Raises InvalidValueError for *most* beyond 1 to 500.
    """
    if not 1 <= most <= MOST_TRACKS:
        raise InvalidValueError("tracks", "most", f"is {most}; expected 1 to {MOST_TRACKS}")
    found: list[StoredTrack] = []
    async for batch in table.batches(_COLUMNS, since=asked.since, until=asked.until):
        fitting = _fitting(batch, asked, after).slice(0, most + 1 - len(found))
        found += [StoredTrack(**row) for row in fitting.to_pylist()]
        if len(found) > most:
            return TrackPage(found[:most], found[most - 1].id)
    return TrackPage(found, None)


def _fitting(batch: pa.Table, asked: TrackFilter, after: int | None) -> pa.Table:
    import pyarrow.compute as pc  # noqa: PLC0415 - the extra `media`

    rules: list[tuple[str, str, object]] = [
        ("greater", "id", after),
        ("equal", "label", asked.label),
        ("equal", "direction", asked.direction),
        ("equal", "crossed", asked.crossed),
        ("greater_equal", "mean_speed", asked.least_speed),
        ("less_equal", "mean_speed", asked.most_speed),
        ("greater_equal", "last_time", asked.since),
        ("less_equal", "first_time", asked.until),
    ]
    for rule, column, value in rules:
        if value is None or (isinstance(value, float) and math.isinf(value)):
            continue
        batch = batch.filter(getattr(pc, rule)(batch.column(column), value))
    return batch
