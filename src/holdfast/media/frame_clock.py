"""The times of decoded frames, from stamps that may be missing, doubled or out of order."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

MAX_GAP = 30.0  # seconds between two frames beyond which the stamps are taken to have jumped
MAX_STEP_BACK = 1.0  # seconds; a stamp that is further back is a jump too
_STUCK = 12  # frames in a row without an advance, after which the stamps are taken to be stuck
_NEXT = 1e-6  # seconds that a frame whose stamp does not advance comes after the one before


class FrameClock:
    """Gives each frame its seconds from the first one; they rise strictly.

    Stamps are chosen as FFmpeg's own players do ("best effort"): those of presentation as long as
    they were out of order no more often than those of decoding, else those of decoding, as in an
    AVI with B-frames. A stamp that is a little out of order moves nothing but its own frame, so
    that jitter does not add up; one that jumps moves the origin, by as much as makes the frame
    follow the one before after one *period*, in seconds. So does a missing one.
    """

    def __init__(self, period: float) -> None:
        self._period = period
        self._presentation = _Faults()
        self._decoding = _Faults()
        self._origin: float | None = None
        self._last = 0.0
        self._stuck = 0

    def read(self, picture: VideoFrame) -> float:
        """Return the time of *picture*, the next frame as it was decoded."""
        stamp = self._stamp(picture)
        if self._origin is None:
            self._origin = stamp or 0.0
            return 0.0
        expected = self._last + self._period
        moment = expected if stamp is None else stamp - self._origin
        step = moment - self._last
        if 0 < step <= MAX_GAP:
            self._stuck = 0
        elif -MAX_STEP_BACK <= step <= 0 and self._stuck < _STUCK:
            self._stuck += 1
            moment = self._last + _NEXT
        else:  # a jump, or stuck: then until the stamps advance again
            if stamp is not None:
                self._origin = stamp - expected
            moment = expected
        self._last = moment
        return moment

    def _stamp(self, picture: VideoFrame) -> float | None:
        """Return the better stamp of *picture* in seconds; None when it has none."""
        pts, dts = picture.pts, picture.dts
        if picture.time_base is None:
            return None
        self._presentation.see(pts if pts is not None else dts, counts=pts is not None)
        self._decoding.see(dts if dts is not None else pts, counts=dts is not None)
        trusted = dts is None or self._presentation.count <= self._decoding.count
        chosen = pts if trusted and pts is not None else dts
        return None if chosen is None else float(chosen * picture.time_base)


class _Faults:
    """Counts stamps of one kind that did not rise."""

    def __init__(self) -> None:
        self.count = 0
        self._last: int | None = None

    def see(self, stamp: int | None, *, counts: bool) -> None:
        if stamp is None:
            return
        if counts and self._last is not None and stamp <= self._last:
            self.count += 1
        self._last = stamp
