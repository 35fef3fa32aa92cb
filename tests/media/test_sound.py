"""Sound in what is shown: there, whole, and at the moment at which it was."""

from fractions import Fraction

import av
import numpy as np
import pytest

from holdfast.media.analysis_options import AnalysisOptions
from holdfast.media.vision.analysis import analyse
from holdfast.media.vision.clip_writer import write_clips
from holdfast.media.vision.detector import Stretch
from holdfast.media.vision.motion_detector import MotionDetector

SECONDS, BEEP = 6, (3.0, 3.5)


def film_with_sound(path, *, codec="aac", rate=44_100, layout="stereo", late=0.0):
    """Six seconds with a beep in the fourth; the sound begins *late* seconds after the pictures."""
    with av.open(str(path), "w") as container:
        seen = container.add_stream("libx264", rate=25)
        seen.width, seen.height, seen.pix_fmt = 160, 120, "yuv420p"
        seen.codec_context.time_base = Fraction(1, 25)
        heard = container.add_stream(codec, rate=rate)
        heard.layout = layout
        channels = heard.codec_context.channels
        for number in range(SECONDS * 25):
            picture = np.full((120, 160, 3), 60, np.uint8)
            left = number % 150
            picture[40:64, left : left + 24] = 230
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(seen.encode(frame))
        time = np.arange(int((SECONDS - late) * rate)) / rate + late
        wave = np.sin(2 * np.pi * 600 * time) * ((time >= BEEP[0]) & (time < BEEP[1]))
        resampler = av.AudioResampler(format=heard.format.name, layout=layout, rate=rate)
        for at in range(0, len(wave), 1024):
            part = np.tile(wave[at : at + 1024], (channels, 1)).astype(np.float32)
            frame = av.AudioFrame.from_ndarray(part, format="fltp", layout=layout)
            frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
            frame.pts = at + round(late * rate)
            for each in resampler.resample(frame):
                container.mux(heard.encode(each))
        container.mux(heard.encode())
        container.mux(seen.encode())
    return path


def beep_in(path):
    """When the beep begins and ends, in seconds of the pictures; None without any sound."""
    loud = []
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return None
        for frame in container.decode(audio=0):
            samples = np.abs(frame.to_ndarray()).mean(axis=0)
            loud += [
                frame.time + block / frame.sample_rate
                for block in range(0, len(samples) - 255, 256)
                if samples[block : block + 256].mean() > 0.1
            ]
    return min(loud), max(loud)


@pytest.mark.parametrize(
    ("kind", "codec", "rate", "layout", "late"),
    [
        ("mp4", "aac", 44_100, "stereo", 0.0),
        ("mkv", "pcm_s16le", 8_000, "mono", 0.0),
        ("mkv", "libopus", 48_000, "stereo", 0.0),
        ("avi", "mp2", 32_000, "mono", 0.0),
        ("mkv", "flac", 48_000, "5.1", 0.0),
        ("mkv", "pcm_s16le", 16_000, "mono", 1.0),
    ],
)
def test_sound_stays_at_its_moment(kind, codec, rate, layout, late, tmp_path):
    path = film_with_sound(tmp_path / f"a.{kind}", codec=codec, rate=rate, layout=layout, late=late)
    found = analyse(path, tmp_path / "out", MotionDetector())
    shown = tmp_path / "out" / "annotated.mp4"
    assert beep_in(shown) == pytest.approx(BEEP, abs=0.06)
    with av.open(str(shown)) as container:
        assert container.streams.audio[0].codec_context.name == "aac"
        assert sum(1 for _ in container.decode(video=0)) == found.frames
    cuts = [Stretch(25, 63, 1.0, 2.5), Stretch(63, 130, 2.5, 5.2)]
    silent, clip = write_clips(shown, tmp_path / "clips", cuts)
    assert beep_in(clip) == pytest.approx((0.5, 1.0), abs=0.06)
    with av.open(str(silent)) as container:
        assert container.streams.audio
        assert float(container.duration) / 1e6 == pytest.approx(1.5, abs=0.1)


def test_sound_can_be_left_out(tmp_path):
    path = film_with_sound(tmp_path / "a.mp4")
    analyse(path, tmp_path / "out", MotionDetector(), options=AnalysisOptions(sound=False))
    assert beep_in(tmp_path / "out" / "annotated.mp4") is None


def test_sound_that_does_not_decode_is_left_out_and_the_pictures_stay(tmp_path):
    path = film_with_sound(tmp_path / "a.mkv", codec="flac", rate=48_000)
    data = bytearray(path.read_bytes())
    places = [at for at in range(len(data) - 1) if data[at : at + 2] == b"\xff\xf8"]
    for at in places:
        data[at : at + 2] = b"\0\0"
    path.write_bytes(data)
    found = analyse(path, tmp_path / "out", MotionDetector())
    assert places
    assert found.frames == SECONDS * 25
