"""What the type checkers must take."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, selectinload

from holdfast import Predicate, Repository, Transaction
from holdfast.integrations.sqlalchemy import execute, field_of, orm_session
from holdfast.records.conformance.sample_entities import Author, Book, Chapter, Tally


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
    plan = await authors.explain(predicate, order_by=Author.name.asc(), limit=5)
    await authors.find(Author.books.any(Book.title == "x", ~Book.editor.has(Author.name == "a")))
    names: list[tuple[object, ...]] = await books.select(
        Book.title, Book.author[Author.name], order_by=[Book.editor[Author.born], Book.title]
    )
    await chapters.page(order_by=Chapter.book[Book.author[Author.name]].desc().nulls_first())
    await books.aggregate(Book.id.count(), by=Book.author[Author.name])
    await tallies.patch("t", Tally.total.increment(1), when=Tally.total < 5)
    titles = [book.title for each in found for book in each.books]
    return (
        author.name + (await authors.get_one(key)).name + "".join(titles) + str(names) + plan.table
    )


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
