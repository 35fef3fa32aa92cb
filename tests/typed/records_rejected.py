"""What the type checkers must refuse, at each line that says so."""

from typing import NamedTuple

from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from holdfast import Repository, subquery
from holdfast.integrations.sqlalchemy import field_of
from holdfast.records.conformance.sample_entities import Author, Book, Tally


async def use_expressions(books: Repository[Book], tallies: Repository[Tally]) -> None:
    await books.find(Author.name == "a")  # refused
    await books.find((Book.title == "a") & (Author.name == "a"))  # refused
    await books.find(Book.author.has(Book.title == "a"))  # refused
    await books.find(order_by=Author.name)  # refused
    await books.find(order_by=Author.name.asc())  # refused
    await books.select(Author.name)  # refused
    await books.patch(1, Author.name.to("x"))  # refused
    await books.find(Book.title == Tally.id)  # refused
    await tallies.find(Tally.total < Tally.id)  # refused
    await tallies.find(Tally.total == Tally.id)  # refused
    await tallies.find(Tally.total + Tally.spent == 1)  # refused
    await tallies.find(Tally.amount * 0.5 == 1)  # refused
    await tallies.patch("t", Tally.total.to(Tally.maybe))  # refused
    await tallies.patch("t", Tally.total.to(Tally.ratio * 2))  # refused
    Tally.id + "x"  # refused
    Tally.total.in_(subquery(Tally.id))  # refused
    rows: list[tuple[str]] = await tallies.select(Tally.total + 1)  # refused
    await books.find(Book.id == rows)  # refused


class Shelf(NamedTuple):
    name: str
    books: str


async def use(authors: Repository[Author]) -> None:
    await authors.find(Author.name == 5)  # refused
    await authors.find(Author.name < 5)  # refused
    await authors.find(Author.nmae == "a")  # refused
    await authors.find(Author.name == "a" and True)  # refused
    Author()  # refused
    Author(name="a", version=1)  # refused
    Author(name=5)  # refused
    Author(name="a", books=[])  # refused
    await authors.add(Tally(id="t"))  # refused
    await authors.patch(1, Author.name.to(5))  # refused
    await authors.find(Author.books.any(Book.title == 5))  # refused
    await authors.find(Author.books.has(Book.title == "x"))  # refused
    await authors.find(Book.author.any())  # refused
    await authors.find(order_by=Book.author["name"])  # refused
    await authors.find(load=[Author.books.limit("3")])  # refused
    await authors.find(load=[Book.author.limit(3)])  # refused
    await authors.find(Author.books.count() > "3")  # refused
    Author.books.sum(Book.title)  # refused
    Author.name.sum()  # refused
    Author.name.truncated("day")  # refused
    Author.created_at.truncated("minute")  # refused
    number: int = (await authors.aggregate(Author.born.avg()))[0][0]  # refused
    await authors.select(Author.name, Author.books.count(), into=Shelf)  # refused
    await authors.aggregate(Author.books.count())  # refused
    author: Tally = await authors.get_one(1)  # refused
    Author.name.increment(1)  # refused
    author.total = "5"  # refused
    author.total = number


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


async def use_mapped(users: Repository[User]) -> None:
    await users.find(User.nmae == "a")  # refused
    await users.find(User.name)  # refused
    await users.find(User.name == "a" and True)  # refused
    await users.add(Tally(id="t"))  # refused
    name: int = (await users.select(User.name))[0][0]  # refused
    await users.patch(name, field_of(User.name).to(5))  # refused
