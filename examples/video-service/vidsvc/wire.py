"""What goes over the wire."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, Field

import holdfast.fastapi as hf
from holdfast import Predicate
from holdfast.audit import AuditEntry
from vidsvc.models import Project, Stamped, Tag, Video, VideoTag


class ProjectQuery(hf.ListQuery[Project], sorts=[Project.name]):
    total: bool = True


class Details(BaseModel):
    title: str = Field(min_length=1, max_length=200)
    duration: float = Field(default=0.0, ge=0)


class VideoPatch(hf.PatchModel[Video], only=[Video.title, Video.duration, Video.status]):
    expected: int = Field(alias="version")


class VideoOut(hf.OutModel[Video], hide=[Video.object_key, Video.rating]):
    tags: list[str] = []

    @classmethod
    def of(cls, entity: Video) -> Self:
        out = super().of(entity)
        out.tags = sorted(label.tag.name for label in entity.labels)
        return out


class VideoQuery(
    hf.ListQuery[Video],
    filters=[Video.project_id, Video.status],
    named={
        "title": Video.title.icontains,
        "min_duration": Video.duration.__ge__,
        "max_duration": Video.duration.__le__,
    },
    sorts=[Video.created_at.desc(), Video.title, Video.duration, Video.size],
):
    tag: list[str] = Field(default=[], max_length=20)

    def where(self) -> list[Predicate]:
        tagged = [Video.labels.any(VideoTag.tag.has(Tag.name == name)) for name in self.tag]
        return [*super().where(), *tagged]


class Uploaded(BaseModel):
    video: VideoOut
    job_id: UUID


class ProjectStatistics(BaseModel):
    project_id: UUID
    name: str
    videos: int
    duration: float
    size: int

    @classmethod
    def of(cls, project: Project, *figures: object) -> Self:
        values = (project.id, project.name, *figures)
        return cls.model_validate(dict(zip(cls.model_fields, values, strict=True)))


class Popular(BaseModel):
    video_id: UUID
    title: str
    views: int


class TagsIn(BaseModel):
    names: list[Annotated[str, Field(max_length=50)]] = Field(max_length=50)


ACTIONS = {"add": "create", "patch": "update", "video.tags": "tags"}


class Revision(BaseModel):
    actor: str | None
    action: str
    at: datetime
    changes: dict[str, object]

    @classmethod
    def of(cls, entry: AuditEntry) -> Self:
        stamps = Stamped.__annotations__
        return cls(
            actor=entry.actor,
            action=ACTIONS.get(entry.verb, entry.verb),
            at=entry.at,
            changes={name: each for name, each in entry.changes.items() if name not in stamps},
        )
