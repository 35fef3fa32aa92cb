import itertools
import json
import resource
import statistics
import threading
from fractions import Fraction

import av
import cv2
import numpy as np
import psutil
import pyarrow.parquet as pq
import pytest
import zstandard

from holdfast.errors import MediaError, StorageError
from holdfast.media.scene import FRAME_RATE, make_scene
from holdfast.media.vision.analysis import analyse
from holdfast.media.vision.detector import Box, Findings
from holdfast.media.vision.motion_detector import MotionDetector, MotionOptions
from media.films import cut, film, sound


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scene")
    truth = make_scene(folder / "scene.mp4")
    found = analyse(folder / "scene.mp4", folder / "out", MotionDetector())
    return folder, truth, found


def rows(folder):
    return pq.read_table(folder / "detections.parquet").to_pylist()


def lines(folder):
    data = zstandard.ZstdDecompressor().stream_reader((folder / "detections.jsonl.zst").open("rb"))
    with data:
        return [json.loads(line) for line in data.read().splitlines()]


def inside(folder):
    return sorted(path.name for path in folder.iterdir())


def likeness(row, box):
    return Box(row["x"], row["y"], row["width"], row["height"]).likeness(box)


def test_every_made_thing_is_found_once_with_its_direction(scene):
    folder, truth, found = scene
    assert len(found.tracks) == len(truth) == 7
    seen = rows(folder / "out")
    matched = set()
    for track in found.tracks:
        own = [row for row in seen if row["track"] == track.id]
        share = {
            number: sum(
                likeness(row, thing.boxes[row["frame"]]) > 0.3
                for row in own
                if row["frame"] in thing.boxes
            )
            for number, thing in enumerate(truth)
        }
        best = max(share, key=share.__getitem__)
        thing = truth[best]
        assert share[best] > 0.9 * len(own)
        assert len(own) > 0.9 * len(thing.boxes)
        assert track.direction == thing.direction
        assert track.crossed == ("forward" if thing.direction == "right" else "backward")
        overlaps = [
            likeness(row, thing.boxes[row["frame"]]) for row in own if row["frame"] in thing.boxes
        ]
        assert statistics.median(overlaps) > 0.5
        middle = [row for row in own if 0.3 < (row["frame"] - own[0]["frame"]) / len(own) < 0.7]
        way = abs(middle[-1]["x"] - middle[0]["x"]) / (middle[-1]["time"] - middle[0]["time"])
        assert way == pytest.approx(thing.speed, rel=0.1)
        matched.add(best)
    assert len(matched) == len(truth)
    assert (found.forward, found.backward) == (3, 4)


def test_stretches_come_apart_in_the_pauses(scene):
    _, truth, found = scene
    busy = sorted({frame for thing in truth for frame in thing.boxes})
    gaps = [(a, b) for a, b in itertools.pairwise(busy) if b - a > 2 * FRAME_RATE]
    assert len(gaps) == 2
    assert found.frames - busy[-1] > 2 * FRAME_RATE
    assert len(found.stretches) == 3
    for (before, after), one, two in zip(gaps, found.stretches, found.stretches[1:], strict=False):
        assert before < one.end_frame < two.start_frame < after
    assert found.stretches[-1].end_frame < found.frames


def test_the_annotated_video_has_every_frame_and_plays_in_browsers(scene):
    folder, _, found = scene
    path = folder / "out" / "annotated.mp4"
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
        assert (stream.width, stream.height, stream.average_rate) == (960, 540, FRAME_RATE)
        assert sum(1 for _ in container.decode(stream)) == found.frames
        assert float(stream.duration * stream.time_base) == pytest.approx(found.frames / FRAME_RATE)


def test_boxes_are_drawn_where_the_rows_say(scene):
    folder, _, _ = scene
    row = next(row for row in rows(folder / "out") if row["frame"] == 90)
    pictures = []
    for path in (folder / "scene.mp4", folder / "out" / "annotated.mp4"):
        with av.open(str(path)) as container:
            for number, frame in enumerate(container.decode(video=0)):
                if number == 90:
                    pictures.append(frame.to_ndarray(format="bgr24").astype(int))
                    break
    difference = abs(pictures[0] - pictures[1]).sum(axis=2)
    x, y, right = round(row["x"]), round(row["y"]), round(row["x"] + row["width"])
    assert difference[y : y + 2, x + 4 : right - 4].mean() > 60
    assert difference[440:520, 600:900].mean() < 20


def test_parquet_and_lines_agree_and_are_in_order(scene):
    folder, _, found = scene
    table = rows(folder / "out")
    assert table == lines(folder / "out")
    assert len(table) == found.detections
    keys = [(row["frame"], row["track"]) for row in table]
    assert keys == sorted(set(keys))
    assert {row["label"] for row in table} == {"moving"}
    assert all(0 <= row["score"] <= 1 for row in table)
    assert all(row["x"] >= 0 and row["x"] + row["width"] <= 960.001 for row in table)
    metadata = pq.read_schema(folder / "out" / "detections.parquet").metadata
    assert metadata[b"holdfast.frame_rate"] == b"25/1"
    assert metadata[b"holdfast.source"] == b"scene.mp4"


def test_tracks_and_summary_say_the_same(scene):
    folder, _, found = scene
    table = pq.read_table(folder / "out" / "tracks.parquet").to_pylist()
    summary = json.loads((folder / "out" / "summary.json").read_bytes())
    assert [row["id"] for row in table] == [track.id for track in found.tracks]
    assert [track["direction"] for track in summary["tracks"]] == [
        row["direction"] for row in table
    ]
    assert summary["video"]["frame_rate"] == "25"
    assert summary["frames"] == found.frames
    assert summary["tracks"][0]["best_box"]["width"] == table[0]["best_width"]
    assert len(summary["stretches"]) == 3


def test_each_track_has_its_picture_at_its_best_moment(scene):
    folder, _, found = scene
    names = {f"track-{track.id}.jpg" for track in found.tracks}
    assert set(inside(folder / "out" / "frames")) == names | {"strip.jpg"}
    for track in found.tracks:
        picture = cv2.imread(str(folder / "out" / "frames" / f"track-{track.id}.jpg"))
        assert picture.shape[0] >= track.best_box.height
        assert picture.shape[1] >= min(track.best_box.width, 640)
        assert track.first_frame <= track.best_frame <= track.last_frame
        assert 2 <= track.best_box.x <= 960 - track.best_box.width - 2, "not cut by the edge"


def test_nothing_else_is_left_in_the_folder(scene):
    folder, _, _ = scene
    assert inside(folder / "out") == [
        "activity.parquet", "annotated.mp4", "counts.csv", "detections.jsonl.zst",
        "detections.parquet", "frames", "summary.json", "tracks.parquet",
    ]  # fmt: skip


def test_the_same_video_gives_the_same_results(tmp_path):
    path = film(tmp_path / "a.mp4", size=(320, 240), frames=90)
    for name in ("one", "two"):
        analyse(path, tmp_path / name, MotionDetector())
    for name in ("detections.parquet", "detections.jsonl.zst", "summary.json", "annotated.mp4"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert rows(tmp_path / "one")


@pytest.mark.parametrize("size", [(161, 121), (18, 16), (640, 50)])
def test_odd_and_tiny_sizes_are_annotated(tmp_path, size):
    path = film(tmp_path / "a.avi", size=size, codec="ffv1", frames=40)
    found = analyse(path, tmp_path / "out", MotionDetector())
    assert (found.video.width, found.video.height) == size
    with av.open(str(tmp_path / "out" / "annotated.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height) == (size[0] & ~1, size[1] & ~1)
        assert sum(1 for _ in container.decode(stream)) == 40


def test_a_still_video_has_no_tracks_and_all_files(tmp_path):
    path = film(tmp_path / "a.mp4", moving=False, frames=30)
    found = analyse(path, tmp_path / "out", MotionDetector())
    assert (found.tracks, found.stretches, found.detections) == ((), (), 0)
    assert rows(tmp_path / "out") == lines(tmp_path / "out") == []
    assert pq.read_table(tmp_path / "out" / "tracks.parquet").num_rows == 0


def test_a_video_with_uneven_frames_lasts_as_long_annotated(tmp_path):
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stamps = [0, 1, 2, 3, 30, 31, 32, 90, 91, 92, 99]
        for stamp in stamps:
            frame = av.VideoFrame(64, 48, "yuv420p")
            frame.pts, frame.time_base = stamp, stream.codec_context.time_base or 1
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    found = analyse(path, tmp_path / "out", MotionDetector())
    assert found.frames == len(stamps)
    with av.open(str(tmp_path / "out" / "annotated.mp4")) as container:
        stream = container.streams.video[0]
        assert float(stream.duration * stream.time_base) == pytest.approx(4.0, abs=0.3)


def test_progress_reaches_the_end_and_never_runs_back(tmp_path):
    steps = []
    path = film(tmp_path / "a.mp4", frames=50)
    analyse(path, tmp_path / "out", MotionDetector(), progress=lambda *step: steps.append(step))
    assert steps == sorted(steps)
    assert steps[-1] == (50, 50)


class StoppedError(Exception):
    pass


def test_stopping_leaves_nothing_open_and_nothing_half_written(tmp_path):
    path = film(tmp_path / "a.mp4", size=(320, 240), frames=120)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "summary.json").write_text("of before")

    def stop(done, total):
        if done >= 40:
            raise StoppedError

    analyse(path, tmp_path / "warm", MotionDetector())
    before = psutil.Process().num_fds()
    threads = threading.active_count()
    with pytest.raises(StoppedError):
        analyse(path, tmp_path / "out", MotionDetector(), progress=stop)
    assert psutil.Process().num_fds() == before
    assert threading.active_count() == threads
    assert inside(tmp_path / "out") == ["summary.json"]
    assert (tmp_path / "out" / "summary.json").read_text() == "of before"


class Failing:
    """A detector that breaks down at frame 20."""

    def start(self, video):
        return self

    def look(self, frame):
        if frame.index == 20:
            raise StoppedError
        return Findings([], frame.index + 1)


def test_a_detector_that_fails_is_not_hidden(tmp_path):
    with pytest.raises(StoppedError):
        analyse(film(tmp_path / "a.mp4"), tmp_path / "out", Failing())
    assert inside(tmp_path / "out") == []


def test_a_folder_that_is_a_file_is_said_so(tmp_path):
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(StorageError, match="out"):
        analyse(film(tmp_path / "a.mp4"), tmp_path / "out", MotionDetector())
    assert (tmp_path / "out").read_text() == "in the way"


@pytest.mark.parametrize("room", [3_000, 30_000])
def test_a_disk_that_fills_up_is_said_so_and_nothing_is_left(tmp_path, room):
    path = film(tmp_path / "a.mp4", size=(640, 360), frames=100)
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, unlimited[1]))
    try:
        with pytest.raises(StorageError, match="too large"):
            analyse(path, tmp_path / "out", MotionDetector())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    assert inside(tmp_path / "out") == []


def test_broken_files_are_refused_before_anything_is_written(tmp_path):
    whole = film(tmp_path / "a.mp4", frames=100)
    (tmp_path / "empty.mp4").touch()
    for path in (
        cut(whole, 0.5, tmp_path / "cut.mp4"),
        sound(tmp_path / "sound.wav"),
        tmp_path / "empty.mp4",
        tmp_path / "none.mp4",
    ):
        with pytest.raises(MediaError):
            analyse(path, tmp_path / "out", MotionDetector())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("change", ["grows", "vanishes"])
def test_a_file_that_changes_meanwhile_gives_no_results(tmp_path, change):
    path = film(tmp_path / "a.mp4", frames=60)

    def meddle(done, total):
        if done == 24 and change == "grows":
            with path.open("ab") as file:
                file.write(b"more")
        elif done == 24:
            path.unlink()

    with pytest.raises(MediaError, match="changed" if change == "grows" else "vanished"):
        analyse(path, tmp_path / "out", MotionDetector(), progress=meddle)
    assert inside(tmp_path / "out") == []


def test_memory_does_not_grow_with_the_length(tmp_path):
    path = film(tmp_path / "a.mp4", frames=2500, size=(160, 120), codec="mpeg4")
    process = psutil.Process()
    sizes = {}

    def note(done, total):
        sizes[done] = process.memory_info().rss / 2**20

    analyse(path, tmp_path / "out", MotionDetector(), progress=note)
    del sizes[2500]  # when the tables are written: their library is loaded
    early = max(size for done, size in sizes.items() if done < 750)
    assert max(sizes.values()) - early < 6


def test_options_that_mean_nothing_are_refused():
    with pytest.raises(ValueError, match="least_area"):
        MotionOptions(least_area=2)
    with pytest.raises(ValueError, match="working_width"):
        MotionOptions(working_width=1)


def test_the_scene_is_the_same_for_the_same_seed(tmp_path):
    for name in ("a", "b"):
        make_scene(tmp_path / f"{name}.mp4", seconds=1.5)
    make_scene(tmp_path / "c.mp4", seconds=1.5, seed=8)
    one, two, other = ((tmp_path / f"{name}.mp4").read_bytes() for name in "abc")
    assert one == two
    assert one != other


@pytest.mark.parametrize("turn", [0, 90])
def test_the_annotated_video_has_the_colours_of_its_source(tmp_path, turn):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuvj420p"
        if turn:
            stream.set_display_rotation(turn)
        context = stream.codec_context
        context.colorspace, context.color_range = 1, 2
        context.color_primaries, context.color_trc = 1, 1
        for number in range(10):
            frame = av.VideoFrame(160, 120, "yuvj420p")
            for plane, value in zip(frame.planes, (250, 100, 150), strict=True):
                plane.update(bytes([value]) * plane.buffer_size)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    analyse(path, tmp_path / "out", MotionDetector())
    with av.open(str(tmp_path / "out" / "annotated.mp4")) as container:
        shown = next(container.decode(video=0))
    assert (shown.colorspace, shown.color_range) == (1, 2)
    assert (shown.color_primaries, shown.color_trc) == (1, 1)
    corner = shown.to_ndarray(format="bgr24")[110, 20].astype(int)
    assert np.abs(corner - [198, 244, 255]).max() < 6
