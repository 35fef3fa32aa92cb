"""Mapped classes as entities: instances, words, defaults, refusals."""

from __future__ import annotations

import datetime as dt
import enum
import sqlite3
from contextlib import closing
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from holdfast import Migrations, everything, open_store, sync
from holdfast.errors import (
    ConfigurationError,
    DuplicateError,
    InvalidQueryError,
    InvalidValueError,
    NotFoundError,
    SchemaMismatchError,
    StaleVersionError,
    UnsupportedError,
    UntranslatableError,
)
from holdfast.integrations.sqlalchemy import field_of, orm_session
from holdfast.records.drivers.sql.statements.store_statements import statements_of


class Rank(enum.Enum):
    LOW = 1
    HIGH = 2


class Base(DeclarativeBase):
    pass


class Team(Base):
    __tablename__ = "teams"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(50), unique=True)
    users: Mapped[list[User]] = relationship(back_populates="team")


class User(Base):
    __tablename__ = "users"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    name: Mapped[str] = mapped_column("full_name", sa.String(50))
    age: Mapped[int | None]
    active: Mapped[bool] = mapped_column(default=True)
    rank: Mapped[Rank] = mapped_column(default=Rank.LOW)
    visits: Mapped[int] = mapped_column(server_default="0")
    pay: Mapped[Decimal] = mapped_column(sa.Numeric(10, 2), default=Decimal(0))
    born: Mapped[dt.datetime | None]
    seen: Mapped[dt.datetime] = mapped_column(
        sa.DateTime(timezone=True), server_default=sa.func.now(), onupdate=sa.func.now()
    )
    about: Mapped[dict[str, object]] = mapped_column(sa.JSON, default=dict)
    team_id: Mapped[int | None] = mapped_column(sa.ForeignKey(Team.id))
    team: Mapped[Team | None] = relationship(back_populates="users")
    version: Mapped[int] = mapped_column()
    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012


NOW = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)


@pytest.fixture(params=["memory", "sqlite", "postgresql", "mariadb", "mysql"])
def url(request, tmp_path):
    if request.param not in ("memory", "sqlite"):
        return request.getfixturevalue(f"{request.param}_url")
    return "memory://" if request.param == "memory" else f"sqlite:///{tmp_path}/store.db"


@pytest.fixture
async def store(url):
    async with open_store(url, [User, Team], clock=lambda: NOW) as store:
        await store.drop_schema()
        await store.create_schema()
        yield store


async def test_what_is_returned_is_detached_and_nobody_elses(store):
    users = store.repository(User)
    given = User(name="a")
    stored = await users.add(given)
    assert type(stored) is User
    assert stored is not given
    assert sa.inspect(stored).detached
    assert sa.inspect(stored).session is None
    found = await users.get_one(stored.id)
    found.name = "changed"
    assert sa.inspect(found).modified
    assert (await users.get_one(stored.id)).name == "a"
    first, second = await users.get_many([stored.id, stored.id])
    first.name = "b"
    assert second.name == "a"


async def test_defaults_are_the_classes_own(store):
    stored = await store.repository(User).add(User(name="a"))
    assert (stored.active, stored.rank, stored.visits, stored.version) == (True, Rank.LOW, 0, 1)
    assert isinstance(stored.id, UUID)
    assert stored.seen == NOW
    assert stored.about == {}


async def test_onupdate_is_done_at_each_change_unless_it_was_set(url):
    times = [NOW]
    async with open_store(url, [User, Team], clock=lambda: times[-1]) as store:
        await store.drop_schema()
        await store.create_schema()
        users = store.repository(User)
        stored = await users.add(User(name="a"))
        times.append(NOW + dt.timedelta(hours=1))
        stored.name = "b"
        stored = await users.update(stored)
        assert stored.seen == times[-1]
        times.append(NOW + dt.timedelta(hours=2))
        assert (await users.patch(stored.id, {User.name: "c"})).seen == times[-1]
        early = NOW - dt.timedelta(days=1)
        assert (await users.patch(stored.id, {User.seen: early})).seen == early


async def test_a_stale_version_is_refused(store):
    users = store.repository(User)
    stored = await users.add(User(name="a"))
    await users.patch(stored.id, {User.age: 5})
    with pytest.raises(StaleVersionError):
        await users.update(stored)


async def test_filters_are_sqlalchemys_own(store):
    users = store.repository(User)
    ages = [("ann", 1), ("bob", 5), ("50%", 7), ("Cy", None)]
    await users.add_many([User(name=name, age=age, about={"n": age}) for name, age in ages])

    async def names(*where, **given):
        return [each.name for each in await users.find(*where, order_by=User.name, **given)]

    assert await names(User.age > 4) == ["50%", "bob"]
    assert await names(sa.or_(User.age == 1, User.age.is_(None))) == ["Cy", "ann"]
    assert await names(sa.not_(User.age == 1)) == ["50%", "Cy", "bob"]
    assert await names(User.age != 1) == ["50%", "Cy", "bob"]
    assert await names(User.name.in_(["ann", "x"]), User.active) == ["ann"]
    assert await names(~User.active) == []
    assert await names(User.name.startswith("50%")) == ["50%"]
    assert await names(User.name.contains("%", autoescape=True)) == ["50%"]
    assert await names(User.name.startswith("%")) == []
    assert await names(User.age.between(1, 5)) == ["ann", "bob"]
    assert await names(User.about["n"].as_integer() > 4) == ["50%", "bob"]
    assert await names(field_of(User.name).iequals("CY")) == ["Cy"]
    assert await names(~field_of(User.age).between(1, 5)) == ["50%", "Cy"]
    assert await names(User.rank == Rank.LOW, limit=1) == ["50%"]
    by_age = await users.find(order_by=[User.age.desc().nulls_first(), User.name])
    assert [each.name for each in by_age] == ["Cy", "50%", "bob", "ann"]
    assert await users.select(User.name, User.age, where=User.age == 5) == [("bob", 5)]
    assert await users.aggregate(sa.func.sum(User.age), sa.func.count()) == [(13, 4)]
    assert await users.aggregate(sa.func.count(), by=User.active) == [(True, 4)]
    distinct = [sa.func.count(User.active.distinct()), sa.func.count(sa.distinct(User.name))]
    assert await users.aggregate(*distinct) == [(1, 4)]
    page = await users.page(User.age > 0, order_by=User.age.asc(), size=2)
    assert page.next is not None
    rest = await users.page(User.age > 0, order_by=User.age.asc(), size=2, cursor=page.next)
    assert [each.age for each in (*page.items, *rest.items)] == [1, 5, 7]


async def test_changes_are_said_as_in_values(store):
    users = store.repository(User)
    stored = await users.add(User(name="a", pay=Decimal("1.10")))
    changed = await users.patch(
        stored.id, {User.visits: User.visits + 2, User.pay: User.pay - Decimal("0.05")}
    )
    assert (changed.visits, changed.pay, changed.version) == (2, Decimal("1.05"), 2)
    changed = await users.patch(stored.id, field_of(User.visits).increment(1))
    assert changed.visits == 3
    assert await users.update_where(everything(), changes={User.age: 9}) == 1
    with pytest.raises(UntranslatableError):
        await users.patch(stored.id, {User.visits: User.age + 1})
    with pytest.raises(InvalidValueError):
        await users.patch(stored.id, {User.visits: 2**31})
    await users.patch(stored.id, {User.visits: 2**31 - 1})
    with pytest.raises(InvalidValueError):
        await users.patch(stored.id, {User.visits: User.visits + 1})


async def test_relationships_say_conditions_on_what_they_lead_to(store):
    teams, users = store.repository(Team), store.repository(User)
    red, _blue = (await teams.add_many([Team(name="red"), Team(name="blue")])).results
    for name, age, team in (("a", 1, red), ("b", 5, red), ("c", 9, None)):
        await users.add(User(name=name, age=age, team_id=team and team.id))

    async def names(*where):
        return "".join(each.name for each in await users.find(*where, order_by=User.name))

    assert await names(User.team.has(Team.name == "red")) == "ab"
    assert await names(User.team.has(name="red"), User.age > 1) == "b"
    assert await names(~User.team.has(Team.name == "red")) == "c"
    assert await names(sa.not_(User.team.has()) | (User.age == 5)) == "bc"
    elder = User.team.has(sa.and_(Team.name == "red", Team.users.any(User.age > 4)))
    assert await names(elder) == "ab"
    assert await names(User.team.has(Team.users.any(User.age > 5))) == ""
    (found,) = await teams.find(~Team.users.any())
    assert found.name == "blue"
    assert await users.update_where(User.team.has(Team.name == "red"), changes={User.age: 7}) == 2
    assert await users.delete_where(~User.team.has()) == 1


@pytest.mark.parametrize(
    ("word", "named"),
    [
        (lambda: User.name.like("a%"), "startswith"),
        (lambda: User.name.ilike("a%"), "icontains"),
        (lambda: sa.func.lower(User.name) == "a", r"lower\(\)"),
        (lambda: User.age > User.visits, "another column"),
        (lambda: User.age + 1 > 5, "`users.age"),
        (lambda: sa.exists().where(Team.id == User.team_id), "subquery"),
        (lambda: sa.exists().where(Team.id == 1).correlate_except(Team), "more than a reference"),
        (lambda: User.id.in_(sa.select(User.id)), "subquery"),
        (lambda: sa.text("1 = 1"), "SQL text"),
        (lambda: sa.case((User.age > 1, True), else_=False), "Case"),
        (lambda: User.name.regexp_match("a"), "regular expression"),
        (lambda: User.name.contains("a%", escape="/"), "wildcard"),
    ],
)
async def test_what_can_not_be_translated_is_refused_by_name(word, named):
    async with open_store("memory://", [User, Team]) as store:
        with pytest.raises(UntranslatableError, match=named):
            await store.repository(User).find(word())


async def test_what_is_no_condition_is_refused(store):
    users = store.repository(User)
    for wrong in (True, "age", 5, None, Team.name == "a"):
        with pytest.raises(InvalidQueryError):
            await users.find(wrong)
    with pytest.raises(InvalidQueryError):
        await users.delete_where()


async def test_relations_come_by_loader_options_and_never_by_themselves(store):
    teams, users = store.repository(Team), store.repository(User)
    team = await teams.add(Team(name="red"))
    await users.add_many([User(name=name, team_id=team.id) for name in "ab"])
    (plain,) = await users.find(User.name == "a")
    with pytest.raises(orm.exc.DetachedInstanceError):
        plain.team  # noqa: B018 - reading it is the point
    for option in (User.team, orm.selectinload(User.team), orm.joinedload(User.team)):
        (found,) = await users.find(User.name == "a", load=[option])
        assert found.team.name == "red"
    deep = [orm.selectinload(Team.users).joinedload(User.team)]
    (loaded,) = await teams.find(load=deep)
    assert [each.team.name for each in sorted(loaded.users, key=lambda each: each.name)] == [
        "red",
        "red",
    ]
    (kept,) = await teams.find(load=[orm.raiseload(Team.users)])
    with pytest.raises(orm.exc.DetachedInstanceError):
        kept.users  # noqa: B018
    with pytest.raises(UntranslatableError, match="loader option"):
        await teams.find(load=[orm.load_only(Team.name)])


async def test_conflicts_name_the_attribute(store):
    teams = store.repository(Team)
    await teams.add(Team(name="red"))
    with pytest.raises(DuplicateError) as caught:
        await teams.add(Team(name="red"))
    assert caught.value.fields == ("name",)
    with pytest.raises(NotFoundError):
        await teams.get_one(99)
    upserted = await teams.upsert(Team(name="red"), on=[Team.name])
    assert not upserted.created


async def test_naive_and_aware_moments_are_kept_apart(store):
    users = store.repository(User)
    naive = dt.datetime(2000, 1, 1, 12, 0, 0, 5)  # noqa: DTZ001
    stored = await users.add(User(name="a", born=naive))
    assert (await users.get_one(stored.id)).born == naive
    assert await users.count(User.born <= naive) == 1
    with pytest.raises(InvalidValueError, match="time zone"):
        await users.add(User(name="a", born=NOW))
    with pytest.raises(InvalidValueError, match="time zone"):
        await users.add(User(name="a", seen=naive))


async def test_what_holdfast_wrote_an_orm_session_reads_and_the_other_way_round(tmp_path):
    url = f"sqlite:///{tmp_path}/store.db"
    async with open_store(url, [User, Team]) as store:
        await store.create_schema()
        users = store.repository(User)
        one = await users.add(
            User(name="a", pay=Decimal("1.25"), about={"a": [1]}, rank=Rank.HIGH, seen=NOW)
        )
    engine = sa.create_engine(url)
    with orm.Session(engine) as session:
        read = session.get(User, one.id)
        assert (read.pay, read.about, read.rank) == (Decimal("1.25"), {"a": [1]}, Rank.HIGH)
        session.add(User(name="b", pay=Decimal("2.50"), rank=Rank.LOW, seen=NOW, version=1))
        session.commit()
    engine.dispose()
    async with open_store(url, [User, Team]) as store:
        two = await store.repository(User).one(User.name == "b", User.pay == Decimal("2.50"))
        assert (two.rank, two.seen) == (Rank.LOW, NOW)


async def test_a_returned_instance_merges_into_a_session(tmp_path):
    async with open_store(f"sqlite:///{tmp_path}/store.db", [User, Team]) as store:
        await store.create_schema()
        users = store.repository(User)
        stored = await users.add(User(name="a"))
        async with store.transaction() as tx:
            async with orm_session(tx) as session:
                stored.name = "b"
                session.add(stored)
        found = await users.get_one(stored.id)
        assert (found.name, found.version) == ("b", 2)


def test_the_blocking_twin(tmp_path):
    with sync.open_store(f"sqlite:///{tmp_path}/store.db", [User, Team]) as store:
        store.create_schema()
        users = store.repository(User)
        stored = users.add(User(name="a", age=3))
        assert users.find(User.age > 2)[0].id == stored.id


def declared(body, **more):
    class Fresh(DeclarativeBase):
        pass

    return type("Thing", (Fresh,), {"__tablename__": "things", **body, **more})


ID = {"id": mapped_column(sa.Integer, primary_key=True)}


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"b": mapped_column(sa.Integer, primary_key=True),
          "a": mapped_column(sa.Integer, primary_key=True),
          "__table_args__": (sa.PrimaryKeyConstraint("a", "b"),)}, "another order"),
        ({"b": mapped_column(sa.Integer, primary_key=True, autoincrement=True),
          "a": mapped_column(sa.Integer, primary_key=True)}, "autoincrement=False"),
        ({"a": mapped_column(sa.Numeric())}, "how many digits"),
        ({"a": mapped_column(sa.REAL())}, "Double"),
        ({"a": mapped_column(sa.CHAR(3))}, "pads"),
        ({"a": mapped_column(sa.ARRAY(sa.Integer))}, "expected String"),
        ({"a": mapped_column(sa.PickleType())}, "bind_processor"),
        ({"a": mapped_column(sa.JSON(), nullable=True)}, "none_as_null"),
        ({"a": mapped_column(sa.Integer, default=sa.func.random())}, "made by the database"),
        ({"a": mapped_column(sa.Integer, default=lambda context: context.x)}, "without parameters"),
        ({"a": mapped_column(sa.Integer, sa.Computed("id + 1"))}, "computed"),
    ],
)  # fmt: skip
def test_a_class_that_the_rules_can_not_be_held_for_is_refused_with_the_way(body, named):
    own = {} if "b" in body else {"id": mapped_column(sa.Integer, primary_key=True)}
    with pytest.raises(ConfigurationError, match=named):
        open_store("memory://", [declared({**own, **body})])


@pytest.mark.parametrize("url", ["sqlite", "postgresql", "mariadb", "mysql"], indirect=True)
async def test_a_default_that_only_the_database_can_make_is_left_to_it(url):
    made = sa.text("(upper('made'))")
    thing = declared({"id": mapped_column(sa.Integer, primary_key=True),
                      "name": mapped_column("called", sa.String(20), unique=True),
                      "a": mapped_column("first", sa.String(20), server_default=made)})  # fmt: skip
    async with open_store(url, [thing]) as store:
        await store.drop_schema()
        await store.create_schema()
        things = store.repository(thing)
        one = await things.add(thing(name="x"))
        assert one.a == "MADE"
        several = await things.add_many([thing(name="y"), thing(name="z", a="b"), thing(name="v")])
        assert [each.a for each in several.entities] == ["MADE", "b", "MADE"]
        one.a = "c"
        await things.update(one)
        met = await things.upsert(thing(name="x"), on=[thing.name])
        assert (met.created, met.entity.id, met.entity.a) == (False, one.id, "MADE")
        await store.drop_schema()
    with pytest.raises(UnsupportedError, match=r"the default of Thing.a, which is SQL"):
        open_store("memory://", [thing])


async def test_what_one_database_would_not_keep_is_refused_there(tmp_path, request):
    wide = declared({"id": mapped_column(sa.Integer, primary_key=True),
                     "a": mapped_column(sa.Numeric(18, 4))})  # fmt: skip
    with pytest.raises(ConfigurationError, match="15 digits"):
        async with open_store(f"sqlite:///{tmp_path}/store.db", [wide]):
            pass


@pytest.mark.parametrize("url", ["postgresql", "mariadb", "mysql"], indirect=True)
def test_a_second_store_of_the_same_classes_has_its_statements_at_once(url):
    def compiled_anew():
        before = statements_of.cache_info().misses
        with sync.open_store(url, [User, Team], verify="off"):
            return statements_of.cache_info().misses - before

    compiled_anew()
    assert compiled_anew() == 0


async def test_a_database_that_lacks_a_column_is_refused_when_the_store_opens(tmp_path):
    place = f"sqlite:///{tmp_path}/old.db"
    with closing(sqlite3.connect(tmp_path / "old.db")) as connection:
        connection.execute("CREATE TABLE teams (id INTEGER PRIMARY KEY)")
    with pytest.raises(SchemaMismatchError, match=r"teams\.name is missing"):
        async with open_store(place, [Team, User]):
            pass
    with closing(sqlite3.connect(tmp_path / "old.db")) as connection:
        connection.execute("ALTER TABLE teams ADD COLUMN name BLOB")
    async with open_store(place, [Team, User]):
        pass  # the type of teams.name is between the user and the database


def test_migrations_leave_mapped_classes_to_alembic(tmp_path):
    with pytest.raises(ConfigurationError, match="Team is a mapped class"):
        Migrations(f"sqlite:///{tmp_path}/a.db", [Team, User])
