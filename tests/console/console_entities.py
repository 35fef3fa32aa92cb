"""A domain of a user's own: entities with many kinds of fields, for the pages of records."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from holdfast.domain import Domain
from holdfast.records import Entity, Field, Many, field, key, many, ref, version
from holdfast.uuid7 import uuid7


class Mood(StrEnum):
    CALM = "calm"
    BUSY = "busy"


class Depot(Entity, table="depots", audited=True):
    id: Field[UUID] = key(default_factory=uuid7)
    name: Field[str] = field(max_length=100, unique=True)
    note: Field[str | None] = field(default=None)
    size: Field[int] = field(ge=0, default=1)
    mood: Field[Mood] = field(default=Mood.CALM)
    open: Field[bool] = field(default=True)
    price: Field[Decimal | None] = field(digits=(10, 2), default=None)
    seen_at: Field[datetime | None] = field(default=None)
    extra: Field[dict[str, object]] = field(default_factory=dict)
    secret: Field[str | None] = field(default=None, audit="redact")
    version: Field[int] = version()
    gates: Many["Gatehouse"] = many(via="depot_id")


class Gatehouse(Entity, table="gatehouses"):
    code: Field[str] = key(max_length=80)
    depot_id: Field[UUID] = ref(Depot)


class Rota(Entity, table="rotas"):
    depot_id: Field[UUID] = ref(Depot, key=True)
    day: Field[int] = key()
    who: Field[str | None] = field(default=None)


class Memo(Entity, table="memos"):
    id: Field[UUID] = key(default_factory=uuid7)
    text: Field[str] = field(search=True)


DEPOTS = Domain(name="depots", entities=(Depot, Gatehouse, Rota, Memo), editable=(Depot, Gatehouse))
