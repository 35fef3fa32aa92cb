"""Writes video that every browser plays: H.264, yuv420p, MP4 with its index in front."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

import av

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from av.video.frame import VideoFrame

    from holdfast.media.video_info import VideoInfo
    from holdfast.media.vision.frames import Frame

_FILLED = 1.0  # seconds of a gap that are filled at the constant rate
_SPARSE = 10.0  # seconds between the frames that fill the rest of it
SLOWEST, FASTEST = Fraction(1), Fraction(120)
_X264 = {"preset": "ultrafast", "crf": "29", "threads": "1", "profile": "baseline"}


def steady_rate(rate: Fraction) -> Fraction:
    """*rate* as a constant frame rate that players accept."""
    return min(max(rate.limit_denominator(1001), SLOWEST), FASTEST)


class VideoWriter:
    """Encodes frames at a constant rate, so that the video lasts as long as its source.

    Where the source leaves slots empty its last frame is repeated, in each slot for a second and
    then every ten seconds; where it crowds them frames are left out; a source of constant rate
    goes through frame by frame. A context manager: leaving it finishes the file, also on an
    exception, when what was written is only fit to be deleted.
    """

    def __init__(self, path: Path, video: VideoInfo) -> None:
        self._rate = steady_rate(video.frame_rate)
        # An absolute path can't be taken for a protocol.
        self._container = av.open(
            str(path.absolute()), "w", format="mp4", options={"movflags": "faststart"}
        )
        self._stream = self._container.add_stream("libx264", rate=self._rate)
        self._stream.pix_fmt = "yuv420p"
        self._stream.options = dict(_X264)
        self._stream.codec_context.time_base = 1 / self._rate
        self._opened = False
        self._next = 0
        self._count = 0
        self._last: Frame | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None and self._opened:
                self._container.mux(self._stream.encode())
        finally:
            self._container.close()

    @property
    def frames(self) -> int:
        """How many were written."""
        return self._count

    def write(self, frame: Frame) -> None:
        """Encode *frame*, whose pictures must all be of one size."""
        if not self._opened:
            self._open(frame.picture)
        slot = frame.time * float(self._rate)
        filled = self._next + _FILLED * float(self._rate)
        while self._last is not None and self._next <= slot - 1:
            self._encode(self._last)
            if self._next > filled:
                sparse = self._next + int(_SPARSE * float(self._rate))
                self._next = min(sparse, math.floor(slot))
        if self._last is None or self._next < slot + 1:
            self._encode(frame)
        self._last = frame

    def _open(self, picture: VideoFrame) -> None:
        """Take size and colours from the first picture; without these tags a player guesses."""
        self._stream.width, self._stream.height = picture.width, picture.height
        context = self._stream.codec_context
        context.colorspace = picture.colorspace
        context.color_range = picture.color_range
        context.color_primaries = picture.color_primaries
        context.color_trc = picture.color_trc
        self._opened = True

    def _encode(self, frame: Frame) -> None:
        picture = frame.picture
        picture.pts = self._next
        picture.time_base = 1 / self._rate
        picture.pict_type = 0  # the source's choice of key frames is not ours
        self._container.mux(self._stream.encode(picture))
        self._next += 1
        self._count += 1
