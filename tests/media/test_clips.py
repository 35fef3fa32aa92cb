import av
import numpy as np
import pytest

from holdfast.media.video_file import VideoFile
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
