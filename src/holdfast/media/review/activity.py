"""What a timeline is drawn from: what is seen by class, in a bounded number of steps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

from holdfast.errors import InvalidValueError
from holdfast.media.object_keys import ACTIVITY, result_key
from holdfast.media.review.result_table import TimeColumns
from holdfast.media.review.stored_detections import check_times

if TYPE_CHECKING:
    from uuid import UUID

    from holdfast.media.review.result_table import ResultTable, ResultTables

MOST_STEPS = 2000
_TIMES = TimeColumns("second", "second")


@dataclass(frozen=True, slots=True)
class LabelActivity:
    """Of one class, for each step: the most *tracks* of any second, and all *detections*."""

    label: str
    tracks: list[int]
    detections: list[int]


@dataclass(frozen=True, slots=True)
class Activity:
    """What is seen from *since* seconds on, in steps of *step* whole seconds, by class."""

    since: int
    step: int
    steps: int
    labels: list[LabelActivity]


async def open_activity(tables: ResultTables, video: UUID) -> ResultTable:
    """Return what is seen in each second of *video*. Raises NotFoundError while there is none."""
    return await tables.open(result_key(video, PurePath(ACTIVITY)), _TIMES)


async def activity_between(
    table: ResultTable, since: float, until: float, *, most: int = 600
) -> Activity:
    """Return what is seen from *since* to *until* seconds, in at most *most* steps of one length.

    Memory is a row group and the answer, however long the time. Raises InvalidValueError for
    times that don't follow one another, and for fewer than 1 or more than 2000 steps.
    """
    import numpy as np  # noqa: PLC0415 - the extra `media`

    from holdfast.media.review.columns import integers, label_numbers  # noqa: PLC0415 - the same

    check_times(since, until)
    if not 1 <= most <= MOST_STEPS:
        raise InvalidValueError("activity", "most", f"is {most}; expected 1 to {MOST_STEPS}")
    first, last = math.floor(since), math.ceil(until)
    step = math.ceil((last - first) / most)
    steps = math.ceil((last - first) / step)
    labels: list[str] = []
    tracks: list[np.ndarray[tuple[int], np.dtype[np.int64]]] = []
    detections: list[np.ndarray[tuple[int], np.dtype[np.int64]]] = []
    columns = ("second", "label", "tracks", "detections")
    async for batch in table.batches(columns, since=first, until=last - 1):
        places = (integers(batch, "second") - first) // step
        inside = (places >= 0) & (places < steps)
        numbers = label_numbers(batch, labels)
        while len(tracks) < len(labels):
            tracks.append(np.zeros(steps, np.int64))
            detections.append(np.zeros(steps, np.int64))
        for number in range(len(labels)):
            rows = inside & (numbers == number)
            np.maximum.at(tracks[number], places[rows], integers(batch, "tracks")[rows])
            np.add.at(detections[number], places[rows], integers(batch, "detections")[rows])
    found = [
        LabelActivity(label, tracks[number].tolist(), detections[number].tolist())
        for number, label in enumerate(labels)
        if detections[number].any()
    ]
    return Activity(first, step, steps, sorted(found, key=lambda each: each.label))
