"""What reviewers leave: segments seen, marked and noted, clips of their own, links, and cases."""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from uuid import UUID

from holdfast.media.entities import Project, Video
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


class SegmentReview(
    Entity,
    table="segment_reviews",
    uniques=[("video_id", "reviewer", "start_frame", "end_frame")],
):
    """What one *reviewer* made of one segment: a stretch of movement, known by its frames.

    Another detection that finds the same stretch keeps it; one that finds others leaves it as it
    is, for its note.
    """

    id: Field[UUID] = key(default_factory=uuid7)
    video_id: Field[UUID] = ref(Video, on_delete="cascade")
    reviewer: Field[str] = field(max_length=200)
    start_frame: Field[int]
    end_frame: Field[int]
    seen_at: Field[datetime | None] = field(default=None)
    marked: Field[bool] = field(default=False)
    note: Field[str | None] = field(default=None, max_length=2000)
    created_at: Field[datetime] = created_at()
    updated_at: Field[datetime] = updated_at()
    version: Field[int] = version()


class SavedClip(Entity, table="saved_clips", uniques=[("video_id", "name")]):
    """A part of a video that somebody named, from *start_time* to *end_time* in seconds.

    *key* is where its own file lies in the bucket, once it was exported; *job_id* is the job that
    exports it.
    """

    id: Field[UUID] = key(default_factory=uuid7)
    video_id: Field[UUID] = ref(Video, on_delete="cascade")
    name: Field[str] = field(max_length=200)
    start_time: Field[float]
    end_time: Field[float]
    created_by: Field[str] = field(max_length=200)
    key: Field[str | None] = field(default=None, max_length=1024)
    exported_at: Field[datetime | None] = field(default=None)
    job_id: Field[UUID | None] = field(default=None)
    created_at: Field[datetime] = created_at()
    updated_at: Field[datetime] = updated_at()
    version: Field[int] = version()
    shares: Many[ClipShare] = many(via="saved_clip_id")


class ClipShare(Entity, table="clip_shares"):
    """A link by which anybody may play a saved clip until it expires; kept is its SHA-256 alone."""

    id: Field[UUID] = key(default_factory=uuid7)
    saved_clip_id: Field[UUID] = ref(SavedClip, on_delete="cascade")
    sha256: Field[str] = field(max_length=64, unique=True, audit="redact")
    expires_at: Field[datetime]
    created_by: Field[str] = field(max_length=200)
    created_at: Field[datetime] = created_at()
    version: Field[int] = version()


class ReviewCase(Entity, table="cases", indexes=[("project_id", "created_at")]):
    """What belongs together of a project's videos, to be handed over as one archive."""

    id: Field[UUID] = key(default_factory=uuid7)
    project_id: Field[UUID] = ref(Project)
    title: Field[str] = field(max_length=200)
    description: Field[str] = field(default="", max_length=4000)
    opened_by: Field[str] = field(max_length=200)
    created_at: Field[datetime] = created_at()
    updated_at: Field[datetime] = updated_at()
    version: Field[int] = version()
    project: One[Project] = one(via="project_id")
    items: Many[CaseItem] = many(via="case_id")


class CaseItemKind(Enum):
    """What an item of a case is."""

    CLIP = "clip"
    DETECTIONS = "detections"
    NOTE = "note"


class CaseItem(Entity, table="case_items"):
    """One thing in a case: a saved clip, the detections of a time in a video, or a note.

    A video and a clip that are in a case can't be deleted.
    """

    id: Field[UUID] = key(default_factory=uuid7)
    case_id: Field[UUID] = ref(ReviewCase, on_delete="cascade")
    kind: Field[CaseItemKind]
    video_id: Field[UUID | None] = ref(Video, default=None)
    saved_clip_id: Field[UUID | None] = ref(SavedClip, default=None)
    start_time: Field[float | None] = field(default=None)
    end_time: Field[float | None] = field(default=None)
    text: Field[str] = field(default="", max_length=4000)
    added_by: Field[str] = field(max_length=200)
    created_at: Field[datetime] = created_at()
    version: Field[int] = version()


REVIEW_ENTITIES: tuple[type[Entity], ...] = (
    SegmentReview,
    SavedClip,
    ClipShare,
    ReviewCase,
    CaseItem,
)
