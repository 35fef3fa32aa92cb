"""An entity with a field of each kind, as a user's own module has it."""

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from uuid import UUID

from holdfast import Entity, Field, created_at, field, key, version


class Colour(Enum):
    RED = 1
    BLUE = 2


class Reading(Entity, table="readings"):
    """A reading, whose key is two fields."""

    sensor: Field[str] = key(max_length=20)
    number: Field[int] = key()
    value: Field[float] = field(default=0.0)


class Measurement(Entity, table="measurements"):
    """A measurement."""

    id: Field[UUID] = key()
    name: Field[str] = field(max_length=100)
    note: Field[str | None] = field(default=None)
    on: Field[bool] = field(default=True)
    count: Field[int] = field(default=0)
    ratio: Field[float] = field(default=0.5)
    raw: Field[bytes] = field(default=b"")
    price: Field[Decimal] = field(default=Decimal("1.50"), digits=(10, 2))
    at: Field[datetime | None] = field(default=None)
    day: Field[date | None] = field(default=None)
    hour: Field[time | None] = field(default=None)
    took: Field[timedelta | None] = field(default=None)
    colour: Field[Colour] = field(default=Colour.RED)
    extra: Field[dict[str, object]] = field(default_factory=dict)
    tags: Field[list[str] | None] = field(default=None)
    created_at: Field[datetime] = created_at()
    version: Field[int] = version()
