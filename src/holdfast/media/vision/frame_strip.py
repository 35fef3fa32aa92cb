"""The frame strip: small pictures at even times, in one, from which a page shows any moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from holdfast.media.vision.detector import FrameStrip
from holdfast.media.vision.images import jpeg

if TYPE_CHECKING:
    from pathlib import Path

    from holdfast.media.vision.frames import Frame
    from holdfast.media.vision.images import Pixels

MOST = 120  # pictures of a strip
COLUMNS = 10
_LARGEST = 160  # pixels of a picture's longer side
_CLOSEST = 1.0  # seconds between two pictures at the least


class StripMaker:
    """Takes the frames of a video of any length, and keeps at most 120 small ones at even times.

    When there are more, every second one goes and the time between them doubles.
    """

    def __init__(self) -> None:
        self._interval = _CLOSEST
        self._pictures: list[Pixels] = []

    def look(self, frame: Frame) -> None:
        """Take the next frame; it is kept when it is the first at or after the next even time."""
        if frame.time < len(self._pictures) * self._interval - 1e-6:
            return
        picture = frame.picture
        scale = min(1.0, _LARGEST / max(picture.width, picture.height))
        width, height = (max(2, round(side * scale)) for side in (picture.width, picture.height))
        small = picture.reformat(width=width, height=height, format="bgr24")
        pixels = np.asarray(small.to_ndarray(), np.uint8)
        # After a gap in the video the last picture stands for the time without any.
        while frame.time >= len(self._pictures) * self._interval - 1e-6:
            self._pictures.append(pixels)
            if len(self._pictures) > MOST:
                self._pictures = self._pictures[::2]
                self._interval *= 2

    def write(self, path: Path) -> FrameStrip | None:
        """Write the pictures as one JPEG, row by row; None, and no file, when there are none."""
        if not self._pictures:
            return None
        height, width = self._pictures[0].shape[:2]
        columns = min(COLUMNS, len(self._pictures))
        rows = -(-len(self._pictures) // columns)
        sheet = np.zeros((rows * height, columns * width, 3), np.uint8)
        for number, picture in enumerate(self._pictures):
            top, left = number // columns * height, number % columns * width
            fitted = picture if picture.shape[:2] == (height, width) else cv2.resize(
                picture, (width, height)
            )  # fmt: skip
            sheet[top : top + height, left : left + width] = fitted
        path.write_bytes(jpeg(sheet, quality=75))
        return FrameStrip(
            interval=self._interval,
            pictures=len(self._pictures),
            columns=columns,
            width=width,
            height=height,
        )
