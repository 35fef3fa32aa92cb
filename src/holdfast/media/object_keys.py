"""The keys of a video's objects in the bucket; each follows from the video's id alone."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid5

if TYPE_CHECKING:
    from pathlib import PurePath
    from uuid import UUID

DETECTIONS = "detections.parquet"
LINES = "detections.jsonl.zst"
TRACKS = "tracks.parquet"
ANNOTATED = "annotated.mp4"
FRAMES = "frames"
SUMMARY = "summary.json"
COUNTS = "counts.csv"
ACTIVITY = "activity.parquet"
STRIP = "strip.jpg"
CLIPS = "clips"

_EXTENSIONS = {
    "avi": "avi",
    "matroska,webm": "mkv",
    "mov,mp4,m4a,3gp,3g2,mj2": "mp4",
    "mpegts": "ts",
    "mpeg": "mpg",
    "ogg": "ogv",
    "flv": "flv",
    "asf": "wmv",
    "gif": "gif",
}


def video_id(project: UUID, sha256: str) -> UUID:
    """Return the id that a file with this checksum has in *project*: the same at every attempt.

    So an ingest that was killed and is run again writes over what it left, and nothing strays.
    """
    return uuid5(project, sha256)


def raw_key(video: UUID, container: str) -> str:
    """Return where the file lies as it came in; *container* is FFmpeg's name of its format."""
    return f"raw/{video}/original.{_EXTENSIONS.get(container, 'bin')}"


def thumbnail_key(video: UUID) -> str:
    """Return where the picture lies that stands for the video."""
    return f"frames/{video}/thumbnail.jpg"


def result_key(video: UUID, file: PurePath) -> str:
    """Return where a file that a detection wrote lies; *file* is relative to its folder."""
    if file.parts[0] == FRAMES:
        return f"frames/{video}/{file.name}"
    room = "processed" if file.name == ANNOTATED or file.parts[0] == CLIPS else "results"
    return f"{room}/{video}/{file.as_posix()}"


def saved_clips_prefix(video: UUID) -> str:
    """Return what the keys of the clips that people saved of the video start with."""
    return f"processed/{video}/saved/"


def saved_clip_key(video: UUID, clip: UUID) -> str:
    """Return where the file of a saved clip lies."""
    return f"{saved_clips_prefix(video)}{clip}.mp4"


def prefixes(video: UUID) -> tuple[str, ...]:
    """Return what the keys of all objects of the video start with."""
    return tuple(f"{room}/{video}/" for room in ("raw", "processed", "frames", "results"))
