"""What a detector is shown: frames in which all but the regions, and the masks, are one grey."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from av.video.frame import VideoFrame

from holdfast.media.vision.frames import Frame
from holdfast.media.vision.images import planes, tag_colours

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from holdfast.media.analysis_options import AnalysisOptions, Area

_GREY = 128


class AreaMask:
    """The visible part of pictures of *width* by *height* pixels, after *options*."""

    def __init__(self, options: AnalysisOptions, width: int, height: int) -> None:
        seen = np.full((height, width), 0 if options.regions else 1, np.uint8)
        _fill(seen, options.regions, 1)
        _fill(seen, options.masks, 0)
        self._luma = seen.astype(np.bool_)
        self._colour = self._luma[::2, ::2]

    def shown(self, frame: Frame) -> Frame:
        """Return *frame* with a copy of its picture in which what is not to be seen is grey."""
        parts = [
            np.where(seen, plane, np.uint8(_GREY)).reshape(-1)
            for plane, seen in zip(
                planes(frame.picture), (self._luma, self._colour, self._colour), strict=True
            )
        ]
        rows = frame.picture.height * 3 // 2
        joined = np.concatenate(parts).reshape(rows, frame.picture.width)
        picture = VideoFrame.from_ndarray(joined, format="yuv420p")
        tag_colours(picture, frame.picture)
        return Frame(frame.index, frame.time, picture)


def area_mask(options: AnalysisOptions, width: int, height: int) -> AreaMask | None:
    """Return the mask that *options* ask for; None when all of the picture is looked at."""
    if not options.regions and not options.masks:
        return None
    return AreaMask(options, width & ~1, height & ~1)


def _fill(seen: NDArray[np.uint8], areas: Sequence[Area], value: int) -> None:
    for area in areas:
        corners = np.clip(np.array(area.points), -1e5, 1e5).round().astype(np.int32)
        cv2.fillPoly(seen, [corners], value)
