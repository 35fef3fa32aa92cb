"""Pictures and the video as text that a page can hold."""

from __future__ import annotations

import base64
import math
from contextlib import closing
from typing import TYPE_CHECKING

import av
import av.error
import cv2
import numpy as np

from holdfast.errors import MediaError
from holdfast.media.video_file import film_of
from holdfast.media.vision.images import jpeg

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from typing import Self

    from av.container import InputContainer
    from av.video.frame import VideoFrame

    from holdfast.media.vision.images import Pixels

THUMBNAIL_TALL = 160
STILL_WIDE = 960
_WIDEST = 4  # times as wide as tall: wider ones are cut
_LARGEST = 8 << 20  # bytes of a picture file that are worth reading
_PIECE = 3 << 16  # bytes; threes, so that pieces of base64 join without padding


def data_uri(picture: bytes) -> str:
    """Return the JPEG *picture* as a URI that holds it."""
    return "data:image/jpeg;base64," + base64.b64encode(picture).decode()


def thumbnail_of(path: Path) -> bytes | None:
    """The picture at *path* as a small JPEG; None when there is none that can be read."""
    try:
        if path.stat().st_size > _LARGEST:
            return None
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise MediaError(str(path), f"can't be read: {error}") from error
    if not data:
        return None
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        return None
    return jpeg(_within(np.asarray(picture, np.uint8), THUMBNAIL_TALL * _WIDEST, THUMBNAIL_TALL))


def stills(video: Path, times: Sequence[float], *, wide: int = STILL_WIDE) -> list[bytes]:
    """The frames of *video* at *times*, as JPEG at most *wide* pixels wide.

    A time past the end gives the last frame. MediaError when *video* can't be read.
    """
    try:
        # An absolute path can't be taken for a protocol.
        with closing(av.open(str(video.absolute()))) as container:
            found: list[bytes] = []
            for time in times:
                frame = _frame_at(container, time)
                if frame is None:
                    raise MediaError(str(video), "holds no frame; expected the annotated video")
                picture = np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)
                found.append(jpeg(_within(picture, wide, wide)))
            return found
    except (av.error.FFmpegError, IndexError) as error:
        raise MediaError(str(video), f"can't be read as the annotated video: {error}") from error


class Embedded:
    """A file as a stream of base64, never whole in memory. A context manager."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = path.open("rb")
            self.size = self._file.seek(0, 2)
        except OSError as error:
            raise MediaError(str(path), f"can't be read: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def pieces(self) -> Iterator[str]:
        """The file's bytes; MediaError when it became shorter while it was read."""
        try:
            self._file.seek(0)
            left = self.size
            while left:
                wanted = min(_PIECE, left)
                data = self._file.read(wanted)
                if len(data) < wanted:
                    raise MediaError(str(self.path), "became shorter while it was read")
                left -= wanted
                yield base64.b64encode(data).decode()
        except OSError as error:
            raise MediaError(str(self.path), f"can't be read: {error}") from error


def _frame_at(container: InputContainer, time: float) -> VideoFrame | None:
    stream = film_of(container)
    base = stream.time_base
    if base is not None:
        container.seek(int(max(0.0, time) / base), stream=stream, backward=True)
    last: VideoFrame | None = None
    for frame in container.decode(stream):
        if last is not None and frame.time is not None and frame.time > time + 1e-6:
            return last
        last = frame
    return last


def _within(picture: Pixels, wide: int, tall: int) -> Pixels:
    height, width = picture.shape[:2]
    scale = min(1.0, wide / width, tall / height)
    if scale == 1.0:
        return picture
    size = (max(1, math.floor(width * scale)), max(1, math.floor(height * scale)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
