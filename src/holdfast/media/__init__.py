"""Projects, videos and clips: real video files in, with the work on them.

What a file is tells `holdfast.media.probe`; what looks at the pictures is `holdfast.media.vision`.
These two need the extra `media`; a library reads foreign files in a process of its own, by
`holdfast.media.decoder_process`.
"""

from typing import TYPE_CHECKING

from holdfast.late_import import late_names

if TYPE_CHECKING:
    from holdfast.media.decoding_limits import DecoderLimits
    from holdfast.media.entities import MEDIA_ENTITIES, Clip, Project, Video
    from holdfast.media.library import Ingested, MediaLibrary
else:
    __getattr__ = late_names(
        __name__,
        {
            "holdfast.media.decoding_limits": ("DecoderLimits",),
            "holdfast.media.entities": ("MEDIA_ENTITIES", "Clip", "Project", "Video"),
            "holdfast.media.library": ("Ingested", "MediaLibrary"),
        },
    )

__all__ = [
    "MEDIA_ENTITIES",
    "Clip",
    "DecoderLimits",
    "Ingested",
    "MediaLibrary",
    "Project",
    "Video",
]
