"""Audited entities, and a store of them that is emptied for each test."""

from contextlib import asynccontextmanager
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from holdfast import (
    Entity,
    Field,
    created_at,
    everything,
    field,
    key,
    open_store,
    ref,
    updated_at,
    uuid7,
    version,
)
from holdfast.audit import AuditHook
from holdfast.audit.audit_entry import AUDIT_ENTITIES

BACKENDS = ["memory", "sqlite", "postgresql", "mariadb"]


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Project(Entity, table="projects", audited=True):
    id: Field[UUID] = key(default_factory=uuid7)
    name: Field[str] = field(max_length=100, unique=True)
    description: Field[str | None] = field(default=None)
    secret: Field[str | None] = field(default=None, audit="redact")
    token: Field[str | None] = field(default=None, audit="hash")
    cached: Field[int] = field(default=0, audit="skip")
    colour: Field[Colour] = field(default=Colour.RED)
    price: Field[Decimal | None] = field(default=None, digits=(12, 2))
    share: Field[float | None] = field(default=None)
    blob: Field[bytes | None] = field(default=None)
    day: Field[date | None] = field(default=None)
    clock: Field[time | None] = field(default=None)
    length: Field[timedelta | None] = field(default=None)
    extra: Field[dict[str, object] | None] = field(default=None)
    created_at: Field[datetime] = created_at()
    updated_at: Field[datetime] = updated_at()
    version: Field[int] = version()


class Task(Entity, table="tasks", audited=True):
    id: Field[UUID] = key(default_factory=uuid7)
    project_id: Field[UUID] = ref(Project, on_delete="cascade")
    title: Field[str]


@asynccontextmanager
async def audited_store(url, **options):
    """Yield an empty store of projects and tasks, with its audit."""
    async with open_store(url, [Project, Task], hooks=[AuditHook()], **options) as store:
        await store.create_schema()
        await store.clear()
        for entity in AUDIT_ENTITIES:
            await store.repository(entity).delete_where(everything())
        yield store
