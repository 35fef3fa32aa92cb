"""Pictures from decoded frames: upright, yuv420p, of even size."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from holdfast.media.video_file import quarter_turns, shown_size

Pixels = NDArray[np.uint8]
_SQUARE = Fraction(1)

_TURNS = {
    90: cv2.ROTATE_90_COUNTERCLOCKWISE,
    180: cv2.ROTATE_180,
    270: cv2.ROTATE_90_CLOCKWISE,
}


def upright(
    picture: VideoFrame, size: tuple[int, int] | None, aspect: Fraction = _SQUARE
) -> VideoFrame:
    """Return *picture* as displayed, in yuv420p, of *size* or else its own made even.

    *aspect* is the width of its pixels to their height. The same object when nothing is to be
    done.
    """
    turn = quarter_turns(picture)
    width, height = size or tuple(max(2, side & ~1) for side in shown_size(picture, aspect))
    if turn in (90, 270):
        width, height = height, width
    wanted = (width, height, "yuv420p")
    if (picture.width, picture.height, picture.format.name) != wanted:
        stamp, base = picture.pts, picture.time_base
        picture = picture.reformat(width=width, height=height, format="yuv420p")
        picture.pts = stamp
        if base is not None:
            picture.time_base = base
    if turn == 0:
        return picture
    parts = [
        np.asarray(cv2.rotate(_rows(picture, number), _TURNS[turn]), np.uint8).reshape(-1)
        for number in range(3)
    ]
    width, height = (height, width) if turn != 180 else (width, height)
    joined = np.concatenate(parts).reshape(height * 3 // 2, width)
    turned = VideoFrame.from_ndarray(joined, format="yuv420p")
    tag_colours(turned, picture)
    return turned


def planes(picture: VideoFrame) -> tuple[Pixels, Pixels, Pixels]:
    """Views of the Y, U and V planes; writable once the picture is made so."""
    return _rows(picture, 0), _rows(picture, 1), _rows(picture, 2)


def cut_out(picture: VideoFrame, left: int, top: int, right: int, bottom: int) -> Pixels:
    """A copy of a part in blue, green, red. The edges are taken to even pixels inside."""
    left, top = left & ~1, top & ~1
    right, bottom = min(picture.width, right + 1 & ~1), min(picture.height, bottom + 1 & ~1)
    parts = [plane[top:bottom, left:right] for plane in planes(picture)[:1]] + [
        plane[top // 2 : bottom // 2, left // 2 : right // 2] for plane in planes(picture)[1:]
    ]
    joined = np.concatenate([part.reshape(-1) for part in parts])
    part = VideoFrame.from_ndarray(
        joined.reshape((bottom - top) * 3 // 2, right - left), format="yuv420p"
    )
    tag_colours(part, picture)
    return np.asarray(part.to_ndarray(format="bgr24"), np.uint8)


def jpeg(picture: Pixels, *, quality: int = 88) -> bytes:
    """*picture* (rows, columns, blue-green-red) as JPEG."""
    done, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ValueError(f"a picture of shape {picture.shape} can't be made a JPEG")
    return data.tobytes()


def tag_colours(made: VideoFrame, picture: VideoFrame) -> None:
    """Let *made* be of the colours of *picture*, whose values it has."""
    made.colorspace, made.color_range = picture.colorspace, picture.color_range
    made.color_primaries, made.color_trc = picture.color_primaries, picture.color_trc


def _rows(picture: VideoFrame, number: int) -> Pixels:
    plane = picture.planes[number]
    rows: Pixels = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    return rows[: plane.height, : plane.width]
