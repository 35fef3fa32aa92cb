"""The decoded frames of a video, one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from holdfast.errors import MediaError
from holdfast.media.video_file import MAX_PIXELS, NO_FRAME, VideoFile, decoded
from holdfast.media.vision.images import Pixels, planes, upright

if TYPE_CHECKING:
    from collections.abc import Generator

    from av.video.frame import VideoFrame

MAX_GAP = 30.0  # seconds between two frames beyond which the clock is taken to have jumped


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

    MediaError when not one frame decodes or a picture is beyond reason.
    """
    with source.container() as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        period = 1.0 / float(stream.average_rate or stream.guessed_rate or 25)
        clock = _Clock(period)
        size: tuple[int, int] | None = None
        for index, picture in enumerate(decoded(container)):
            if picture.width * picture.height > MAX_PIXELS:
                raise MediaError(
                    source.path,
                    f"a frame of {picture.width}x{picture.height} pixels; "
                    f"at most {MAX_PIXELS} pixels are accepted",
                )
            turned = upright(picture, size)
            size = size or (turned.width, turned.height)
            yield Frame(index, clock.read(picture), turned)
    if size is None:
        raise MediaError(source.path, NO_FRAME)


class _Clock:
    """Seconds from the first frame; a missing, backward or leaping stamp counts as one period."""

    def __init__(self, period: float) -> None:
        self._period = period
        self._origin: float | None = None
        self._last = 0.0

    def read(self, picture: VideoFrame) -> float:
        if picture.pts is None or picture.time_base is None:
            stamp = None
        else:
            stamp = float(picture.pts * picture.time_base)
        if self._origin is None:
            self._origin = stamp or 0.0
            return 0.0
        expected = self._last + self._period
        moment = expected if stamp is None else stamp - self._origin
        if not self._last < moment <= self._last + MAX_GAP:
            if stamp is not None:
                self._origin = stamp - expected
            moment = expected
        self._last = moment
        return moment
