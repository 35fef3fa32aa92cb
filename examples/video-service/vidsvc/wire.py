"""What goes over the wire."""

from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, Field

import holdfast.fastapi as hf
from vidsvc.models import Project, Video


class ProjectIn(hf.CreateModel[Project]): ...


class ProjectOut(hf.OutModel[Project]): ...


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


SORTS = [Video.created_at.desc(), Video.title, Video.duration, Video.size]


class VideoQuery(hf.ListQuery[Video], filters=[Video.project_id, Video.status], sorts=SORTS):
    title: str | None = None
    min_duration: float | None = None
    max_duration: float | None = None
    tag: list[str] = []


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
        named = dict(zip(("videos", "duration", "size"), figures, strict=True))
        return cls.model_validate({"project_id": project.id, "name": project.name, **named})


class Popular(BaseModel):
    video_id: UUID
    title: str
    views: int


class TagsIn(BaseModel):
    names: list[Annotated[str, Field(max_length=50)]] = Field(max_length=50)
