"""The decoded frames of a video, one after the other."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from fractions import Fraction
from itertools import count
from typing import TYPE_CHECKING

import numpy as np

from holdfast.errors import MediaError
from holdfast.media.frame_clock import FrameClock
from holdfast.media.video_file import (
    NO_FRAME,
    VideoFile,
    check_size,
    decoded,
    film_of,
    frame_rate,
    pixel_aspect,
)
from holdfast.media.vision.images import Pixels, planes, upright
from holdfast.media.vision.picture_filters import PictureFilters

if TYPE_CHECKING:
    from collections.abc import Generator

    from av.video.frame import VideoFrame


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture of a video: upright, yuv420p, of even size.

    *index* counts decoded frames from 0; *time* is in seconds from the video's start and never
    runs backwards.
    """

    index: int
    time: float
    picture: VideoFrame

    def luma(self) -> Pixels:
        """Brightness as rows and columns: a view of the picture, not to be written to."""
        return planes(self.picture)[0]

    def colour(self) -> Pixels:
        """A copy of the picture as rows, columns and blue, green, red."""
        return np.asarray(self.picture.to_ndarray(format="bgr24"), np.uint8)


def frames(source: VideoFile) -> Generator[Frame, None, None]:
    """Yield every frame that decodes, in order of display. Packets that don't are passed over.

    Interlaced pictures are joined from their fields, high dynamic range is brought to BT.709.

    MediaError when not one frame decodes or a picture is beyond reason.
    """
    with source.container() as container:
        stream = film_of(container)
        stream.thread_type = "AUTO"
        clock: FrameClock | None = None
        filters, times, index = PictureFilters(), deque[float](), count()
        aspect = Fraction(1)
        size: tuple[int, int] | None = None
        for picture in decoded(container, stream):
            check_size(source.path, picture.width, picture.height)
            if clock is None:  # a stream without a container states its rate with the first frame
                clock = FrameClock(float(1 / frame_rate(container, stream)))
                aspect = pixel_aspect(stream)
            times.append(clock.read(picture))
            for ready in filters.take(picture):
                turned = upright(ready, size, aspect)
                size = size or (turned.width, turned.height)
                yield Frame(next(index), times.popleft(), turned)
        for ready in filters.flush():
            yield Frame(next(index), times.popleft(), upright(ready, size, aspect))
    if size is None:
        raise MediaError(source.path, NO_FRAME)
