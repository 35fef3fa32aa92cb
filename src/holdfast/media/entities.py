"""What the media domain keeps records of: projects, their videos, and the clips in them."""

from __future__ import annotations

from datetime import datetime
from fractions import Fraction
from uuid import UUID

from holdfast.records import (
    Entity,
    Field,
    Many,
    One,
    created_at,
    field,
    key,
    many,
    one,
    ref,
    updated_at,
    version,
)
from holdfast.uuid7 import uuid7


class Project(Entity, table="projects"):
    """What videos belong together."""

    id: Field[UUID] = key(default_factory=uuid7)
    name: Field[str] = field(max_length=200, unique=True)
    description: Field[str | None] = field(default=None)
    created_at: Field[datetime] = created_at()
    updated_at: Field[datetime] = updated_at()
    version: Field[int] = version()
    videos: Many[Video] = many(via="project_id")


class Video(
    Entity,
    table="videos",
    indexes=[("project_id", "created_at"), ("created_at",)],  # of a project; of all
    uniques=[("project_id", "sha256")],
):
    """One video file of a project; a file is known by its checksum, whatever its name.

    *duration* is in seconds, *width* and *height* in pixels as displayed, *size* in bytes. The
    frame rate is the exact ratio of its two parts. *summary* holds the figures of the last
    detection, and is None until there was one.
    """

    id: Field[UUID] = key()
    project_id: Field[UUID] = ref(Project)
    filename: Field[str] = field(max_length=1024)
    sha256: Field[str] = field(max_length=64)
    size: Field[int]
    container: Field[str] = field(max_length=100)
    codec: Field[str] = field(max_length=100)
    duration: Field[float]
    frames: Field[int]
    rate_numerator: Field[int]
    rate_denominator: Field[int]
    width: Field[int]
    height: Field[int]
    has_audio: Field[bool]
    raw_key: Field[str] = field(max_length=1024)
    thumbnail_key: Field[str] = field(max_length=1024)
    job_id: Field[UUID | None] = field(default=None)
    analysed_at: Field[datetime | None] = field(default=None)
    summary: Field[dict[str, object] | None] = field(default=None)
    created_at: Field[datetime] = created_at()
    updated_at: Field[datetime] = updated_at()
    version: Field[int] = version()
    project: One[Project] = one(via="project_id")
    clips: Many[Clip] = many(via="video_id")

    @property
    def frame_rate(self) -> Fraction:
        """Frames a second, exactly."""
        return Fraction(self.rate_numerator, self.rate_denominator)


class Clip(Entity, table="clips", uniques=[("video_id", "number")]):
    """A stretch of a video with movement: frames from *start_frame* up to, without, *end_frame*.

    Clips of a video are numbered from 1 and never overlap; times are in seconds. *tracks* counts
    the things that moved in it, *key* is where its own video lies in the bucket.
    """

    id: Field[UUID] = key(default_factory=uuid7)
    video_id: Field[UUID] = ref(Video, on_delete="cascade")
    number: Field[int]
    key: Field[str] = field(max_length=1024)
    start_frame: Field[int]
    end_frame: Field[int]
    start_time: Field[float]
    end_time: Field[float]
    tracks: Field[int]
    created_at: Field[datetime] = created_at()
    version: Field[int] = version()
    video: One[Video] = one(via="video_id")

    @property
    def duration(self) -> float:
        """Its length in seconds."""
        return self.end_time - self.start_time


MEDIA_ENTITIES: tuple[type[Entity], ...] = (Project, Video, Clip)
"""The entities that a store of videos is opened with."""
