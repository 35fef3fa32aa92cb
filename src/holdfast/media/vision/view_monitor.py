"""Tells when the picture as a whole changes, so that no movement in it can be told apart."""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from holdfast.media.vision.detector import Cause, Disturbance

if TYPE_CHECKING:
    from holdfast.media.vision.images import Pixels

GRID = (16, 9)  # cells across and down
_WINDOW = 0.4  # seconds over which cells are compared
_OFTEN = 0.03  # seconds between two looks
_STEP = 2.0  # grey levels by which a cell's mean must change to count
_BEGIN, _END = 0.5, 0.3  # share of the cells that change
_CROWDED = 0.6  # share of the cells in which something new is seen
_SETTLE = 0.6  # seconds of rest after which a disturbance is over
_JOIN = 1.5  # seconds between two disturbances that are told as one
_ONE_WAY = 0.85  # share of the changed cells that grow darker, or lighter, when the light changes
_SHIFT = 0.4  # pixels of the small picture over the window
_SURE = 0.05  # response of the phase correlation from which a shift is believed

_Grey = NDArray[np.float32]


class _Look(NamedTuple):
    time: float
    picture: Pixels
    cells: _Grey


class ViewMonitor:
    """Watches small pictures of one video, in order. Memory is a second of them.

    The mean brightness of each cell of a grid is compared with what it was a moment ago. Things
    that move change few cells; a camera that turns, a fade, a lamp change most of them.
    """

    def __init__(self) -> None:
        self._looks: deque[_Look] = deque()
        self._since: float | None = None  # when the disturbance at hand began
        self._changed = 0.0  # when it was last seen
        self._causes: Counter[Cause] = Counter()
        self._told: Disturbance | None = None  # that may still be joined with the next

    def look(self, luma: Pixels, time: float, crowded: float) -> bool:
        """Take the next small picture and return whether the picture as a whole changes.

        It does until some moments after the last change. *crowded* is the share of the grid's
        cells in which something new was seen before.
        """
        if self._looks and time < self._looks[-1].time + _OFTEN:
            return self._since is not None
        cells = _cells(luma)
        while len(self._looks) > 1 and self._looks[1].time <= time - _WINDOW:
            self._looks.popleft()
        was = self._looks[0] if self._looks else None
        now = _Look(time, luma, cells)
        self._looks.append(now)
        if was is None:
            return False
        moved = np.abs(cells - was.cells) > _STEP
        share = float(moved.mean())
        if share > (_BEGIN if self._since is None else _END) or crowded > _CROWDED:
            if self._since is None:
                self._since = was.time
            self._changed = time
            self._causes[_cause(was, now, moved)] += 1
        elif self._since is not None and time - self._changed > _SETTLE:
            self._close(self._since)
        return self._since is not None

    def take(self, time: float) -> list[Disturbance]:
        """Return the disturbance that is over at *time*, once no other can be joined with it."""
        told = self._told
        if told is None or self._since is not None or time - told.end_time < _JOIN:
            return []
        self._told = None
        return [told]

    def finish(self) -> list[Disturbance]:
        """Return what is left; nothing more comes."""
        if self._since is not None:
            self._close(self._since)
        told, self._told = self._told, None
        return [] if told is None else [told]

    def _close(self, since: float) -> None:
        now = Disturbance(since, self._changed, self._causes.most_common(1)[0][0])
        self._causes.clear()
        before = self._told
        if before is not None:  # it is one with that
            longer = now.end_time - now.start_time > before.end_time - before.start_time
            cause = now.cause if longer else before.cause
            now = Disturbance(before.start_time, now.end_time, cause)
        self._told = now
        self._since = None


def _cells(luma: Pixels) -> _Grey:
    """Return the mean of each cell; a rest of rows or columns is left out, which is far faster."""
    rows, columns = luma.shape
    if rows >= GRID[1] and columns >= GRID[0]:
        luma = luma[: rows - rows % GRID[1], : columns - columns % GRID[0]]
    return np.asarray(cv2.resize(luma, GRID, interpolation=cv2.INTER_AREA), np.float32)


def _cause(was: _Look, now: _Look, moved: NDArray[np.bool_]) -> Cause:
    """Return what most likely changed the cells that *moved*."""
    change = (now.cells - was.cells)[moved]
    if change.size:
        brighter = int((change > 0).sum())
        if max(brighter, change.size - brighter) >= _ONE_WAY * change.size:
            return "light"
    (across, down), response = cv2.phaseCorrelate(
        np.asarray(was.picture, np.float32), np.asarray(now.picture, np.float32)
    )
    if response > _SURE and max(abs(across), abs(down)) > _SHIFT:
        return "camera"
    return "picture"
