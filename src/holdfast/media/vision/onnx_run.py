"""A network at work on one video: pictures made fit for it, its boxes put back and tracked."""

from __future__ import annotations

import ast
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np
import onnxruntime

from holdfast.errors import ModelFileError
from holdfast.media.vision.detector import Box, Detection, Findings
from holdfast.media.vision.tracker import Sighting, Tracker
from holdfast.media.vision.yolo_head import YoloHead

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from av.video.frame import VideoFrame
    from numpy.typing import NDArray

    from holdfast.media.video_info import VideoInfo
    from holdfast.media.vision.frames import Frame
    from holdfast.media.vision.onnx_detector import OnnxOptions
    from holdfast.media.vision.yolo_head import Boxes

_GREY = 114  # what YOLO networks are trained to see around a picture
_SIZE = 640
_LARGEST = 4096
_LONGEST_TEXT = 1 << 20
_ELEMENTS = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
# A module in C, which type checkers can't look into.
_state: Any = import_module("onnxruntime.capi.onnxruntime_pybind11_state")
_REFUSALS = (
    _state.Fail, _state.InvalidArgument, _state.InvalidGraph, _state.InvalidProtobuf,
    _state.NoModel, _state.NoSuchFile, _state.NotImplemented, _state.RuntimeException,
)  # fmt: skip


class Fit(NamedTuple):
    """How a picture lies in the network's input: by what it was scaled, and where it begins."""

    scale: float
    left: int
    top: int


class OnnxRun:
    """An `OnnxDetector` at work on one video."""

    def __init__(self, path: str, options: OnnxOptions, video: VideoInfo) -> None:
        self._options = options
        self._shown = path
        self._session = self._opened(path)
        (given, *more) = self._session.get_inputs()
        if more or len(given.shape) != 4 or given.type not in _ELEMENTS:
            raise ModelFileError(path, "it does not take one batch of pictures, as detectors do")
        self._input = given.name
        self._element = _ELEMENTS[given.type]
        said: Mapping[str, str] = self._session.get_modelmeta().custom_metadata_map
        self._width, self._height = self._input_size(given.shape, said)
        self._names = self._class_names(said)
        # A free size is a name or None; a network of a fixed batch gets exactly that.
        fixed = given.shape[0] if isinstance(given.shape[0], int) else None
        self._batch = options.batch if fixed is None else 1
        self._padding = (fixed or 1) - 1
        self._head = YoloHead(path, len(self._names), (self._width, self._height))
        self._tracker = Tracker(options.tracking, video, "thing")
        self._waiting: list[Frame] = []
        self._inputs: list[NDArray[np.uint8]] = []
        self._fits: list[Fit] = []
        self._settled = 0

    def look(self, frame: Frame) -> Findings:
        """Take the next frame; boxes come when the batch is full."""
        picture, fit = fit_into(frame.picture, (self._width, self._height))
        self._waiting.append(frame)
        self._inputs.append(picture)
        self._fits.append(fit)
        if len(self._waiting) < self._batch:
            return Findings([], self._settled)
        return self._computed()

    def finish(self) -> Findings:
        """Give what is left; everything is settled."""
        found = self._computed() if self._waiting else Findings([], 0)
        last = self._tracker.finish()
        return Findings([*found.detections, *last.detections], last.settled)

    def _computed(self) -> Findings:
        """Run the network on the pictures that wait, and follow what it sees in each."""
        pictures = [*self._inputs, *self._inputs[:1] * self._padding]
        # Channels first, from 0 to 1: the pictures are kept as bytes until they are computed.
        fed = np.asarray(cv2.dnn.blobFromImages(pictures, 1 / 255), self._element)
        try:
            outputs = self._session.run(None, {self._input: fed})
        except _REFUSALS as error:
            raise ModelFileError(self._shown, f"it can't be computed: {error}") from error
        found = self._head.read(
            [np.asarray(each) for each in outputs],
            len(pictures),
            self._options.confidence,
            self._options.overlap,
        )
        detections: list[Detection] = []
        settled = 0
        for frame, fit, boxes in zip(self._waiting, self._fits, found, strict=False):
            seen = self._tracker.follow(frame.index, frame.time, self._sightings(boxes, fit, frame))
            detections += seen.detections
            settled = seen.settled
        self._waiting, self._inputs, self._fits = [], [], []
        self._settled = settled
        return Findings(detections, settled)

    def _sightings(self, boxes: Boxes, fit: Fit, frame: Frame) -> list[Sighting]:
        """Return the boxes in pixels of the video, those with an extent inside of the picture."""
        found = []
        width, height = float(frame.picture.width), float(frame.picture.height)
        shift = np.array([fit.left, fit.top, fit.left, fit.top], np.float32)
        for (left, top, right, bottom), score, number in zip(
            ((boxes.corners - shift) / fit.scale).tolist(),
            boxes.scores.tolist(),
            boxes.classes.tolist(),
            strict=True,
        ):
            box = Box(left, top, right - left, bottom - top).clipped(width, height)
            if box.width >= 1 and box.height >= 1:
                name = self._names.get(number, f"class {number}")
                found.append(Sighting(box, min(1.0, score), name))
        return found

    def _opened(self, path: str) -> onnxruntime.InferenceSession:
        asked = onnxruntime.SessionOptions()
        asked.intra_op_num_threads = self._options.threads
        asked.inter_op_num_threads = 1
        asked.log_severity_level = 4
        try:
            return onnxruntime.InferenceSession(path, asked, providers=["CPUExecutionProvider"])
        except _REFUSALS as error:
            raise ModelFileError(path, f"it is no network that can be run: {error}") from error

    def _input_size(self, shape: Sequence[object], said: Mapping[str, str]) -> tuple[int, int]:
        """Return the width and height of the input, fixed by the network or by its metadata."""
        stated = self._literal(said.get("imgsz", ""))
        usual = [_SIZE, _SIZE]
        if isinstance(stated, int):
            usual = [stated, stated]
        elif isinstance(stated, list) and len(stated) == 2:
            usual = [each if isinstance(each, int) else _SIZE for each in stated]
        channels, *sides = shape[1:]
        height, width = (
            side if isinstance(side, int) else other
            for side, other in zip(sides, usual, strict=True)
        )
        if channels != 3 or not (1 <= width <= _LARGEST and 1 <= height <= _LARGEST):
            raise ModelFileError(self._shown, f"its input {shape!r:.80} is no picture in colours")
        return width, height

    def _class_names(self, said: Mapping[str, str]) -> dict[int, str]:
        stated = self._literal(said.get("names", ""))
        if isinstance(stated, list):
            stated = dict(enumerate(stated))
        if not isinstance(stated, dict):
            return {}
        return {
            number: str(name)[:100]
            for number, name in stated.items()
            if isinstance(number, int) and not isinstance(number, bool)
        }

    def _literal(self, text: str) -> object:
        """Return what *text*, a value as Python writes it, stands for; None for anything else."""
        try:
            return ast.literal_eval(text) if 0 < len(text) <= _LONGEST_TEXT else None
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return None


def fit_into(picture: VideoFrame, size: tuple[int, int]) -> tuple[NDArray[np.uint8], Fit]:
    """Return *picture* in red, green, blue, scaled as a whole and set into grey of that *size*."""
    full_width, full_height = size
    scale = min(full_width / picture.width, full_height / picture.height)
    width = max(1, min(full_width, round(picture.width * scale)))
    height = max(1, min(full_height, round(picture.height * scale)))
    # Scaled while it is still three planes of half the bytes, by FFmpeg; from the nearest pixels,
    # as by OpenCV, whose pictures these networks are trained with.
    scaled = picture.reformat(
        width=width, height=height, format="rgb24", interpolation="FAST_BILINEAR"
    )
    small = scaled.to_ndarray()
    left, top = (full_width - width) // 2, (full_height - height) // 2
    if (width, height) == size:
        return np.asarray(small, np.uint8), Fit(scale, 0, 0)
    whole = np.full((full_height, full_width, 3), _GREY, np.uint8)
    whole[top : top + height, left : left + width] = small
    return whole, Fit(scale, left, top)
