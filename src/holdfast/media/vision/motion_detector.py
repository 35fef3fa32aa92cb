"""Detection by movement: what differs from the learnt background, followed over time."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from holdfast.media.vision.tracker import TrackerOptions
from holdfast.option_checks import check_kind

if TYPE_CHECKING:
    from holdfast.media.analysis_options import Sensitivity
    from holdfast.media.video_info import VideoInfo
    from holdfast.media.vision.detector import DetectorRun


@dataclass(frozen=True, slots=True)
class MotionOptions:
    """How movement is looked for.

    The background is learnt on a picture about *working_width* pixels wide; *memory* is the
    seconds of video that it remembers: what stands still melts into it after a tenth of that,
    whatever the frame rate and however far the video is.
    *threshold* is the squared distance, in standard deviations, beyond which a pixel is new;
    *least_area* the smallest thing, as a share of the picture.
    """

    working_width: int = 280
    memory: float = 80.0
    threshold: float = 16.0
    least_area: float = 0.00015
    tracking: TrackerOptions = field(default_factory=TrackerOptions)

    def __post_init__(self) -> None:
        if self.working_width < 16:
            raise ValueError(f"working_width is {self.working_width}; expected at least 16")
        if not 0 < self.least_area < 1:
            raise ValueError(f"least_area is {self.least_area}; expected a share between 0 and 1")
        if self.memory <= 0 or self.threshold <= 0:
            raise ValueError("memory and threshold must be above 0")


_SENSITIVITIES: dict[Sensitivity, tuple[float, float]] = {
    "low": (2.0, 4.0),
    "normal": (1.0, 1.0),
    "high": (0.5, 0.4),
}
"""By what the threshold and the least area are multiplied."""


class MotionDetector:
    """Finds what moves before a camera that stands still."""

    def __init__(self, options: MotionOptions | None = None) -> None:
        self._options = MotionOptions() if options is None else options
        check_kind(self._options, MotionOptions)

    def tuned(self, sensitivity: Sensitivity) -> MotionDetector:
        """Return a detector that finds only what is large and clear ("low"), or more ("high")."""
        threshold, area = _SENSITIVITIES[sensitivity]
        options = self._options
        return MotionDetector(
            replace(
                options,
                threshold=options.threshold * threshold,
                least_area=min(options.least_area * area, 0.99),
            )
        )

    def start(self, video: VideoInfo) -> DetectorRun:
        """Begin on *video*: with no background learnt yet and no tracks."""
        from holdfast.media.vision.motion_run import MotionRun  # noqa: PLC0415 - needs OpenCV

        return MotionRun(self._options, video)
