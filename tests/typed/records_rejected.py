"""What the type checkers must refuse, at each line that says so."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from holdfast import (
    Constraint,
    Entity,
    Field,
    Repository,
    check,
    deleted_at,
    field,
    key,
    unique,
)
from holdfast.integrations.sqlalchemy import field_of
from holdfast.records.conformance.sample_entities import Author, Book, Tally


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
    author: Tally = await authors.get_one(1)  # refused
    Author.name.increment(1)  # refused
    author.total = "5"  # refused


class Offer(Entity, table="offers"):
    id: Field[int] = key()
    rating: Field[int] = field(ge="0")  # refused
    deleted_at: Field[datetime | None] = deleted_at()

    @classmethod
    def __constraints__(cls) -> Sequence[Constraint]:
        return [
            unique(cls.rateing),  # refused
            unique(cls.rating, where=cls.rating == "x"),  # refused
            check("rated", cls.rating > "x"),  # refused
            check(cls.rating > 1),  # refused
        ]


async def delete_offers(offers: Repository[Offer]) -> None:
    Offer(id=1, rating=1, deleted_at=None)  # refused
    await offers.with_deleted().add(Offer(id=1, rating=1))  # refused
    await offers.purge(older_than=30)  # refused


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
