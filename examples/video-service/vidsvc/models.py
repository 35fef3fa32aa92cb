"""What the service keeps."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from holdfast import (
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
    uuid7,
    version,
)
from holdfast.jobs import Job


class Status(StrEnum):
    NEW = "new"
    READY = "ready"
    BROKEN = "broken"


class Stamped(Entity):
    id: Field[UUID] = key(default_factory=uuid7)
    created_at: Field[datetime] = created_at()
    updated_at: Field[datetime] = updated_at()
    version: Field[int] = version()


class Project(Stamped, table="projects", audited=True):
    name: Field[str] = field(max_length=200, unique=True)
    description: Field[str | None] = field(default=None, max_length=2000)


class Video(
    Stamped,
    table="videos",
    audited=True,
    indexes=[("project_id", "created_at")],
    uniques=[("project_id", "title")],
):
    project_id: Field[UUID] = ref(Project, on_delete="cascade")
    title: Field[str] = field(max_length=200)
    filename: Field[str] = field(max_length=255)
    object_key: Field[str] = field(max_length=255, unique=True)
    content_type: Field[str] = field(max_length=100)
    size: Field[int]
    rating: Field[int | None] = field(default=None)
    duration: Field[float] = field(default=0.0)
    status: Field[Status] = field(default=Status.NEW)
    sha256: Field[str | None] = field(default=None, max_length=64)
    labels: Many["VideoTag"] = many(via="video_id")


class ViewCount(Entity, table="view_counts", indexes=[("project_id", "views")]):
    """Apart from Video, since counting would move the version that editors compare."""

    id: Field[UUID] = key(default_factory=uuid7)
    video_id: Field[UUID] = ref(Video, on_delete="cascade", unique=True)
    project_id: Field[UUID] = ref(Project, on_delete="cascade")
    views: Field[int] = field(default=0)
    video: One[Video] = one(via="video_id")


class Tag(Entity, table="tags"):
    id: Field[UUID] = key(default_factory=uuid7)
    name: Field[str] = field(max_length=50, unique=True)


class VideoTag(Entity, table="video_tags", uniques=[("video_id", "tag_id")]):
    id: Field[UUID] = key(default_factory=uuid7)
    video_id: Field[UUID] = ref(Video, on_delete="cascade")
    tag_id: Field[UUID] = ref(Tag, on_delete="cascade")
    tag: One[Tag] = one(via="tag_id")


ENTITIES: list[type] = [Project, Video, ViewCount, Tag, VideoTag, Job]
