"""The outputs of YOLO-style networks as boxes: every head from v5 to v11, with or without NMS.

What a head is follows from its shape, for a network with *classes* classes and *anchors* places:

    (anchors, 5 + classes)   v5 to v7: centre, size, objectness, a score for each class
    (4 + classes, anchors)   v8, v9, v11: centre, size, a score for each class
    (found, 6)               v10, and any exported with NMS: corners, score, class
    (found, 7)               v7 exported with NMS: number in the batch, corners, class, score
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from holdfast.errors import ModelFileError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Numbers = NDArray[np.float32]

_STRIDES = (8, 16, 32)
MOST = 300
"""Boxes of one picture, the best ones."""
_CANDIDATES = 3_000  # before NMS


class Boxes(NamedTuple):
    """Boxes of one picture: *corners* (left, top, right, bottom), a score and a class for each."""

    corners: Numbers
    scores: Numbers
    classes: NDArray[np.int64]


class YoloHead:
    """Reads the outputs of one network, whose input is *size* (width, height) pixels."""

    def __init__(self, shown: str, classes: int, size: tuple[int, int]) -> None:
        """*shown* is what errors call the network; *classes* is 0 when nobody knows how many."""
        self._shown = shown
        self._classes = classes
        self._cells = sum((size[0] // stride) * (size[1] // stride) for stride in _STRIDES)

    def read(
        self, outputs: Sequence[NDArray[np.generic]], count: int, least: float, overlap: float
    ) -> list[Boxes]:
        """Return the boxes of each of *count* pictures that score *least*, without doubles.

        Of boxes of one class that overlap by more than *overlap* (their common area by their joint
        one) the best stays. Raises ModelFileError for outputs of any other shape.
        """
        first: Numbers = np.asarray(outputs[0] if outputs else [], np.float32)
        if first.ndim == 2 and first.shape[1] == 7:
            return [_by_number(first, number, least) for number in range(count)]
        if len(outputs) == 4 and np.ndim(outputs[1]) == 3:
            return [_in_four(outputs, number, least) for number in range(count)]
        if first.ndim != 3 or first.shape[0] != count:
            raise self._unknown(outputs)
        return [self._one(picture, outputs, least, overlap) for picture in first]

    def _one(
        self,
        rows: Numbers,
        outputs: Sequence[NDArray[np.generic]],
        least: float,
        overlap: float,
    ) -> Boxes:
        high, wide = rows.shape
        if wide == 6 and not (self._classes == 1 and high == 3 * self._cells):
            chosen = rows[rows[:, 4] >= least]
            return _best(chosen[:, :4], chosen[:, 4], chosen[:, 5].astype(np.int64))
        known = self._classes
        if (known and high == 4 + known) or (not known and 4 < high < wide):
            return _suppressed(rows[:4].T, rows[4:].T, least, overlap)
        if wide == 5 + known or (not known and 5 < wide < high):
            return _suppressed(rows[:, :4], rows[:, 5:] * rows[:, 4:5], least, overlap)
        if known and wide == 4 + known:
            return _suppressed(rows[:, :4], rows[:, 4:], least, overlap)
        raise self._unknown(outputs)

    def _unknown(self, outputs: Sequence[NDArray[np.generic]]) -> ModelFileError:
        shapes = ", ".join(str(np.shape(each)) for each in outputs[:8])
        return ModelFileError(
            self._shown,
            f"its outputs {shapes} are those of no detector that is known, with "
            f"{self._classes or 'an unknown number of'} classes",
        )


def _suppressed(centred: Numbers, scored: Numbers, least: float, overlap: float) -> Boxes:
    """Return the boxes of *centred* (middle and size), best of their class and place."""
    classes = scored.argmax(1)
    scores = scored[np.arange(len(scored)), classes]
    chosen = np.flatnonzero(scores >= least)
    if len(chosen) > _CANDIDATES:
        chosen = chosen[np.argsort(-scores[chosen], kind="stable")[:_CANDIDATES]]
    centred, scores, classes = centred[chosen], scores[chosen], classes[chosen]
    half = centred[:, 2:] / 2
    corners = np.concatenate([centred[:, :2] - half, centred[:, :2] + half], 1)
    if not len(corners):
        return _best(corners, scores, classes)
    placed = np.concatenate([corners[:, :2], centred[:, 2:]], 1)
    kept = np.asarray(
        cv2.dnn.NMSBoxesBatched(placed.tolist(), scores.tolist(), classes.tolist(), least, overlap),
        np.int64,
    ).reshape(-1)
    return _best(corners[kept], scores[kept], classes[kept])


def _by_number(rows: Numbers, number: int, least: float) -> Boxes:
    own = rows[(rows[:, 0] == number) & (rows[:, 6] >= least)]
    return _best(own[:, 1:5], own[:, 6], own[:, 5].astype(np.int64))


def _in_four(outputs: Sequence[NDArray[np.generic]], number: int, least: float) -> Boxes:
    """Return the boxes of outputs that count them first: how many, corners, scores, classes."""
    count = int(np.asarray(outputs[0], np.int64).reshape(-1)[number])
    corners = np.asarray(outputs[1], np.float32)[number, :count]
    scores = np.asarray(outputs[2], np.float32)[number, :count]
    classes = np.asarray(outputs[3], np.float32)[number, :count].astype(np.int64)
    good = scores >= least
    return _best(corners[good], scores[good], classes[good])


def _best(
    corners: NDArray[np.floating], scores: NDArray[np.floating], classes: NDArray[np.int64]
) -> Boxes:
    finite = np.isfinite(corners).all(1) & np.isfinite(scores)
    classes = classes[finite]
    corners, scores = (np.asarray(each[finite], np.float32) for each in (corners, scores))
    order = np.argsort(-scores, kind="stable")[:MOST]
    return Boxes(corners[order], scores[order], classes[order])
