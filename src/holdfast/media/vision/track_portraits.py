"""A picture of each track at its best moment: large, whole, and with nothing before it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from holdfast.media.vision.images import cut_out, jpeg
from holdfast.media.vision.track_log import Moment

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from holdfast.media.vision.detector import Box, Detection
    from holdfast.media.vision.frames import Frame
    from holdfast.media.vision.images import Pixels

MARGIN = 0.35  # of the box's longer side, on each side
LARGEST = 640  # pixels of a portrait's longer side
_BETTER = 1.05  # a new best must be that much better: fewer pictures are cut
_GONE = 5.0  # seconds unseen after which a portrait is written to disk


@dataclass(slots=True, eq=False)
class _Sitting:
    worth: float
    moment: Moment
    seen: float
    picture: Pixels | None


class Portraits:
    """Keeps each track's best picture and writes it to *folder* once the track is gone.

    Held in memory: one small picture for each track in sight, a few numbers for each ever seen.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._sittings: dict[int, _Sitting] = {}
        self._open: set[int] = set()

    def look(self, frame: Frame, detections: Sequence[Detection]) -> None:
        """Take a clean *frame* and what is in it."""
        for detection in detections:
            sitting = self._sittings.get(detection.track)
            worth = _worth(frame, detection, detections)
            if sitting is None or worth > sitting.worth * _BETTER:
                moment = Moment(frame.index, frame.time, detection.box)
                picture = _crop(frame, detection.box)
                sitting = _Sitting(worth, moment, frame.time, picture)
                self._sittings[detection.track] = sitting
                self._open.add(detection.track)
            sitting.seen = frame.time
        for track in [
            track for track in self._open if self._sittings[track].seen < frame.time - _GONE
        ]:
            self._develop(track)

    def finish(self) -> dict[int, Moment]:
        """Write what is left; every track's best moment."""
        for track in sorted(self._open):
            self._develop(track)
        return {track: sitting.moment for track, sitting in self._sittings.items()}

    def _develop(self, track: int) -> None:
        sitting = self._sittings[track]
        self._open.discard(track)
        if sitting.picture is not None:
            (self._folder / f"track-{track}.jpg").write_bytes(jpeg(sitting.picture))
            sitting.picture = None


def _worth(frame: Frame, detection: Detection, others: Sequence[Detection]) -> float:
    box = detection.box
    worth = math.sqrt(box.area) * (0.4 + detection.score)
    right, bottom = box.x + box.width, box.y + box.height
    whole = 2 <= box.x <= right <= frame.picture.width - 2
    if not (whole and 2 <= box.y <= bottom <= frame.picture.height - 2):
        worth *= 0.5
    if any(
        other.track != detection.track and other.box.overlap(box) > 0.05 * box.area
        for other in others
    ):
        worth *= 0.6
    return worth


def _crop(frame: Frame, box: Box) -> Pixels:
    margin = MARGIN * max(box.width, box.height)
    wide, tall = frame.picture.width, frame.picture.height
    left, top = max(0, int(box.x - margin)), max(0, int(box.y - margin))
    right = min(wide, math.ceil(box.x + box.width + margin))
    bottom = min(tall, math.ceil(box.y + box.height + margin))
    left, top = min(left, wide - 2), min(top, tall - 2)
    picture = cut_out(frame.picture, left, top, max(right, left + 2), max(bottom, top + 2))
    longer = max(picture.shape[:2])
    if longer > LARGEST:
        scale = LARGEST / longer
        smaller = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        return np.asarray(smaller, np.uint8)
    return picture
