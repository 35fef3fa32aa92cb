"""Times of frames: FFmpeg's choice of stamps, jitter that does not add up, jumps, stuck clocks."""

from fractions import Fraction
from types import SimpleNamespace

import av
import pytest

from holdfast.media.frame_clock import FrameClock
from holdfast.media.probe import probe
from holdfast.media.video_file import VideoFile
from holdfast.media.vision.frames import frames
from media.films import film

PERIOD = 0.04


def times(stamps, *, unit=0.001, decoding=None):
    clock = FrameClock(PERIOD)
    decoding = decoding or [None] * len(stamps)
    base = Fraction(unit).limit_denominator(1_000_000)
    return [
        clock.read(SimpleNamespace(pts=pts, dts=dts, time_base=base))
        for pts, dts in zip(stamps, decoding, strict=True)
    ]


def test_even_stamps_are_taken_as_they_are():
    assert times([500, 540, 580, 620]) == pytest.approx([0, 0.04, 0.08, 0.12])


def test_jitter_does_not_add_up():
    jittered = [(number * 40) + (80 if number % 3 == 0 else 0) for number in range(1, 600)]
    found = times(jittered)
    assert found == sorted(set(found))
    assert found[-1] == pytest.approx((jittered[-1] - jittered[0]) / 1000, abs=0.1)


def test_stamps_of_decoding_serve_where_those_of_presentation_are_out_of_order():
    shuffled = [1, 3, 4, 2, 6, 7, 5, 9, 10, 8, *range(11, 200)]
    ordered = list(range(2, 2 + len(shuffled)))
    found = times(shuffled, unit=PERIOD, decoding=ordered)
    assert found == sorted(set(found))
    assert found[-1] == pytest.approx(len(shuffled) * PERIOD, abs=2 * PERIOD)


@pytest.mark.parametrize("jump", [-3_600_000, 5_000_000])
def test_a_jump_counts_as_one_period(jump):
    stamps = [0, 40, 80, *(jump + each for each in (0, 40, 80))]
    assert times(stamps) == pytest.approx([0, 0.04, 0.08, 0.12, 0.16, 0.2])


def test_missing_and_stuck_stamps_count_as_periods():
    assert times([None] * 4) == pytest.approx([0, 0.04, 0.08, 0.12])
    assert times([7] * 300)[-1] == pytest.approx(300 * PERIOD, abs=15 * PERIOD)


def test_an_avi_with_b_frames_is_as_long_as_it_is(tmp_path):
    path = tmp_path / "b.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        stream.codec_context.max_b_frames = 2
        for number in range(200):
            frame = av.VideoFrame(160, 120, "yuv420p")
            for plane in frame.planes:
                plane.update(bytes([(number * 3) % 250]) * plane.buffer_size)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with VideoFile(path) as source:
        found = [frame.time for frame in frames(source)]
    assert len(found) == 200
    assert found[-1] == pytest.approx(199 / 25, abs=0.1)


def test_up_to_a_thousand_frames_a_second_are_believed(tmp_path):
    assert probe(film(tmp_path / "a.mp4", rate=480)).frame_rate == 480
