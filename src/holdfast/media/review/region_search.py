"""Region search: when something was inside a polygon, from stored detections, without decoding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from holdfast.errors import InvalidValueError
from holdfast.media.analysis_options import Area

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from holdfast.media.geometry import Point
    from holdfast.media.review.columns import Floats, Integers
    from holdfast.media.review.result_table import ResultTable

MOST_CORNERS = 64
MOST_MOMENTS = 1000
ROWS_A_SEARCH = 3_000_000  # detections that one request looks through, under a second of CPU
JOINED = 1.0  # seconds without anything inside over which a moment goes on
_COLUMNS = ("time", "track", "label", "x", "y", "width", "height")


@dataclass(frozen=True, slots=True)
class RegionQuestion:
    """What is looked for: the middle of a box inside the polygon through *points*, in pixels.

    Only things of the class *label*, when given, from *since* to *until* seconds. Raises
    InvalidValueError for fewer than 3 or more than 64 points, and for those that enclose nothing.
    """

    points: tuple[Point, ...]
    label: str | None = None
    since: float = 0.0
    until: float = float("inf")

    def __post_init__(self) -> None:
        if len(self.points) > MOST_CORNERS:
            raise InvalidValueError(
                "RegionQuestion", "points", f"{len(self.points)}; expected 3 to {MOST_CORNERS}"
            )
        Area("region", self.points).check("points")
        if not self.since < self.until:
            raise InvalidValueError(
                "RegionQuestion", "until", f"{self.since} to {self.until} s is no time"
            )


class RegionMoment(NamedTuple):
    """A time in which something was inside, in seconds: how many *tracks*, the *first* of them."""

    start: float
    end: float
    tracks: int
    first: int
    detections: int


@dataclass(frozen=True, slots=True)
class RegionAnswer:
    """The *moments* before *searched* seconds; *complete* when that is all that was asked for."""

    moments: list[RegionMoment]
    searched: float
    complete: bool


async def search_region(
    table: ResultTable,
    question: RegionQuestion,
    *,
    most: int = MOST_MOMENTS,
    rows: int = ROWS_A_SEARCH,
    longest: int = ROWS_A_SEARCH,
) -> RegionAnswer:
    """Return the first moments: at most *most*, of what looking through *rows* detections shows.

    Ask on from `searched` as long as the answer is not complete; no moment is told twice or cut
    in two, but for one that goes on through more than *longest* detections: that comes in pieces,
    each of which begins at the time at which the one before it ends.
    """
    search = _Search(question)
    found: list[RegionMoment] = []
    async for time, moments in search.steps(table, rows):
        found += moments
        if len(found) > most:
            return RegionAnswer(found[:most], found[most].start, complete=False)
        if search.rows >= rows:
            if search.open is None:
                return RegionAnswer(found, time, complete=False)
            if search.open.start > question.since:
                return RegionAnswer(found, search.open.start, complete=False)
            if search.rows >= longest and time > question.since:
                return RegionAnswer([*found, search.open.closed()], time, complete=False)
            # one moment so long: it is looked through further
    if search.open is not None:
        found.append(search.open.closed())
    if len(found) > most:
        return RegionAnswer(found[:most], found[most].start, complete=False)
    return RegionAnswer(found, question.until, complete=True)


@dataclass(slots=True, eq=False)
class _OpenMoment:
    """A moment that may go on."""

    start: float
    end: float
    first: int
    tracks: set[int]
    detections: int

    def closed(self) -> RegionMoment:
        return RegionMoment(self.start, self.end, len(self.tracks), self.first, self.detections)


class _Search:
    """Looks through batches in their order and joins what is inside to moments."""

    def __init__(self, question: RegionQuestion) -> None:
        self._question = question
        self.open: _OpenMoment | None = None
        self.rows = 0
        self._labels: list[str] = []

    async def steps(
        self, table: ResultTable, rows: int | None = None
    ) -> AsyncGenerator[tuple[float, list[RegionMoment]], None]:
        """Yield up to when was searched, and the moments that have ended by then.

        After each *rows* detections at the latest, or one row group.
        """
        from holdfast.media.review.columns import floats  # noqa: PLC0415 - the extra `media`

        asked = self._question
        async for batch in table.batches(_COLUMNS, since=asked.since, until=asked.until, rows=rows):
            self.rows += batch.num_rows
            times = floats(batch, "time")
            inside = self._inside(batch, times)
            yield float(times[-1]), self._joined(*inside)

    def _inside(self, batch: object, times: Floats) -> tuple[Floats, Integers]:
        """Return times and tracks of the detections in *batch* that were asked for."""
        from holdfast.media.review.columns import (  # noqa: PLC0415 - the extra `media`
            floats,
            integers,
            label_numbers,
        )

        asked = self._question
        across = [point.x for point in asked.points]
        down = [point.y for point in asked.points]
        x = floats(batch, "x") + floats(batch, "width") / 2
        y = floats(batch, "y") + floats(batch, "height") / 2
        near = (x >= min(across)) & (x <= max(across)) & (y >= min(down)) & (y <= max(down))
        near &= (times >= asked.since) & (times < asked.until)
        if asked.label is not None:
            numbers = label_numbers(batch, self._labels)
            if asked.label not in self._labels:
                return times[:0], integers(batch, "track")[:0]
            near &= numbers == self._labels.index(asked.label)
        (places,) = near.nonzero()
        places = places[_inside_polygon(asked.points, x[places], y[places])]
        return times[places], integers(batch, "track")[places]

    def _joined(self, times: Floats, tracks: Integers) -> list[RegionMoment]:
        """Add what is inside to the open moment; return the moments that have ended."""
        import numpy as np  # noqa: PLC0415 - the extra `media`

        ended: list[RegionMoment] = []
        if not len(times):
            return ended
        breaks = (np.flatnonzero(np.diff(times) > JOINED) + 1).tolist()
        for begin, end in zip([0, *breaks], [*breaks, len(times)], strict=True):
            start, last = float(times[begin]), float(times[end - 1])
            if self.open is not None and start - self.open.end > JOINED:
                ended.append(self.open.closed())
                self.open = None
            if self.open is None:
                self.open = _OpenMoment(start, last, int(tracks[begin]), set(), 0)
            self.open.end = last
            self.open.tracks.update(np.unique(tracks[begin:end]).tolist())
            self.open.detections += end - begin
        return ended


def _inside_polygon(points: Sequence[Point], x: Floats, y: Floats) -> Integers:
    """Return the places of the points inside, by how often a ray to the right meets an edge."""
    import numpy as np  # noqa: PLC0415 - the extra `media`

    inside = np.zeros(len(x), np.bool_)
    for here, there in zip(points, (*points[1:], points[0]), strict=True):
        if here.y == there.y:
            continue
        between = (here.y > y) != (there.y > y)
        meets = (there.x - here.x) * (y - here.y) / (there.y - here.y) + here.x
        inside ^= between & (x < meets)
    return np.flatnonzero(inside)
