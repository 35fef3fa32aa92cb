"""The entities that the suite stores: every kind of field, key, constraint and relation."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID, uuid4

from pydantic import BaseModel

from holdfast.records.conformance.constraint_entities import CONSTRAINED
from holdfast.records.driver import StoreCapability
from holdfast.records.entities.declaration import (
    created_at,
    field,
    generated_key,
    key,
    ref,
    updated_at,
    version,
)
from holdfast.records.entities.entity import Entity
from holdfast.records.entities.field import Field
from holdfast.records.entities.relation import Many, One, many, one
from holdfast.records.entities.server_default import server_default, server_now, server_sequence
from holdfast.uuid7 import uuid7


class Colour(enum.Enum):
    """An enum of texts."""

    RED = "red"
    GREEN = "green"


class Level(enum.IntEnum):
    """An enum of ints."""

    LOW = 1
    HIGH = 2


@dataclass
class GridPoint:
    """A dataclass that is kept as JSON."""

    x: float
    y: float
    label: str | None = None


class Camera(BaseModel):
    """A pydantic model that is kept as JSON."""

    name: str
    port: int = 554
    tags: list[str] = []


MOMENT = datetime(2024, 2, 29, 12, 30, 15, 123456, tzinfo=UTC)


class Specimen(Entity, table="conformance_specimens", indexes=[("label", "number")]):
    """One field of every type, and one of every type that may be None."""

    id: Field[UUID] = key(default_factory=uuid7)
    flag: Field[bool] = field(default=False)
    number: Field[int] = field(default=0)
    ratio: Field[float] = field(default=0.0)
    text: Field[str] = field(default="")
    data: Field[bytes] = field(default=b"", max_length=1000)
    amount: Field[Decimal] = field(default=Decimal(0), digits=(12, 2))
    moment: Field[datetime] = field(default=MOMENT)
    day: Field[date] = field(default=date(2024, 2, 29))
    at: Field[time] = field(default=time(0))
    span: Field[timedelta] = field(default=timedelta(0))
    token: Field[UUID] = field(default=UUID(int=0))
    colour: Field[Colour] = field(default=Colour.RED)
    level: Field[Level] = field(default=Level.LOW)
    attributes: Field[dict[str, object]] = field(default_factory=dict)
    items: Field[list[object]] = field(default_factory=list)
    point: Field[GridPoint] = field(default_factory=lambda: GridPoint(0.0, 0.0))
    camera: Field[Camera] = field(default_factory=lambda: Camera(name="front"))
    label: Field[str | None] = field(default=None, max_length=10)
    maybe_flag: Field[bool | None] = field(default=None)
    maybe_number: Field[int | None] = field(default=None)
    maybe_ratio: Field[float | None] = field(default=None)
    maybe_data: Field[bytes | None] = field(default=None)
    maybe_amount: Field[Decimal | None] = field(default=None, digits=(18, 4))
    maybe_moment: Field[datetime | None] = field(default=None)
    maybe_day: Field[date | None] = field(default=None)
    maybe_at: Field[time | None] = field(default=None)
    maybe_span: Field[timedelta | None] = field(default=None)
    maybe_token: Field[UUID | None] = field(default=None)
    maybe_colour: Field[Colour | None] = field(default=None)
    maybe_attributes: Field[dict[str, object] | None] = field(default=None)
    maybe_point: Field[GridPoint | None] = field(default=None)
    version: Field[int] = version()


class Author(Entity, table="conformance_authors"):
    """A UUID key, a unique text, and relations."""

    id: Field[UUID] = key(default_factory=uuid7)
    name: Field[str] = field(max_length=50, unique=True)
    email: Field[str | None] = field(default=None, unique=True)
    born: Field[int | None] = field(default=None)
    created_at: Field[datetime] = created_at()
    updated_at: Field[datetime] = updated_at()
    version: Field[int] = version()
    books: Many[Book] = many(via="author_id")
    credited_in: Many[Book] = many(through="Credit")


class Book(Entity, table="conformance_books", indexes=[("author_id", "title")]):
    """A generated key; goes with its author, and outlives its editor."""

    id: Field[int] = generated_key()
    title: Field[str] = field(max_length=200)
    author_id: Field[UUID] = ref(Author, on_delete="cascade")
    editor_id: Field[UUID | None] = ref(Author, default=None, on_delete="set null")
    author: One[Author] = one(via="author_id")
    editor: One[Author | None] = one(via="editor_id")
    chapters: Many[Chapter] = many(via="book_id")
    credited: Many[Author] = many(through="Credit")


class Chapter(Entity, table="conformance_chapters"):
    """A text key; holds its book."""

    id: Field[str] = key(max_length=40)
    book_id: Field[int] = ref(Book, on_delete="restrict")
    heading: Field[str] = field(default="")
    book: One[Book] = one(via="book_id")
    notes: Many[Note] = many(via="chapter_id")


class Note(Entity, table="conformance_notes"):
    """An int key that the caller gives."""

    id: Field[int] = key()
    chapter_id: Field[str] = ref(Chapter, on_delete="cascade")
    text: Field[str] = field(default="")


class Tally(Entity, table="conformance_tallies"):
    """What is counted up by many at once."""

    id: Field[str] = key()
    total: Field[int] = field(default=0)
    ratio: Field[float] = field(default=0.0)
    amount: Field[Decimal] = field(default=Decimal(0), digits=(6, 2))
    spent: Field[timedelta] = field(default=timedelta(0))
    maybe: Field[int | None] = field(default=None)
    seen: Field[int] = field(default=0, unversioned=True)
    version: Field[int] = version()


class Setting(Entity, table="conformance_settings"):
    """No version and no times: what is written last is there."""

    name: Field[str] = key()
    value: Field[str | None] = field(default=None)


class Sample(Entity, table="conformance_samples", indexes=[("number", "text")]):
    """What random work is done with."""

    id: Field[str] = key()
    name: Field[str | None] = field(default=None, unique=True)
    number: Field[int | None] = field(default=None)
    text: Field[str] = field(default="")
    ratio: Field[float] = field(default=0.0)
    flag: Field[bool] = field(default=False)
    document: Field[dict[str, object]] = field(default_factory=dict)
    version: Field[int] = version()


class Member(Entity, table="conformance_members"):
    """Points at another one of its kind, and holds it; has a number that no other has."""

    id: Field[int] = key()
    chief_id: Field[int | None] = ref("Member", default=None, on_delete="restrict")
    rank: Field[int | None] = field(default=None, unique=True)
    name: Field[str] = field(default="")
    chief: One[Member | None] = one(via="chief_id")
    reports: Many[Member] = many(via="chief_id")
    follows: Many[Member] = many(through="Following", via="follower_id")
    followers: Many[Member] = many(through="Following", via="followed_id")


class Following(Entity, table="conformance_followings"):
    """A composite key of two references to entities of one kind, and more."""

    follower_id: Field[int] = ref(Member, key=True, on_delete="cascade")
    followed_id: Field[int] = ref(Member, key=True, on_delete="cascade")
    closeness: Field[int] = field(default=0)
    version: Field[int] = version()
    follower: One[Member] = one(via="follower_id")
    followed: One[Member] = one(via="followed_id")


class Credit(Entity, table="conformance_credits"):
    """A composite key of two references, and nothing more."""

    book_id: Field[int] = ref(Book, key=True, on_delete="cascade")
    author_id: Field[UUID] = ref(Author, key=True, on_delete="cascade")


class Article(Entity, table="conformance_articles"):
    """Has words that are searched."""

    id: Field[int] = key()
    title: Field[str] = field(search=3)
    body: Field[str | None] = field(default=None, search=True)
    read: Field[int] = field(default=0)
    version: Field[int] = version()


SCHEMA = f"conformance_{uuid4().hex[:12]}"
"""The schema of some entities. On servers whose schemas are databases it is of the whole server, so
each process has its own, and who runs the suite there drops it."""


class Preset(Entity, table="conformance_settings", schema=SCHEMA, indexes=[("rank",)]):
    """In a schema of its own, under the table's name that `Setting` has too."""

    id: Field[int] = generated_key()
    name: Field[str] = field(unique=True, max_length=50)
    rank: Field[int] = field(default=0, ge=0)
    version: Field[int] = version()
    choices: Many[Choice] = many(via="preset_id")


class Choice(Entity, table="conformance_choices"):
    """Points from the store's schema into another one."""

    id: Field[int] = generated_key()
    preset_id: Field[int] = ref(Preset, on_delete="cascade")
    weight: Field[int] = field(default=1)
    preset: One[Preset] = one(via="preset_id")


class Delivery(Entity, table="conformance_deliveries"):
    """Leaves fields to the database."""

    id: Field[int] = generated_key()
    name: Field[str] = field(unique=True, max_length=50)
    state: Field[str] = field(default=server_default("it's 50% :new \\"))
    tries: Field[int | None] = field(default=server_default(3), le=9)
    ratio: Field[float] = field(default=server_default(2.0))
    price: Field[Decimal] = field(default=server_default(Decimal("1.50")), digits=(6, 2))
    urgent: Field[bool] = field(default=server_default(True))
    token: Field[UUID] = field(default=server_default(UUID(int=7)))
    span: Field[timedelta] = field(default=server_default(timedelta(seconds=1)))
    due: Field[datetime] = field(default=server_default(MOMENT))
    day: Field[date] = field(default=server_default(MOMENT.date()))
    data: Field[bytes] = field(default=server_default(b"\x00'\xff"))
    notes: Field[dict[str, object]] = field(default=server_default({"a": [1, "it's"]}))
    seen: Field[datetime] = field(default=server_now())
    version: Field[int] = version()


class Parcel(Entity, table="conformance_parcels"):
    """Leaves a field to the database, under a key that callers give."""

    id: Field[UUID] = key()
    parent_id: Field[UUID | None] = ref("Parcel", default=None)
    state: Field[str] = field(default=server_default("new"), max_length=20)
    note: Field[str | None] = field(default=server_default("none"))


class Invoice(Entity, table="conformance_invoices"):
    """Under the numbers of a sequence that it shares, and with those of one that goes down."""

    number: Field[int] = key(default=server_sequence("conformance_papers", start=1000, increment=5))
    name: Field[str] = field(unique=True, max_length=50)
    place: Field[int] = field(
        default=server_sequence("conformance_places", start=3, increment=-2), ge=-100_000
    )
    version: Field[int] = version()


class Receipt(Entity, table="conformance_receipts"):
    """Goes on in the sequence of invoices, with numbers under keys that callers give."""

    id: Field[str] = key(max_length=20)
    number: Field[int | None] = field(
        default=server_sequence("conformance_papers", start=1000, increment=5), unique=True
    )
    state: Field[str] = field(default=server_default("new"), max_length=20)


class Seat(Entity, table="conformance_seats"):
    """Of a sequence with few numbers, and a key of two fields, one of which is numbered."""

    row: Field[str] = key(max_length=10)
    number: Field[int] = key(default=server_sequence("conformance_seat_numbers", start=2**63 - 3))


class Docket(Entity, table="conformance_papers_elsewhere", schema=SCHEMA):
    """Of a sequence of the same name in another schema."""

    number: Field[int] = key(default=server_sequence("conformance_papers"))


ENTITIES: tuple[type[Entity], ...] = (
    Author, Book, Chapter, Note, Specimen, Tally, Setting, Sample, Member, Following, Credit,
    Article, Preset, Choice, Delivery, Parcel, Invoice, Receipt, Seat, Docket, *CONSTRAINED,
)  # fmt: skip
_NEEDS = {
    Article: StoreCapability.FULL_TEXT,
    **dict.fromkeys((Invoice, Receipt, Seat, Docket), StoreCapability.SEQUENCES),
}


def entities_for(capabilities: frozenset[StoreCapability]) -> tuple[type[Entity], ...]:
    """Return those of `ENTITIES` that a store with *capabilities* can hold."""
    return tuple(
        entity for entity in ENTITIES if entity not in _NEEDS or _NEEDS[entity] in capabilities
    )
