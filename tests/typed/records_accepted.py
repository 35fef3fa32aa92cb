"""What the type checkers must take."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, selectinload

from holdfast import (
    ChangeArgument,
    Condition,
    Expression,
    Predicate,
    Repository,
    Transaction,
    coalesce,
    length,
    lower,
    subquery,
)
from holdfast.integrations.sqlalchemy import execute, field_of, orm_session
from holdfast.records.conformance.sample_entities import Author, Book, Chapter, Specimen, Tally


async def use(
    authors: Repository[Author],
    books: Repository[Book],
    chapters: Repository[Chapter],
    tallies: Repository[Tally],
    key: UUID,
) -> str:
    author = Author(name="a", born=None)
    predicate: Predicate = (Author.name == "a") & ~(Author.born > 5)
    found = await authors.find(predicate, order_by=Author.name.asc(), load=[Author.books])
    await authors.find(Author.books.any(Book.title == "x", ~Book.editor.has(Author.name == "a")))
    names: list[tuple[str, str | None]] = await books.select(
        Book.title, Book.author[Author.name], order_by=[Book.editor[Author.born], Book.title]
    )
    await chapters.page(order_by=Chapter.book[Book.author[Author.name]].desc().nulls_first())
    await books.aggregate(Book.id.count(), by=Book.author[Author.name])
    await tallies.patch("t", Tally.total.increment(1), when=Tally.total < 5)
    condition: Condition[Tally] = Tally.total + Tally.maybe <= coalesce(Tally.maybe, 0) * 2
    change: ChangeArgument[Tally] = Tally.total.to(Tally.total + coalesce(Tally.maybe, 0))
    await tallies.patch("t", change, Tally.ratio.to(Tally.total * 0.5), when=condition)
    sums: list[tuple[int, int | None, float | None]] = await tallies.select(
        Tally.total * 2 - 1, -Tally.maybe + 1, Tally.ratio / Tally.total, order_by=Tally.total * 2
    )
    exact: Expression[Decimal, Tally] = Tally.amount * 2 + Decimal("0.5")
    spent: Expression[timedelta, Tally] = Tally.spent * 3 - timedelta(seconds=1)
    later: Expression[datetime | None, Specimen] = Specimen.moment + Specimen.maybe_span
    since: Expression[timedelta, Specimen] = Specimen.moment - datetime.now(UTC)
    long: Predicate[Book] = length(Book.editor[Author.name]) > length(Book.title)
    same = lower(Book.title) == Book.author[Author.name]
    old = subquery(Author.id, Author.born < 1950)
    await books.find(long, same, Book.editor_id.in_(old), Book.author_id.not_in(old))
    await tallies.aggregate(exact.sum(), spent.max(), by=coalesce(Tally.maybe, 0))
    made = [each for each in (later, since, sums) if each is not None]
    anything: Predicate = Tally.total == Tally.maybe  # of whatever entity
    await tallies.find(anything)
    titles = [str(made)] + [book.title for each in found for book in each.books]
    return author.name + (await authors.get_one(key)).name + "".join(titles) + str(names)


class Base(DeclarativeBase):
    pass


class Team(Base):
    __tablename__ = "teams"
    id: Mapped[int] = mapped_column(primary_key=True)
    users: Mapped[list["User"]] = relationship()


class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    age: Mapped[int | None]
    active: Mapped[bool]
    team_id: Mapped[int] = mapped_column(sa.ForeignKey(Team.id))
    team: Mapped[Team] = relationship()


async def use_mapped(users: Repository[User], tx: Transaction) -> str:
    found = await users.find(
        User.age > 60,
        sa.or_(User.name == "a", User.name.in_(["b"]), ~User.active),
        User.active,
        order_by=[User.age.desc().nulls_last(), User.name],
        load=[User.team, selectinload(User.team)],
    )
    rows: list[tuple[str, int | None]] = await users.select(User.name, User.age)
    figures = await users.aggregate(sa.func.sum(User.age), by=User.active)
    await users.patch(1, {User.name: "x"}, field_of(User.age).to(5), when=User.age < 5)
    await users.upsert(User(name="a"), on=[User.name])
    result: sa.Result[Any] = await execute(tx, sa.select(User))
    async with orm_session(tx) as session:
        session.add(User(name="b"))
    return found[0].name + rows[0][0] + str(figures) + str(result)
