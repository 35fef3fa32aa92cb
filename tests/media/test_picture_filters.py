"""Interlaced pictures and high dynamic range, as they are shown."""

from fractions import Fraction

import av
import numpy as np
import pytest

from holdfast.media.video_file import VideoFile
from holdfast.media.vision.analysis import analyse
from holdfast.media.vision.frames import frames
from holdfast.media.vision.motion_detector import MotionDetector


def combed(path):
    """A bright bar that runs to the right, in fields: the odd rows are half a frame later."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 128, "yuv420p"
        stream.options = {"x264-params": "tff=1", "crf": "4"}
        for number in range(30):
            picture = np.full((128, 160, 3), 40, np.uint8)
            for row in range(128):
                left = 8 + number * 4 + (row % 2) * 4
                picture[row, left : left + 16] = 220
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24").reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def comb_of(luma):
    """How much each row differs from both neighbours: high for a comb."""
    rows = luma.astype(int)
    return np.abs(2 * rows[1:-1] - rows[:-2] - rows[2:]).mean()


def test_the_comb_of_interlaced_pictures_is_gone(tmp_path):
    path = combed(tmp_path / "a.mkv")
    with av.open(str(path)) as container:
        raw = list(container.decode(video=0))
        assert raw[5].interlaced_frame
        combs = [comb_of(frame.to_ndarray(format="gray")) for frame in raw]
    with VideoFile(path) as source:
        shown = [(frame.time, frame.luma().copy()) for frame in frames(source)]
    assert len(shown) == len(raw)
    assert [time for time, _ in shown] == pytest.approx([n / 25 for n in range(len(raw))])
    assert comb_of(shown[10][1]) < combs[10] / 4


def bright(path, *, transfer=16, turn=0):
    """Ten pictures of ten bits in BT.2020 with a step from black to white."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx265", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p10le"
        stream.options = {"x265-params": "log-level=none"}
        context = stream.codec_context
        context.colorspace, context.color_range = 9, 1
        context.color_primaries, context.color_trc = 9, transfer
        if turn:
            stream.set_display_rotation(turn)
        for number in range(10):
            frame = av.VideoFrame(160, 120, "yuv420p10le")
            for plane, value in zip(frame.planes, (0, 512, 512), strict=True):
                rows = np.full((plane.height, plane.line_size // 2), value, "<u2")
                if plane.width == 160:
                    rows[:, :80], rows[:, 80:] = 118, 854
                plane.update(rows.tobytes())
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


# A tone mapping takes the library seconds to work out, and no turn of the film changes it.
@pytest.mark.parametrize(("transfer", "turn"), [(16, 0), (18, 90)])
def test_high_dynamic_range_is_shown_in_the_colours_of_browsers(transfer, turn, tmp_path):
    path = bright(tmp_path / "a.mp4", transfer=transfer, turn=turn)
    found = analyse(path, tmp_path / "out", MotionDetector())
    assert (found.video.width, found.video.height) == ((120, 160) if turn else (160, 120))
    with av.open(str(tmp_path / "out" / "annotated.mp4")) as container:
        shown = list(container.decode(video=0))
    assert len(shown) == 10
    picture = shown[5]
    assert (picture.colorspace, picture.color_primaries, picture.color_trc) == (1, 1, 1)
    luma = picture.to_ndarray(format="gray")
    low, high = (luma[110, 100], luma[20, 100]) if turn else (luma[20, 40], luma[20, 120])
    assert int(high) - int(low) > 150
