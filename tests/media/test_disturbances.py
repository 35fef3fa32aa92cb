"""What a scene does to a detector: fades, turns, stops, and things of the colour of the ground."""

from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from holdfast.media.vision.analysis import analyse
from holdfast.media.vision.motion_detector import MotionDetector

RATE = 25
SIZE = (320, 180)


def write(path, pictures, rate=RATE):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        stream.options = {"preset": "ultrafast", "crf": "20"}
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="bgr24")
            frame.pts, frame.time_base = number, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def found(path, pictures, rate=RATE):
    write(path, pictures, rate)
    return analyse(path, path.with_suffix(".out"), MotionDetector())


def landscape(width=900, height=180):
    """Hills and houses, wider than the picture."""
    random = np.random.default_rng(1)
    rough = random.integers(0, 255, (height, width, 3)).astype(np.float32)
    soft = np.asarray(cv2.GaussianBlur(rough, (0, 0), 8))
    ground = ((soft - soft.min()) / np.ptp(soft) * 180 + 30).astype(np.uint8)
    for _ in range(50):
        x, y = int(random.integers(0, width)), int(random.integers(0, height))
        colour = tuple(int(value) for value in random.integers(0, 255, 3))
        cv2.rectangle(ground, (x, y), (x + 25, y + 25), colour, -1)
    return ground


GROUND = landscape()
STILL = GROUND[:, : SIZE[0]]


def with_square(picture, x, *, colour=(235, 235, 245)):
    changed = picture.copy()
    if x > -30:
        cv2.rectangle(changed, (int(x), 70), (int(x) + 30, 100), colour, -1)
    return changed


def a_stop(at, *, lasts=4.0, rate=RATE):
    """A square that comes in, stands still from second *at* on, and goes on."""
    for number in range(int((at + lasts + 3) * rate)):
        time = number / rate
        way = min(time, at) + max(0.0, time - at - lasts) - (at - 2.5)
        yield with_square(STILL, way * 50 - 30 if way > 0 else -30)


@pytest.mark.parametrize("at", [3.0, 5.0, 12.0])
@pytest.mark.parametrize("rate", [10, 25])
def test_what_stops_for_four_seconds_is_one_track_early_and_late(at, rate, tmp_path):
    result = found(tmp_path / "a.mp4", a_stop(at, rate=rate), rate)
    assert len(result.tracks) == 1
    (track,) = result.tracks
    assert track.last_time - track.first_time > 2.5 + 4 + 2
    assert track.detections > 0.95 * (track.last_frame - track.first_frame)
    assert result.disturbances == ()


def a_fade():
    for number in range(150):
        yield STILL * min(1.0, number / 50)


def a_step_of_light():
    for number in range(150):
        yield np.minimum(STILL * (1.0 if number < 75 else 1.3), 255).astype(np.uint8)


def a_pan(speed):
    for number in range(200):
        x = int(speed * min(max(0, number - 50), 100))
        yield GROUND[:, x : x + SIZE[0]]


@pytest.mark.parametrize(
    ("pictures", "cause", "start", "end"),
    [
        ((picture.astype(np.uint8) for picture in a_fade()), "light", 0.0, 2.0),
        (a_step_of_light(), "light", 3.0, 3.0),
        (a_pan(4), "camera", 2.0, 6.0),
        (a_pan(1), "camera", 2.0, 6.0),
        (a_pan(0.5), "camera", 2.0, 6.0),
    ],
    ids=["fade", "step", "pan fast", "pan", "pan slow"],
)
def test_a_change_of_all_of_the_picture_is_told_and_not_followed(
    pictures, cause, start, end, tmp_path
):
    result = found(tmp_path / "a.mp4", pictures)
    assert result.tracks == ()
    (told,) = result.disturbances
    assert told.cause == cause
    assert told.start_time == pytest.approx(start, abs=0.6)
    assert told.end_time == pytest.approx(end, abs=0.8)


def test_a_thing_is_found_again_after_the_light_changed(tmp_path):
    def pictures():
        for number, picture in enumerate(a_step_of_light()):
            yield with_square(picture, number * 3 - 30 - 450)
        for number in range(100):
            yield with_square(picture, number * 3 - 30)

    result = found(tmp_path / "a.mp4", pictures())
    assert len(result.tracks) == 1
    assert [told.cause for told in result.disturbances] == ["light"]


def test_a_thing_that_passes_is_no_disturbance(tmp_path):
    result = found(tmp_path / "a.mp4", (with_square(STILL, n * 4 - 30) for n in range(90)))
    assert (len(result.tracks), result.disturbances) == (1, ())


@pytest.mark.parametrize("shade", [0x50, 0x58, 0x48, 0x42])
def test_a_thing_of_the_colour_of_the_ground_but_darker_is_found(shade, tmp_path):
    road = np.full((SIZE[1], SIZE[0], 3), 0x68, np.uint8)
    pictures = (with_square(road, n * 4 - 30, colour=(shade,) * 3) for n in range(90))
    result = found(tmp_path / "a.mp4", pictures)
    (track,) = result.tracks
    assert track.best_box.width == pytest.approx(30, abs=6)
    assert track.best_box.height == pytest.approx(30, abs=6)


def test_a_shadow_beside_its_thing_is_not_in_the_box(tmp_path):
    def pictures():
        for number in range(90):
            picture, x = STILL.copy(), number * 4 - 30
            left = max(0, x + 6)
            if x + 36 > left:
                shaded = picture[100:112, left : x + 36]
                picture[100:112, left : x + 36] = (shaded * 0.7).astype(np.uint8)
            yield with_square(picture, x)

    (track,) = found(tmp_path / "a.mp4", pictures()).tracks
    assert track.best_box.height < 40, "of 43 with its shadow"
