"""What a video file is, without decoding more of it than must be."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import av
import av.error

from holdfast.errors import MediaError
from holdfast.media.decoding_limits import MAX_DURATION, MAX_FRAMES, SPARSEST
from holdfast.media.video_file import (
    FASTEST,
    NO_FRAME,
    SINGLE_PICTURE,
    VideoFile,
    check_size,
    decoded,
    film_of,
    frame_rate,
    pixel_aspect,
    quarter_turns,
    shown_size,
)
from holdfast.media.video_info import VideoInfo

if TYPE_CHECKING:
    import os

    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

THUMBNAIL_WIDTH = 480
_LEEWAY = 0.75  # seconds by which a file may be shorter than it states
_THUMBNAIL_TRIES = 12
_THUMBNAIL_PIXELS = 300_000_000  # that are decoded to find one


def probe(path: str | os.PathLike[str]) -> VideoInfo:
    """Describe the video at *path*.

    MediaError when the file is missing, empty, no video, without pictures, cut short (it ends
    before the length that it states), changing or gone; the reason says which.
    """
    with VideoFile(path) as source:
        info = describe(source)
        source.check_unchanged()
        return info


def describe(source: VideoFile) -> VideoInfo:
    """Describe an open *source*; as `probe`, without the look for changes."""
    with source.container() as container:
        stream = film_of(container)
        stream.codec_context.thread_count = 1  # for one frame
        shown = decoded(container, stream)
        first = next(shown, None)
        rate = frame_rate(container, stream)
        if first is None:
            raise MediaError(source.path, NO_FRAME)
        if container.format.name == "gif" and next(shown, None) is None:
            raise MediaError(source.path, SINGLE_PICTURE)
        width, height = shown_size(first, pixel_aspect(stream))
        check_size(source.path, width, height)
        stated = _stated_duration(container, stream, rate)
        end = _last_moment(container)
        origin = max(0.0, (container.start_time or 0) / av.time_base)
        if origin and end is not None and stated - origin - _LEEWAY <= end < stated:
            stated = max(end, stated - origin)  # what is stated is when it ends, not how long it is
        if stated and end is not None and end < stated - max(_LEEWAY, stated * 0.02):
            raise MediaError(
                source.path,
                f"the file is cut short: it states {stated:.1f} s and ends after {end:.1f} s; "
                "copy it again, or re-mux it to keep what is there",
            )
        own = _own_duration(stream)
        if own * FASTEST < stream.frames:  # its unit of time can't be meant
            own = float(stream.frames / rate)
        duration = own or stated or end or float(1 / rate)
        frames = stream.frames or max(1, round(duration * rate))
        _check_length(source, duration, frames, stated=stream.frames)
        return VideoInfo(
            duration=duration,
            frame_rate=rate,
            width=width,
            height=height,
            frames=frames,
            codec=stream.codec_context.name,
            container=container.format.name,
            pixel_format=first.format.name,
            has_audio=bool(container.streams.audio),
            bytes=source.size,
        )


def thumbnail(path: str | os.PathLike[str], *, width: int = THUMBNAIL_WIDTH) -> bytes:
    """A JPEG *width* pixels wide of a telling frame: the liveliest of a dozen from the first half.

    MediaError when the file is missing, empty, no video, changing, or not one frame decodes.
    """
    if width < 2:
        raise ValueError(f"a thumbnail of {width} pixels; expected at least 2")
    with VideoFile(path) as source:
        best: VideoFrame | None = None
        aspect, liveliest = Fraction(1), -1.0
        with source.container() as container:
            stream = film_of(container)
            stream.codec_context.thread_count = 1  # a few frames are not worth more memory
            stride = max(1, round(frame_rate(container, stream) / 2))
            for index, frame in enumerate(decoded(container, stream)):
                if not index:  # as `probe`: later pictures may state another
                    aspect = pixel_aspect(stream)
                if index % min(stride, _every(frame)):
                    continue
                life = _liveliness(frame)
                if life > liveliest * 1.2:
                    liveliest, best = life, frame
                seen = index * frame.width * frame.height
                if index >= stride * _THUMBNAIL_TRIES or seen > _THUMBNAIL_PIXELS:
                    break
        source.check_unchanged()
        if best is None:
            raise MediaError(source.path, NO_FRAME)
    if quarter_turns(best):
        from holdfast.media.vision.images import upright  # noqa: PLC0415 - needs OpenCV, is rare

        best, aspect = upright(best, None, aspect), Fraction(1)
    return _jpeg(best, width, aspect)


def _every(frame: VideoFrame) -> int:
    """Return the stride at which frames as large as *frame* are tried within the budget."""
    return max(1, _THUMBNAIL_PIXELS // (_THUMBNAIL_TRIES * frame.width * frame.height))


def _liveliness(frame: VideoFrame) -> float:
    """Return the variance of the frame's brightness, looked at from far away."""
    plane = frame.reformat(width=64, height=36, format="gray").planes[0]
    rows = bytes(plane)
    seen = [
        value
        for row in range(plane.height)
        for value in rows[row * plane.line_size : row * plane.line_size + plane.width]
    ]
    mean = sum(seen) / len(seen)
    return sum(value * value for value in seen) / len(seen) - mean * mean


def _jpeg(frame: VideoFrame, width: int, aspect: Fraction) -> bytes:
    """Return *frame* as a JPEG of this *width*, both sides made even, its pixels square."""
    height = max(2, round(frame.height * width / (frame.width * aspect) / 2) * 2)
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width & ~1, height, "yuvj420p"
    encoder.time_base = Fraction(1, 25)
    encoder.options = {"qmin": "3", "qmax": "3"}
    small = frame.reformat(width=width & ~1, height=height, format="yuvj420p")
    small.pts = 0
    packets = [*encoder.encode(small), *encoder.encode(None)]
    return b"".join(bytes(packet) for packet in packets)


def _check_length(source: VideoFile, duration: float, frames: int, *, stated: int) -> None:
    """Refuse a length that can't be, or that would take forever to be shown."""
    if stated > source.size:
        raise MediaError(
            source.path, f"it states {stated} frames, more than its {source.size} bytes can hold"
        )
    if duration > MAX_DURATION or frames > MAX_FRAMES:
        raise MediaError(
            source.path,
            f"it states {duration:.0f} s in {frames} frames; at most {MAX_DURATION:.0f} s and "
            f"{MAX_FRAMES} frames are accepted",
        )
    if duration > SPARSEST * (frames + 1):
        raise MediaError(
            source.path,
            f"it states {duration:.0f} s for {frames} frames; expected a frame an hour at least",
        )


def _own_duration(stream: VideoStream) -> float:
    if stream.duration is None or stream.time_base is None:
        return 0.0
    return max(0.0, float(stream.duration * stream.time_base))


def _stated_duration(container: InputContainer, stream: VideoStream, rate: Fraction) -> float:
    whole = (container.duration or 0) / av.time_base
    # An AVI cut short keeps its frame count in the header while its duration is guessed again.
    counted = float(stream.frames / rate) if "avi" in container.format.name else 0.0
    return max(whole, counted, 0.0)


def _last_moment(container: InputContainer) -> float | None:
    """Seconds from the start to the end of the last packet, None where nothing can be sought."""
    end: float | None = None
    origin = container.start_time or 0
    try:
        container.seek((container.duration or 0) + origin, backward=True)
        for packet in container.demux():
            if packet.size and packet.pts is not None and packet.time_base is not None:
                moment = float((packet.pts + (packet.duration or 0)) * packet.time_base)
                end = max(end or 0.0, moment - origin / av.time_base)
    except av.error.FFmpegError:
        return end
    return end
