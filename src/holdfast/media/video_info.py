"""What is known of a video, as a value that needs no decoder to be read."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction  # noqa: TC003 - msgspec asks when it reads one


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """A video as displayed.

    *duration* is in seconds; *width* and *height* are pixels once the recorded rotation is
    applied; *frames* is what the container says or else duration times rate; *bytes* is the
    file's size.
    """

    duration: float
    frame_rate: Fraction
    width: int
    height: int
    frames: int
    codec: str
    container: str
    pixel_format: str
    has_audio: bool
    bytes: int
