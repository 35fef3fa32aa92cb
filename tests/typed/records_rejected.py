"""What the type checkers must refuse, at each line that says so."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from holdfast import (
    Constraint,
    Entity,
    Field,
    Many,
    Repository,
    Store,
    check,
    deleted_at,
    field,
    key,
    many,
    server_default,
    server_now,
    server_sequence,
    subquery,
    unique,
)
from holdfast.integrations.sqlalchemy import field_of
from holdfast.records.conformance.sample_entities import (
    Author,
    Book,
    Following,
    Member,
    Specimen,
    Tally,
)


class Shelf(NamedTuple):
    name: str
    books: str


async def use_expressions(books: Repository[Book], tallies: Repository[Tally]) -> None:
    await books.find(Author.name == "a")  # refused
    await books.find((Book.title == "a") & (Author.name == "a"))  # refused
    await books.find(Book.author.has(Book.title == "a"))  # refused
    await books.find(order_by=Author.name)  # refused
    await books.find(order_by=Author.name.asc())  # refused
    await books.select(Author.name)  # refused
    await books.patch(1, Author.name.to("x"))  # refused
    Specimen.attributes.append(1)  # refused
    Specimen.text.remove_item("x")  # refused
    await books.patch(1, Specimen.items.append(1))  # refused
    await books.patch(1, Specimen.attributes["a"].to(1))  # refused
    await books.find(Book.title == Tally.id)  # refused
    await tallies.find(Tally.total < Tally.id)  # refused
    await tallies.find(Tally.total == Tally.id)  # refused
    await tallies.find(Tally.total + Tally.spent == 1)  # refused
    await tallies.find(Tally.amount * 0.5 == 1)  # refused
    await tallies.patch("t", Tally.total.to(Tally.maybe))  # refused
    await tallies.patch("t", Tally.total.to(Tally.ratio * 2))  # refused
    Tally.total.to_by(Tally.id, {"t": "x"})  # refused
    Tally.total.to_by(Tally.id, {1: 2})  # refused
    Tally.total.to_by(Author.name, {"t": 2})  # refused
    Tally.id + "x"  # refused
    Tally.total.in_(subquery(Tally.id))  # refused
    rows: list[tuple[str]] = await tallies.select(Tally.total + 1)  # refused
    await books.find(Book.id == rows)  # refused


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
    await authors.search(Author.name == "a")  # refused
    print((await authors.search("a")).items[0].name)  # refused
    author.total = "5"  # refused
    author.total = number


async def link(store: Store) -> None:
    Following(follower_id=1)  # refused
    await store.links(Member.chief).connect(1, [2])  # refused
    await store.links(Member.follows).connect(1, 2)  # refused
    tags: Many[Author] = many(through=5)  # refused
    other: Many[Author] = many()  # refused
    await store.repository(Member).find(Member.follows.any(Member.name == 5))  # refused
    await store.repository(Author).find(load=[tags, other])


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


class Parcel(Entity, table="typed_wrong_parcels"):
    id: Field[int] = key()
    state: Field[str] = field(default=server_default(5))  # refused
    seen: Field[int] = field(default=server_now())  # refused
    place: Field[str] = field(default=server_sequence("typed_places"))  # refused


class Receipt(Entity, table="typed_wrong_receipts"):
    number: Field[UUID] = key(default=server_sequence("typed_receipt_numbers"))  # refused
    name: Field[str]


Receipt(number="7", name="a")  # refused
Receipt(number=UUID(int=1), place=1)  # refused


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
