"""Computer vision: finds and follows things in videos, and writes results.

Needs OpenCV, NumPy and pyarrow, so it stands apart from the library, which does without them.
"""

from holdfast.media.vision.analysis import Analysis, analyse
from holdfast.media.vision.clip_writer import write_clips
from holdfast.media.vision.detector import (
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
    "Point",
    "Stretch",
    "Track",
    "analyse",
    "write_clips",
]
