"""The entities under constraints of their own, and those that are deleted by a mark."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from holdfast.records.entities.declaration import (
    check,
    created_at,
    deleted_at,
    field,
    generated_key,
    key,
    ref,
    unique,
    updated_at,
    version,
)
from holdfast.records.entities.entity import Entity
from holdfast.records.entities.field import Field
from holdfast.records.entities.relation import Many, One, many, one

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.records.entities.constraint import Constraint


class Ticket(Entity, table="conformance_tickets"):
    """Has bounds, checks, and uniques of some rows and without case."""

    id: Field[int] = key()
    name: Field[str] = field(max_length=60)
    email: Field[str | None] = field(default=None, max_length=60)
    open: Field[bool] = field(default=True)
    state: Field[str] = field(default="new")
    size: Field[int | None] = field(default=None)
    priority: Field[int] = field(default=1, ge=0, le=10)
    price: Field[Decimal] = field(default=Decimal(1), digits=(6, 2), ge=Decimal("0.5"))
    spent: Field[timedelta | None] = field(default=None, le=timedelta(hours=1))
    version: Field[int] = version()

    @classmethod
    def __constraints__(cls) -> Sequence[Constraint]:
        return [
            unique(cls.name, where=cls.open == True, name="open_name"),  # noqa: E712 - a predicate
            unique(cls.email, ignore_case=True),
            check("known_state", cls.state.in_(["new", "it's 50% \\ done", "ended"])),
            check("sized_when_ended", (cls.state != "ended") | (cls.size > 0)),
        ]


class Folder(Entity, table="conformance_folders"):
    """Is deleted by a mark."""

    id: Field[int] = generated_key()
    name: Field[str] = field(max_length=50, unique=True)
    created_at: Field[datetime] = created_at()
    updated_at: Field[datetime] = updated_at()
    version: Field[int] = version()
    deleted_at: Field[datetime | None] = deleted_at()
    files: Many[File] = many(via="folder_id")


class File(Entity, table="conformance_files"):
    """Goes with its folder by a mark of its own; a copy outlives what it was made of."""

    id: Field[str] = key(max_length=40)
    folder_id: Field[int] = ref(Folder, on_delete="cascade")
    copied_from: Field[int | None] = ref(Folder, default=None, on_delete="set null")
    size: Field[int] = field(default=0)
    deleted_at: Field[datetime | None] = deleted_at()
    folder: One[Folder] = one(via="folder_id")
    source: One[Folder | None] = one(via="copied_from")


class Hold(Entity, table="conformance_holds"):
    """Holds its file, and is itself deleted for good."""

    id: Field[int] = key()
    file_id: Field[str] = ref(File, on_delete="restrict")


CONSTRAINED: tuple[type[Entity], ...] = (Ticket, Folder, File, Hold)
