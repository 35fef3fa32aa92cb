"""What the type checkers must take."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from pydantic import BaseModel
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, selectinload

from holdfast import (
    CachedRepository,
    ChangeArgument,
    Condition,
    Entity,
    Expression,
    Field,
    Predicate,
    Repository,
    Store,
    Transaction,
    coalesce,
    count,
    field,
    generated_key,
    key,
    length,
    lower,
    server_default,
    server_now,
    server_sequence,
    server_text,
    subquery,
    sync,
    text_matches,
)
from holdfast.integrations.sqlalchemy import (
    execute,
    field_of,
    orm_session,
    relation_of,
    table_of,
)
from holdfast.records.conformance.sample_entities import (
    Article,
    Author,
    Book,
    Chapter,
    Following,
    Member,
    Specimen,
    Tally,
)


class Parcel(Entity, table="typed_parcels"):
    id: Field[int] = generated_key()
    state: Field[str] = field(default=server_default("new"), max_length=20)
    rank: Field[int | None] = field(default=server_default(1), ge=0)
    seen: Field[datetime] = field(default=server_now())
    place: Field[int] = field(default=server_sequence("typed_places", start=1000, increment=-1))
    token: Field[UUID] = field(default=server_text(postgresql="gen_random_uuid()"))


class Receipt(Entity, table="typed_receipts"):
    number: Field[int] = key(default=server_sequence("typed_receipt_numbers"))
    name: Field[str]


async def numbered(receipts: Repository[Receipt]) -> None:
    stored = await receipts.add(Receipt(name="a"))
    number: int = stored.number
    assert number
    await receipts.add_many([Receipt(number=7, name="b")])


def parcels() -> tuple[Parcel, Parcel]:
    return Parcel(), Parcel(state="sent", rank=None, token=UUID(int=1))


class Shelf(NamedTuple):
    name: str
    books: int


class Label(BaseModel):
    name: str
    books: int


async def use(
    authors: Repository[Author],
    books: Repository[Book],
    chapters: Repository[Chapter],
    tallies: Repository[Tally],
    specimens: Repository[Specimen],
    key: UUID,
) -> str:
    author = Author(name="a", born=None)
    predicate: Predicate = (Author.name == "a") & ~(Author.born > 5)
    found = await authors.find(predicate, order_by=Author.name.asc(), load=[Author.books])
    plan = await authors.explain(predicate, order_by=Author.name.asc(), limit=5)
    await authors.find(Author.books.any(Book.title == "x", ~Book.editor.has(Author.name == "a")))
    part = Author.books.where(Book.title > "a").order_by(Book.editor[Author.name], Book.id.desc())
    await authors.find(part.any(), load=[part.limit(3).then(Book.chapters.limit(1), Book.editor)])
    names: list[tuple[str, str | None]] = await books.select(
        Book.title, Book.author[Author.name], order_by=[Book.editor[Author.born], Book.title]
    )
    await chapters.page(order_by=Chapter.book[Book.author[Author.name]].desc().nulls_first())
    grouped: list[tuple[str | None, int]] = await books.aggregate(
        Book.id.count(), by=Book.author[Author.name], having=count() > 1, order_by=count().desc()
    )
    counted: list[tuple[str, int, int | None, float | None]] = await authors.select(
        Author.name,
        Author.books.count(),
        Author.books.where(Book.title > "a").max(Book.id),
        Author.books.avg(Book.id),
        where=Author.books.count() > 3,
        order_by=[Author.books.count().desc(), Author.name],
    )
    figures: list[tuple[int | None, float | None, Decimal | None, int]] = await tallies.aggregate(
        Tally.total.sum(), Tally.maybe.avg(), Tally.amount.sum(), Tally.total.count_distinct()
    )
    days: list[tuple[date, float | None]] = await authors.aggregate(
        Author.born.percentile(0.5), by=Author.created_at.truncated("day", zone="Europe/Athens")
    )
    shelves: list[Shelf] = await authors.select(Author.name, Author.books.count(), into=Shelf)
    labels: list[Label] = await authors.select(Author.name, Author.books.count(), into=Label)
    await authors.select(Author.born, distinct=True, order_by=Author.born.desc())
    print(grouped, counted, figures, days, shelves, labels)
    await tallies.patch("t", Tally.total.increment(1), when=Tally.total < 5)
    await specimens.patch(key, Specimen.items.append(1), Specimen.attributes["a"][0].remove())
    await specimens.update_where(
        Specimen.number == 1,
        changes=[
            Specimen.items.remove_item("x"),
            Specimen.attributes["a"].append(1, if_absent=True),
            Specimen.attributes["b"].to("c"),
        ],
    )
    await tallies.update_where(
        Tally.total > 0,
        changes=[
            Tally.ratio.to_by(Tally.id, {"t": 0.5}),
            Tally.maybe.to_by(Tally.maybe, {1: None}),
        ],
    )
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
    found_names = author.name + (await authors.get_one(key)).name + str(names)
    return found_names + "".join(titles) + plan.table


async def use_cached(authors: CachedRepository[Author], key: UUID) -> list[Author]:
    await use_any(authors, key)
    await authors.upsert(Author(name="a"), on=[Author.name])
    return await authors.find(Author.name == "a", load=[Author.books])


def use_schemas(store: Store, blocking: sync.Store) -> list[str]:
    tables = [table_of(Author), table_of(Author, store), table_of(Author, blocking)]
    return [store.schema, blocking.schema, *(each.name for each in tables)]


async def use_search(articles: Repository[Article]) -> tuple[int, str]:
    page = await articles.search("night -rain", Article.id > 5, size=10, cursor=None)
    await articles.find(text_matches(Article, "night") & (Article.read < 5))
    return page.items[0].rank, page.items[0].entity.title


async def use_any(authors: Repository[Author], key: UUID) -> Author | None:
    return await authors.get(key, load=[Author.books])


def use_cached_blocking(authors: sync.CachedRepository[Author]) -> sync.Repository[Author]:
    authors.warm([author.id for author in authors.find()])
    return authors


async def link(store: Store, members: Repository[Member], followings: Repository[Following]) -> str:
    await members.find(Member.follows.any(Member.followers.none(Member.name == "a")))
    found = await members.find(load=[Member.follows.order_by(Member.rank).limit(3)])
    names: list[str] = [each.name for member in found for each in member.follows]
    made: tuple[object, ...] = await store.links(Member.follows).connect(1, [2, 3])
    changes = await store.links(Member.followers).replace(1, (each for each in (2, 3)))
    one = await followings.get_one((1, 2), load=[Following.follower])
    await followings.upsert(Following(follower_id=1, followed_id=2))
    return f"{names}{made}{changes.connected}{one.follower.name}"


class Base(DeclarativeBase):
    pass


class Team(Base):
    __tablename__ = "teams"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    users: Mapped[list["User"]] = relationship()


class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    age: Mapped[int | None]
    active: Mapped[bool]
    team_id: Mapped[int] = mapped_column(sa.ForeignKey(Team.id))
    team: Mapped[Team] = relationship()


async def use_mapped(users: Repository[User], teams: Repository[Team], tx: Transaction) -> str:
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
    members = relation_of(Team.users).where(field_of(User.age) > 5)
    numbers: list[tuple[str, int]] = await teams.select(Team.name, members.count())
    await teams.find(members.count() > 1, load=members.order_by(field_of(User.name)).limit(3))
    await users.aggregate(sa.func.count(), by=User.age, having=field_of(User.age).avg() > 5)
    result: sa.Result[Any] = await execute(tx, sa.select(User))
    async with orm_session(tx) as session:
        session.add(User(name="b"))
    return found[0].name + rows[0][0] + str(figures) + str(numbers) + str(result)
