"""The suite's entities once more, declared as SQLAlchemy's users declare them."""

from __future__ import annotations

import dataclasses
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from holdfast.records.conformance import sample_entities as own
from holdfast.records.conformance.sample_entities import MOMENT, Camera, Colour, GridPoint, Level
from holdfast.uuid7 import uuid7

JSON = sa.JSON(none_as_null=True)
THROUGH = {"holdfast": "through"}
# MySQL and MariaDB index text of a bounded length.
INDEXED_TEXT = sa.Text().with_variant(sa.String(500), "mysql", "mariadb")
MOMENT_TYPE = sa.DateTime(timezone=True)


class Base(DeclarativeBase):
    type_annotation_map = {  # noqa: RUF012 - as SQLAlchemy wants it
        int: sa.BigInteger().with_variant(sa.Integer, "sqlite"),
        str: sa.Text,
        datetime: MOMENT_TYPE,
        dict[str, object]: JSON,
        list[object]: JSON,
    }


class Units(sa.TypeDecorator[Decimal]):
    """An exact decimal, kept as a whole number of its last digit."""

    impl = sa.BigInteger
    cache_ok = True

    def __init__(self, precision: int, scale: int) -> None:
        super().__init__()
        self.precision, self.scale = precision, scale

    def process_bind_param(self, value, dialect):
        if not isinstance(value, Decimal):
            raise TypeError("expected Decimal")
        return int(value.scaleb(self.scale))

    def process_result_value(self, value, dialect):
        return None if value is None else Decimal(value).scaleb(-self.scale)


class Microseconds(sa.TypeDecorator[timedelta]):
    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value, dialect):
        if not isinstance(value, timedelta):
            raise TypeError("expected timedelta")
        return value // timedelta(microseconds=1)

    def process_result_value(self, value, dialect):
        return None if value is None else timedelta(microseconds=value)


class LevelNumber(sa.TypeDecorator[Level]):
    impl = sa.Integer
    cache_ok = True

    def process_bind_param(self, value, dialect):
        if not isinstance(value, Level):
            raise TypeError("expected Level")
        return int(value)

    def process_result_value(self, value, dialect):
        return None if value is None else Level(value)


class PointDocument(sa.TypeDecorator[GridPoint]):
    impl = sa.JSON(none_as_null=True)
    cache_ok = True

    def process_bind_param(self, value, dialect):
        if not isinstance(value, GridPoint):
            raise TypeError("expected GridPoint")
        return dataclasses.asdict(value)

    def process_result_value(self, value, dialect):
        return None if value is None else GridPoint(**value)


class CameraDocument(sa.TypeDecorator[Camera]):
    impl = sa.JSON(none_as_null=True)
    cache_ok = True

    def process_bind_param(self, value, dialect):
        if not isinstance(value, Camera):
            raise TypeError("expected Camera")
        return value.model_dump(mode="json", warnings="error")

    def process_result_value(self, value, dialect):
        return None if value is None else Camera.model_validate(value)


COLOUR = sa.Enum(Colour, values_callable=lambda kind: [each.value for each in kind], name="colour")


class Specimen(Base):
    __tablename__ = "conformance_specimens"
    __table_args__ = (sa.Index("ix_specimens", "label", "number"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    flag: Mapped[bool] = mapped_column(default=False)
    number: Mapped[int] = mapped_column(default=0)
    ratio: Mapped[float] = mapped_column(sa.Double, default=0.0)
    text: Mapped[str] = mapped_column(default="")
    data: Mapped[bytes] = mapped_column(sa.LargeBinary(1000), default=b"")
    amount: Mapped[Decimal] = mapped_column(sa.Numeric(12, 2), default=Decimal(0))
    moment: Mapped[datetime] = mapped_column(default=MOMENT)
    day: Mapped[date] = mapped_column(default=date(2024, 2, 29))
    at: Mapped[time] = mapped_column(default=time(0))
    span: Mapped[timedelta] = mapped_column(Microseconds, default=timedelta(0))
    token: Mapped[UUID] = mapped_column(default=UUID(int=0))
    colour: Mapped[Colour] = mapped_column(COLOUR, default=Colour.RED)
    level: Mapped[Level] = mapped_column(LevelNumber, default=Level.LOW)
    attributes: Mapped[dict[str, object]] = mapped_column(default=dict)
    items: Mapped[list[object]] = mapped_column(default=list)
    point: Mapped[GridPoint] = mapped_column(PointDocument, default=lambda: GridPoint(0.0, 0.0))
    camera: Mapped[Camera] = mapped_column(CameraDocument, default=lambda: Camera(name="front"))
    label: Mapped[str | None] = mapped_column(sa.String(10))
    maybe_flag: Mapped[bool | None]
    maybe_number: Mapped[int | None]
    maybe_ratio: Mapped[float | None] = mapped_column(sa.Double)
    maybe_data: Mapped[bytes | None]
    maybe_amount: Mapped[Decimal | None] = mapped_column(Units(18, 4))
    maybe_moment: Mapped[datetime | None]
    maybe_day: Mapped[date | None]
    maybe_at: Mapped[time | None]
    maybe_span: Mapped[timedelta | None] = mapped_column(Microseconds)
    maybe_token: Mapped[UUID | None]
    maybe_colour: Mapped[Colour | None] = mapped_column(COLOUR)
    maybe_attributes: Mapped[dict[str, object] | None] = mapped_column(JSON)
    maybe_point: Mapped[GridPoint | None] = mapped_column(PointDocument)
    version: Mapped[int] = mapped_column()
    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012


class Author(Base):
    __tablename__ = "conformance_authors"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    name: Mapped[str] = mapped_column(sa.String(50), unique=True)
    email: Mapped[str | None] = mapped_column(sa.String(255), unique=True)
    born: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(info={"holdfast": "created_at"})
    updated_at: Mapped[datetime] = mapped_column(info={"holdfast": "updated_at"})
    version: Mapped[int] = mapped_column("row_version")
    books: Mapped[list[Book]] = relationship(
        back_populates="author", foreign_keys="Book.author_id", passive_deletes=True
    )
    credited_in: Mapped[list[Book]] = relationship(
        secondary="conformance_credits", viewonly=True, info=THROUGH
    )
    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012


class Book(Base):
    __tablename__ = "conformance_books"
    __table_args__ = (
        sa.Index("ix_books", "author", "title"),
        {"sqlite_autoincrement": True},  # or SQLite gives the number of a deleted row again
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(sa.String(200))
    author_id: Mapped[UUID] = mapped_column(
        "author", sa.ForeignKey(Author.id, ondelete="CASCADE")
    )  # a column of another name
    editor_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey(Author.id, ondelete="SET NULL"))
    author: Mapped[Author] = relationship(foreign_keys=author_id, back_populates="books")
    editor: Mapped[Author | None] = relationship(foreign_keys=editor_id)
    chapters: Mapped[list[Chapter]] = relationship(back_populates="book")
    credited: Mapped[list[Author]] = relationship(
        secondary="conformance_credits", viewonly=True, info=THROUGH
    )


class Chapter(Base):
    __tablename__ = "conformance_chapters"

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    book_id: Mapped[int] = mapped_column(sa.ForeignKey(Book.id, ondelete="RESTRICT"))
    heading: Mapped[str] = mapped_column(default="")
    book: Mapped[Book] = relationship(back_populates="chapters")
    notes: Mapped[list[Note]] = relationship()


class Note(Base):
    __tablename__ = "conformance_notes"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    chapter_id: Mapped[str] = mapped_column(sa.ForeignKey(Chapter.id, ondelete="CASCADE"))
    text: Mapped[str] = mapped_column(default="")


class Tally(Base):
    __tablename__ = "conformance_tallies"

    id: Mapped[str] = mapped_column(sa.String(255), primary_key=True)
    total: Mapped[int] = mapped_column(default=0)
    ratio: Mapped[float] = mapped_column(sa.Double, default=0.0)
    amount: Mapped[Decimal] = mapped_column(sa.Numeric(6, 2), default=Decimal(0))
    spent: Mapped[timedelta] = mapped_column(sa.Interval, default=timedelta(0))
    maybe: Mapped[int | None]
    seen: Mapped[int] = mapped_column(default=0, info={"holdfast": "unversioned"})
    version: Mapped[int] = mapped_column()
    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012


class Setting(Base):
    __tablename__ = "conformance_settings"

    name: Mapped[str] = mapped_column(sa.String(255), primary_key=True)
    value: Mapped[str | None]


class Sample(Base):
    __tablename__ = "conformance_samples"
    __table_args__ = (sa.Index("ix_samples", "number", "text"),)

    id: Mapped[str] = mapped_column(sa.String(255), primary_key=True)
    name: Mapped[str | None] = mapped_column(sa.String(255), unique=True)
    number: Mapped[int | None]
    text: Mapped[str] = mapped_column(INDEXED_TEXT, default="")
    ratio: Mapped[float] = mapped_column(sa.Double, default=0.0)
    flag: Mapped[bool] = mapped_column(default=False)
    document: Mapped[dict[str, object]] = mapped_column(default=dict)
    version: Mapped[int] = mapped_column()
    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012


class Member(Base):
    __tablename__ = "conformance_members"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    chief_id: Mapped[int | None] = mapped_column(sa.ForeignKey("conformance_members.id"))
    rank: Mapped[int | None] = mapped_column(unique=True)
    name: Mapped[str] = mapped_column(default="")
    chief: Mapped[Member | None] = relationship(remote_side="Member.id", back_populates="reports")
    reports: Mapped[list[Member]] = relationship(back_populates="chief")
    follows: Mapped[list[Member]] = relationship(
        secondary="conformance_followings",
        primaryjoin="Member.id == Following.follower_id",
        secondaryjoin="Member.id == Following.followed_id",
        viewonly=True,
        info=THROUGH,
    )
    followers: Mapped[list[Member]] = relationship(
        secondary="conformance_followings",
        primaryjoin="Member.id == Following.followed_id",
        secondaryjoin="Member.id == Following.follower_id",
        viewonly=True,
        info=THROUGH,
    )


class Following(Base):
    __tablename__ = "conformance_followings"

    follower_id: Mapped[int] = mapped_column(
        sa.ForeignKey(Member.id, ondelete="CASCADE"), primary_key=True
    )
    followed_id: Mapped[int] = mapped_column(
        sa.ForeignKey(Member.id, ondelete="CASCADE"), primary_key=True
    )
    closeness: Mapped[int] = mapped_column(default=0)
    version: Mapped[int] = mapped_column()
    follower: Mapped[Member] = relationship(foreign_keys=follower_id)
    followed: Mapped[Member] = relationship(foreign_keys=followed_id)
    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012


class Credit(Base):
    __tablename__ = "conformance_credits"

    book_id: Mapped[int] = mapped_column(
        sa.ForeignKey(Book.id, ondelete="CASCADE"), primary_key=True
    )
    author_id: Mapped[UUID] = mapped_column(
        sa.ForeignKey(Author.id, ondelete="CASCADE"), primary_key=True
    )


TWINS: dict[type, type] = {
    own.Author: Author,
    own.Book: Book,
    own.Chapter: Chapter,
    own.Note: Note,
    own.Specimen: Specimen,
    own.Tally: Tally,
    own.Setting: Setting,
    own.Sample: Sample,
    own.Member: Member,
    own.Following: Following,
    own.Credit: Credit,
}
