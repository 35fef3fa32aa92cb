"""Computer vision: finds and follows things in videos, and writes results.

What does the work needs OpenCV, NumPy and pyarrow, and is imported when it is first used.
"""

from typing import TYPE_CHECKING

from holdfast.late_import import late_names

if TYPE_CHECKING:
    from holdfast.media.vision.analysis import analyse
    from holdfast.media.vision.clip_writer import write_clips
    from holdfast.media.vision.detector import (
        Analysis,
        Box,
        Detection,
        Detector,
        DetectorRun,
        Findings,
        Line,
        Point,
        Stretch,
        Track,
    )
    from holdfast.media.vision.motion_detector import MotionDetector, MotionOptions
    from holdfast.media.vision.onnx_detector import OnnxDetector, OnnxOptions
else:
    __getattr__ = late_names(
        __name__,
        {
            "holdfast.media.vision.analysis": ("analyse",),
            "holdfast.media.vision.clip_writer": ("write_clips",),
            "holdfast.media.vision.detector": (
                "Analysis",
                "Box",
                "Detection",
                "Detector",
                "DetectorRun",
                "Findings",
                "Line",
                "Point",
                "Stretch",
                "Track",
            ),
            "holdfast.media.vision.motion_detector": ("MotionDetector", "MotionOptions"),
            "holdfast.media.vision.onnx_detector": ("OnnxDetector", "OnnxOptions"),
        },
    )

__all__ = [
    "Analysis",
    "Box",
    "Detection",
    "Detector",
    "DetectorRun",
    "Findings",
    "Line",
    "MotionDetector",
    "MotionOptions",
    "OnnxDetector",
    "OnnxOptions",
    "Point",
    "Stretch",
    "Track",
    "analyse",
    "write_clips",
]
