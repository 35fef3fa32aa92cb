"""The entities of the tests of applications."""

from datetime import datetime
from decimal import Decimal
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


class Status(StrEnum):
    NEW = "new"
    READY = "ready"


class Project(Entity, table="projects"):
    id: Field[UUID] = key(default_factory=uuid7)
    name: Field[str] = field(max_length=50, unique=True)
    version: Field[int] = version()
    videos: Many["Video"] = many(via="project_id")


class Video(Entity, table="videos", indexes=[("project_id", "created_at")]):
    id: Field[UUID] = key(default_factory=uuid7)
    project_id: Field[UUID | None] = ref(Project, default=None)
    title: Field[str] = field(max_length=50, unique=True)
    duration: Field[float] = field(default=0.0)
    views: Field[int] = field(default=0)
    price: Field[Decimal | None] = field(default=None, digits=(8, 2))
    status: Field[Status] = field(default=Status.NEW)
    attributes: Field[dict[str, object]] = field(default_factory=dict)
    secret: Field[str | None] = field(default=None, max_length=20)
    created_at: Field[datetime] = created_at()
    updated_at: Field[datetime] = updated_at()
    version: Field[int] = version()
    project: One[Project] = one(via="project_id")
