"""A video file opened safely, and read as it was when it was opened.

FFmpeg is handed an open file and never a name, so a name that looks like a protocol or an option
means nothing to it. It may use demuxers of self-contained files only and may open nothing else:
a playlist, a session description or a file that points elsewhere is refused.
"""

from __future__ import annotations

import os
import stat
import struct
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import av
import av.error
from av.stream import Disposition

from holdfast.errors import MediaError
from holdfast.media.decoding_limits import MAX_PIXELS, MAX_STREAMS
from holdfast.media.sample_counts import too_many_samples

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Self

    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

DEMUXERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,m4v,h264,hevc,av1,obu,ivf,"
    "flv,ogg,asf,mxf,nut,dv,rm,wtv,gif,mjpeg,yuv4mpegpipe,"
    "wav,mp3,flac,aac,aiff,caf"  # opened so that a sound file can be called one
)
NO_FRAME = "not one frame of it decodes: it is empty of pictures, cut short or damaged"
SINGLE_PICTURE = "it is a single picture; expected a video"
_WIDEST_PIXEL = 8
FASTEST = 1000  # frames a second; what states more states its clock
_RAW = frozenset(("h264", "hevc", "m4v", "mpegvideo", "obu", "av1", "mjpeg"))  # no container
READ_AHEAD = 1 << 18
# A title that can't be decoded must not keep a video out; PyAV 19 and later agree by themselves.
_TOLERANT: dict[str, Any] = (
    {} if int(av.__version__.partition(".")[0]) >= 19 else {"metadata_errors": "replace"}
)


class VideoFile:
    """An open video file. Its size is fixed at opening: bytes added later are not seen.

    A context manager; the file is closed on leaving, whatever happens inside.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Open *path*. MediaError when it is missing, empty, no file or may not be read."""
        self.path = os.fspath(path)
        flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
        try:
            descriptor = os.open(self.path, flags)  # non-blocking: a pipe must not hang us
        except FileNotFoundError:
            raise MediaError(self.path, "there is no such file") from None
        except (OSError, ValueError) as error:  # ValueError: a NUL in the name
            raise MediaError(self.path, f"it can't be opened: {error}") from error
        self._descriptor: int | None = descriptor
        self._state = os.fstat(descriptor)
        if not stat.S_ISREG(self._state.st_mode):
            self.close()
            raise MediaError(self.path, "it is not a file; expected a video file")
        if self._state.st_size == 0:
            self.close()
            raise MediaError(self.path, "the file is empty (0 bytes)")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. Idempotent."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    @property
    def size(self) -> int:
        """Bytes at opening."""
        return self._state.st_size

    def check_unchanged(self) -> None:
        """Raise MediaError when the file grew, shrank, was replaced or went since it was opened."""
        try:
            now = Path(self.path).stat()
        except OSError:
            raise MediaError(self.path, "the file vanished while it was being read") from None
        was = self._state
        if (now.st_ino, now.st_dev) != (was.st_ino, was.st_dev):
            raise MediaError(self.path, "the file was replaced while it was being read")
        if (now.st_size, now.st_mtime_ns) != (was.st_size, was.st_mtime_ns):
            raise MediaError(
                self.path,
                f"the file changed while it was being read ({was.st_size} bytes then, "
                f"{now.st_size} now); wait until it is written to its end",
            )

    @contextmanager
    def container(self) -> Iterator[InputContainer]:
        """Demux the file from its first byte. MediaError when it is not a video container."""
        excess = too_many_samples(self._opened(), self.size)
        if excess is not None:
            raise MediaError(
                self.path,
                f"its index states {excess} samples or more, which {self.size} bytes can't hold",
            )
        head = self._head()
        if _is_picture(head):  # some of which a demuxer takes for a video of one frame
            raise MediaError(self.path, SINGLE_PICTURE)
        if head.startswith(b"GIF8"):  # whose reader says the size with the first frame only
            check_size(self.path, *struct.unpack("<HH", head[6:10].ljust(4, b"\0")))
        window = _Window(self._opened(), self.size)
        try:
            container = av.open(
                window,
                "r",
                options={"max_pixels": str(MAX_PIXELS)},  # decoders refuse more, unallocated
                container_options={
                    "format_whitelist": DEMUXERS,
                    "protocol_whitelist": "none",
                    "max_streams": str(MAX_STREAMS),
                },
                **_TOLERANT,
                buffer_size=READ_AHEAD,
                io_open=_refuse,
            )
        except av.error.MemoryError:
            raise
        except (av.error.FFmpegError, _ElsewhereError, ValueError) as error:
            raise MediaError(self.path, self._why_unreadable()) from error
        with container:
            if not _films(container):
                raise MediaError(
                    self.path, f"{_held(container)}; expected a file with a video stream"
                )
            context = film_of(container).codec_context
            check_size(self.path, context.width, context.height)  # before a frame is decoded
            yield container

    def _head(self) -> bytes:
        return os.pread(self._opened(), 512, 0).lstrip(b"\xef\xbb\xbf \r\n\t")

    def _opened(self) -> int:
        if self._descriptor is None:
            raise ValueError(f"{self.path!r} is closed")
        return self._descriptor

    def _why_unreadable(self) -> str:
        head = self._head()
        if _is_picture(head) or head.startswith(b"\0\0\1\0"):  # an icon, or else raw MPEG-4
            return SINGLE_PICTURE
        if head.startswith(b"%PDF"):
            return "it is a document; expected a video"
        if head.startswith((b"#EXTM3U", b"ffconcat", b"<?xml", b"<MPD", b"v=0", b"<smil")):
            return "it is a playlist or a description that points elsewhere; give the video itself"
        if b"ftyp" in head[:16]:
            return (
                "it begins like an MP4 but can't be read: it was cut short before its index, "
                "or is still being written; copy it again"
            )
        return "it is not a video that can be read, or its beginning is damaged"


def film_of(container: InputContainer) -> VideoStream:
    """Return the stream that a player would show: the default one, else the first.

    Pictures that are attached to a file, such as the cover of a song or a film, are not films.
    """
    films = _films(container)
    return next((each for each in films if each.disposition & Disposition.default), films[0])


def frame_rate(container: InputContainer, stream: VideoStream) -> Fraction:
    """Return the frames a second that *stream* states; 25 where it states none that can be.

    A stream without a container has the rate that its codec states, and no average.
    """
    rates = [stream.average_rate, stream.guessed_rate, stream.base_rate]
    if container.format.name in _RAW:
        rates.insert(0, stream.codec_context.framerate)
    for rate in rates:
        if rate and 0 < rate <= FASTEST:
            return Fraction(rate.numerator, rate.denominator)
    return Fraction(25)


def _films(container: InputContainer) -> list[VideoStream]:
    attached = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
    return [
        each
        for each in container.streams.video
        if each.codec_context is not None and not each.disposition & attached
    ]


def _held(container: InputContainer) -> str:
    if any(each.codec_context is None for each in container.streams.video):
        return "its pictures are coded in a way that no decoder here knows"
    if container.streams.audio:
        return "it holds sound only" + (" and its cover" if container.streams.video else "")
    return "it holds single pictures only" if container.streams.video else "it holds no pictures"


def check_size(path: str, width: int, height: int) -> None:
    """Raise MediaError for pictures that are too large to be decoded and worked on."""
    if width * height > MAX_PIXELS:
        raise MediaError(
            path, f"frames of {width}x{height} pixels; at most {MAX_PIXELS} pixels are accepted"
        )


def decoded(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """Yield the frames of *stream* as they come; what does not decode is passed over."""
    stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except av.error.FFmpegError:
            return  # the demuxer can't go on; how far it came is checked against the promise
        try:
            pictures = packet.decode()
        except av.error.MemoryError:
            raise
        except av.error.FFmpegError:
            continue
        yield from pictures


def quarter_turns(picture: VideoFrame) -> int:
    """Degrees counter-clockwise by which *picture* is to be turned: 0, 90, 180 or 270."""
    return round(picture.rotation / 90) * 90 % 360


def pixel_aspect(stream: VideoStream) -> Fraction:
    """Return the width of a shown pixel of *stream* to its height; 1 where it states nonsense.

    Asked once a picture is decoded: where the container does not state it, the pictures do, and
    FFmpeg's first look at a file with sound may end before one of them.
    """
    aspect = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio
    if not aspect or not Fraction(1, _WIDEST_PIXEL) <= aspect <= _WIDEST_PIXEL:
        return Fraction(1)
    return Fraction(aspect.numerator, aspect.denominator)


def shown_size(picture: VideoFrame, aspect: Fraction) -> tuple[int, int]:
    """Return width and height as displayed: pixels made square, then turned."""
    width, height = round(picture.width * aspect), picture.height
    return (height, width) if quarter_turns(picture) in (90, 270) else (width, height)


def _is_picture(head: bytes) -> bool:
    """Tell a file of one picture, by its first bytes."""
    if head[:4] == b"RIFF":
        return head[8:12] == b"WEBP"
    if head[4:8] == b"ftyp":
        return head[8:12] in _PICTURE_BRANDS
    return head.startswith(_PICTURES) or (head.startswith(b"<?xml") and b"<svg" in head)


_PICTURE_BRANDS = (b"avif", b"heic", b"heix", b"heim", b"heis", b"mif1")
_PICTURES = (
    b"\x89PNG", b"\xff\xd8\xff", b"BM", b"II*\0", b"MM\0*", b"\xff\x0a", b"\0\0\0\x0cJXL ",
    b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51", b"8BPS", b"#?RADIANCE", b"\x76\x2f\x31\x01",
    b"P1\n", b"P2\n", b"P3\n", b"P4\n", b"P5\n", b"P6\n", b"<svg", b"DDS ", b"qoif",
)  # fmt: skip


class _ElsewhereError(Exception):
    """FFmpeg asked for another file."""


def _refuse(url: str, _flags: int, _options: dict[str, str]) -> NoReturn:
    raise _ElsewhereError(url)


class _Window:
    """The first *size* bytes of a file, as FFmpeg reads them: nameless and never growing."""

    name = ""

    def __init__(self, descriptor: int, size: int) -> None:
        self._descriptor = descriptor
        self._size = size
        self._at = 0

    def read(self, count: int) -> bytes:
        data = os.pread(self._descriptor, max(0, min(count, self._size - self._at)), self._at)
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(0, origin + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True
