"""Projects, videos and clips: real video files in, with the work on them.

What a file is tells `holdfast.media.probe`; what looks at the pictures is `holdfast.media.vision`.
These two need the extra `media`; what is here does not until a file is ingested.
"""

from holdfast.media.entities import ENTITIES, Clip, Project, Video
from holdfast.media.library import Ingested, MediaLibrary

__all__ = [
    "ENTITIES",
    "Clip",
    "Ingested",
    "MediaLibrary",
    "Project",
    "Video",
]
