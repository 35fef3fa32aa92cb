"""Projects, videos and clips: real video files in, with the work on them.

What looks at the pictures is in `holdfast.media.vision`.
"""

from holdfast.media.entities import ENTITIES, Clip, Project, Video
from holdfast.media.library import Ingested, MediaLibrary
from holdfast.media.probe import VideoInfo, probe, thumbnail

__all__ = [
    "ENTITIES",
    "Clip",
    "Ingested",
    "MediaLibrary",
    "Project",
    "Video",
    "VideoInfo",
    "probe",
    "thumbnail",
]
