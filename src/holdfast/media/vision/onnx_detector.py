"""Detection by a network: any YOLO-style ONNX file finds things with classes, which are tracked."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from holdfast.extras import check_extra
from holdfast.media.vision.tracker import TrackerOptions
from holdfast.option_checks import check_kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.media.analysis_options import Sensitivity
    from holdfast.media.video_info import VideoInfo
    from holdfast.media.vision.detector import DetectorRun


@dataclass(frozen=True, slots=True)
class OnnxOptions:
    """How a network is run, and what of its boxes counts.

    *confidence* is the least score of a box, *overlap* the common share from which two boxes of
    one class are one thing. *threads* compute one picture; *batch* pictures are computed at once
    where the network takes any number of them, and one at a time elsewhere. A thing counts where
    it stands still, too.
    """

    confidence: float = 0.25
    overlap: float = 0.45
    threads: int = 1
    batch: int = 1
    tracking: TrackerOptions = field(
        default_factory=lambda: TrackerOptions(age=0.2, distance=0.0, patience=1.0, unseen=1.0)
    )

    def __post_init__(self) -> None:
        for name in ("confidence", "overlap"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; expected between 0 and 1")
        for name in ("threads", "batch"):
            if not 1 <= getattr(self, name) <= 64:
                raise ValueError(f"{name} is {getattr(self, name)}; expected 1 to 64")


_CONFIDENCES: dict[Sensitivity, float] = {"low": 1.6, "normal": 1.0, "high": 0.6}


class OnnxDetector:
    """Finds what the network in an ONNX file knows, in any video.

    *path* is the file. *facts* are kept with all results: which model, which version, its digest.
    """

    def __init__(
        self,
        path: str,
        options: OnnxOptions | None = None,
        *,
        facts: Mapping[str, str] | None = None,
    ) -> None:
        self.path = path
        self.facts = dict(facts or {})
        self._options = OnnxOptions() if options is None else options
        check_kind(self._options, OnnxOptions)

    def tuned(self, sensitivity: Sensitivity) -> OnnxDetector:
        """Return a detector that takes only clear boxes ("low"), or unclear ones too ("high")."""
        confidence = min(0.95, self._options.confidence * _CONFIDENCES[sensitivity])
        options = replace(self._options, confidence=confidence)
        return OnnxDetector(self.path, options, facts=self.facts)

    def start(self, video: VideoInfo) -> DetectorRun:
        """Begin on *video*, with the network loaded and no tracks.

        Raises ModelFileError for a file that is no network of a known kind, and ConfigurationError
        where onnxruntime is not installed.
        """
        check_extra("onnx", "detection by a network", ("onnxruntime",))
        from holdfast.media.vision.onnx_run import OnnxRun  # noqa: PLC0415 - an extra

        return OnnxRun(self.path, self._options, video)
