"""Detection by a network: every head, fitted pictures, batches, tracks with classes, refusals."""

from fractions import Fraction

import av
import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from holdfast.errors import MediaError, ModelFileError
from holdfast.media.decoder_process import DecoderProcess
from holdfast.media.probe import describe
from holdfast.media.video_file import VideoFile
from holdfast.media.vision import OnnxDetector, OnnxOptions, analyse
from holdfast.media.vision.detector import Box
from holdfast.media.vision.frames import frames
from holdfast.media.vision.summary_file import read_summary
from holdfast.media.vision.yolo_head import YoloHead
from models.onnx_writer import CLASSES, Network, onnx_file

RED, BLUE = (40, 40, 220), (220, 60, 40)
FRAMES = 50


def vehicles_film(path, size=(160, 120), frames=FRAMES):
    """A red thing that drives to the right, a blue one that stands, on grey ground."""
    width, height = size
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "16"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(frames):
            picture = np.full((height, width, 3), 90, np.uint8)
            for box, colour in zip(truth(number), (RED, BLUE), strict=True):
                corner = (int(box.x), int(box.y))
                other = (int(box.x + box.width), int(box.y + box.height))
                cv2.rectangle(picture, corner, other, colour, -1)
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def truth(number):
    return Box(2.0 * number, 20, 28, 24), Box(60, 80, 28, 24)


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return vehicles_film(tmp_path_factory.mktemp("film") / "vehicles.mp4")


def boxes_of(film, path, **options):
    """What the detector says of *film*, frame by frame, sorted."""
    with VideoFile(film) as source:
        run = OnnxDetector(str(path), OnnxOptions(**options)).start(describe(source))
        found = []
        settled = 0
        for frame in frames(source):
            findings = run.look(frame)
            assert all(each.frame >= settled for each in findings.detections)
            assert settled <= findings.settled <= frame.index + 1
            settled = findings.settled
            found += findings.detections
        found += run.finish().detections
    return sorted(found, key=lambda each: (each.frame, each.track))


@pytest.mark.parametrize("head", ["v5", "v8", "v10"])
def test_every_head_finds_each_vehicle_with_its_class_in_one_track(film, tmp_path, head):
    found = boxes_of(film, Network(head).write(tmp_path / "n.onnx"))
    tracks = {(each.track, each.label) for each in found}
    assert sorted(label for _, label in tracks) == sorted(CLASSES)
    assert sorted(number for number, _ in tracks) == [1, 2]
    for label, which in zip(CLASSES, (0, 1), strict=True):
        own = {each.frame: each.box for each in found if each.label == label}
        assert len(own) == FRAMES
        middle = [frame for frame in own if 5 < frame < FRAMES - 5]
        assert min(own[frame].likeness(truth(frame)[which]) for frame in middle) > 0.6


def test_a_batch_finds_what_single_pictures_find(film, tmp_path):
    single = boxes_of(film, Network(batch="n").write(tmp_path / "free.onnx"))
    batched = boxes_of(film, tmp_path / "free.onnx", batch=8)
    assert [(e.frame, e.track, e.label) for e in single] == [
        (e.frame, e.track, e.label) for e in batched
    ]
    for one, other in zip(single, batched, strict=True):
        assert one.box == pytest.approx(other.box, abs=0.01)
    fixed = boxes_of(film, Network(batch=1).write(tmp_path / "one.onnx"), batch=8)
    assert len(fixed) == len(single), "a network of a fixed batch is given exactly that"


def test_a_picture_of_another_shape_is_fitted_and_its_boxes_are_put_back(tmp_path):
    # 320 by 120 in an input of 160 by 128: halved, with grey above and below.
    film = vehicles_film(tmp_path / "wide.mp4", size=(320, 120), frames=20)
    network = Network(thing=(14, 12), stride=2).write(tmp_path / "n.onnx")
    found = [each for each in boxes_of(film, network) if each.frame == 15]
    for label, box in zip(CLASSES, truth(15), strict=True):
        (own,) = [each.box for each in found if each.label == label]
        assert own.likeness(box) > 0.5, (label, own, box)


def test_the_analysis_in_the_confined_process_has_classes_and_the_model(film, tmp_path):
    network = Network().write(tmp_path / "n.onnx")
    facts = {"model": "vehicles:7", "digest": "ab" * 32}
    with DecoderProcess() as decoder:
        decoder.analyse(
            film, tmp_path / "out", OnnxDetector(str(network), facts=facts), lambda *_: None
        )
    summary = read_summary((tmp_path / "out" / "summary.json").read_bytes(), "film")
    assert summary.detector == facts
    assert sorted(track.label for track in summary.tracks) == sorted(CLASSES)
    table = pq.read_table(tmp_path / "out" / "detections.parquet")
    assert table.schema.metadata[b"holdfast.model"] == b"vehicles:7"
    assert table.schema.metadata[b"holdfast.digest"] == b"ab" * 32
    assert set(table.column("label").to_pylist()) == set(CLASSES)
    assert (tmp_path / "out" / "clips" / "clip-1.mp4").stat().st_size > 0


def test_what_is_no_detector_is_a_named_error_there(film, tmp_path):
    path = tmp_path / "n.onnx"
    path.write_bytes(b"no network")
    with DecoderProcess() as decoder, pytest.raises(MediaError, match="no network"):
        decoder.analyse(film, tmp_path / "out", OnnxDetector(str(path)), lambda *_: None)
    path.write_bytes(onnx_file())
    with pytest.raises(ModelFileError):
        analyse(film, tmp_path / "out", OnnxDetector(str(path)))
    Network(names="{0: 'a', 1: 'b', 2: 'c'}").write(path)
    with pytest.raises(ModelFileError, match="3 classes"):
        analyse(film, tmp_path / "out", OnnxDetector(str(path)))


def test_a_network_without_names_says_numbers(film, tmp_path):
    found = boxes_of(film, Network("v10", names="").write(tmp_path / "n.onnx"))
    assert {each.label for each in found} == {"class 0", "class 1"}


def test_outputs_of_other_exports_are_read_by_their_shape():
    head = YoloHead("n", 2, (64, 64))
    by_number = np.array([[0, 1, 2, 3, 4, 1, 0.9], [1, 5, 6, 7, 8, 0, 0.8]], np.float32)
    first, second = head.read([by_number], 2, 0.5, 0.5)
    assert first.corners.tolist() == [[1, 2, 3, 4]]
    assert (second.classes.tolist(), second.corners.tolist()) == ([0], [[5, 6, 7, 8]])
    four = [
        np.array([[1]], np.int32),
        np.array([[[1, 2, 3, 4], [9, 9, 9, 9]]], np.float32),
        np.array([[0.9, 0.8]], np.float32),
        np.array([[1, 0]], np.float32),
    ]
    (only,) = head.read(four, 1, 0.5, 0.5)
    assert (only.corners.tolist(), only.classes.tolist()) == ([[1, 2, 3, 4]], [1])
    # One class: a v5 head is told from boxes after NMS by how many places it has.
    single = YoloHead("n", 1, (64, 64))
    cells = 3 * (8 * 8 + 4 * 4 + 2 * 2)
    rows = np.zeros((1, cells, 6), np.float32)
    rows[0, 5] = [32, 32, 10, 20, 0.9, 0.8]
    (found,) = single.read([rows], 1, 0.5, 0.5)
    assert found.corners.tolist() == [[27, 22, 37, 42]]
    assert found.scores.tolist() == pytest.approx([0.72])
    nan = np.full((1, 3, 6), np.nan, np.float32)
    assert len(single.read([nan], 1, 0.5, 0.5)[0].scores) == 0


def test_options_out_of_range_are_refused():
    for wrong in ({"confidence": 0}, {"overlap": 1}, {"batch": 0}, {"threads": 65}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            OnnxOptions(**wrong)
