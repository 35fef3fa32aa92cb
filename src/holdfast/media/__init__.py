"""Projects, videos and clips: real video files in, what moves in them out."""

from holdfast.media.analysis import Analysis, analyse
from holdfast.media.detection import (
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
from holdfast.media.entities import ENTITIES, Clip, Project, Video
from holdfast.media.library import Ingested, MediaLibrary
from holdfast.media.motion import MotionDetector, MotionOptions
from holdfast.media.probe import VideoInfo, probe, thumbnail
from holdfast.media.work import DetectionWork

__all__ = [
    "ENTITIES",
    "Analysis",
    "Box",
    "Clip",
    "Detection",
    "DetectionWork",
    "Detector",
    "Findings",
    "Ingested",
    "Line",
    "MediaLibrary",
    "MotionDetector",
    "MotionOptions",
    "Point",
    "Project",
    "Stretch",
    "Track",
    "Video",
    "VideoInfo",
    "Watch",
    "analyse",
    "probe",
    "thumbnail",
]
