"""The eyes: what finds and follows things in videos, and writes down what it saw.

Needs OpenCV, NumPy and pyarrow, so it stands apart from the library, which does without them.
"""

from holdfast.media.vision.analysis import Analysis, analyse
from holdfast.media.vision.clips import write_clips
from holdfast.media.vision.detection import (
    Box,
    Detection,
    Detector,
    Findings,
    Line,
    Point,
    Stretch,
    Track,
    Watch,
)
from holdfast.media.vision.motion import MotionDetector, MotionOptions

__all__ = [
    "Analysis",
    "Box",
    "Detection",
    "Detector",
    "Findings",
    "Line",
    "MotionDetector",
    "MotionOptions",
    "Point",
    "Stretch",
    "Track",
    "Watch",
    "analyse",
    "write_clips",
]
