from fractions import Fraction

import av
import numpy as np
import pytest

from holdfast.media.video_file import VideoFile
from holdfast.media.vision import MotionDetector
from holdfast.media.vision.analysis import analyse
from holdfast.media.vision.clip_writer import write_clips
from holdfast.media.vision.detector import Stretch
from holdfast.media.vision.frames import frames
from media.films import film


def lumas(path):
    with VideoFile(path) as source:
        return [frame.luma().astype(int).copy() for frame in frames(source)]


def test_clips_hold_exactly_their_frames(tmp_path):
    path = film(tmp_path / "a.mp4", frames=60, size=(320, 120))
    stretches = [Stretch(5, 25, 0.2, 1.0), Stretch(25, 31, 1.0, 1.24), Stretch(50, 60, 2.0, 2.4)]
    written = write_clips(path, tmp_path / "clips", stretches)
    assert [each.name for each in written] == ["clip-1.mp4", "clip-2.mp4", "clip-3.mp4"]
    assert sorted((tmp_path / "clips").iterdir()) == written
    whole = lumas(path)
    for clip, stretch in zip(written, stretches, strict=True):
        parts = lumas(clip)
        assert len(parts) == stretch.end_frame - stretch.start_frame
        for offset in (0, -1):
            frame = range(stretch.start_frame, stretch.end_frame)[offset]
            differences = [np.abs(parts[offset] - other).mean() for other in whole]
            assert int(np.argmin(differences)) == frame
        with av.open(str(clip)) as container:
            stream = container.streams.video[0]
            assert float(stream.duration * stream.time_base) == pytest.approx(len(parts) / 25)


def test_no_stretch_no_clip(tmp_path):
    assert write_clips(film(tmp_path / "a.mp4"), tmp_path / "clips", []) == []


def test_overlapping_stretches_are_refused(tmp_path):
    stretches = [Stretch(5, 25, 0.2, 1.0), Stretch(20, 31, 0.8, 1.24)]
    with pytest.raises(ValueError, match="out of order"):
        write_clips(film(tmp_path / "a.mp4"), tmp_path / "clips", stretches)


def uneven(path):
    """8 s of which the first four have every fifth frame only; a square runs from left to right."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 64, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 25)
        for number in range(200):
            if number < 100 and number % 5:
                continue
            picture = np.full((64, 320, 3), 70, np.uint8)
            picture[16:48, number : number + 40] = 230
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize("kind", ["mkv", "mp4"])
def test_a_clip_of_uneven_frames_shows_the_moment_that_it_is_listed_under(tmp_path, kind):
    path = uneven(tmp_path / f"a.{kind}")
    analyse(path, tmp_path / "out", MotionDetector())
    stretch = Stretch(0, 0, 6.0, 7.0)
    (clip,) = write_clips(tmp_path / "out" / "annotated.mp4", tmp_path / "clips", [stretch])
    with VideoFile(clip) as source:
        shown = [(frame.time, frame.luma()) for frame in frames(source)]
    assert shown[-1][0] + shown[1][0] == pytest.approx(1.0, abs=0.05)
    assert shown[0][0] == 0.0
    # What moves is framed by a box; the square itself is the brightest thing inside.
    first = np.nonzero(shown[0][1][40] > 200)[0]
    assert int(np.median(first)) == pytest.approx(150 + 20, abs=12)
