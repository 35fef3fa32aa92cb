"""Defaults of the database's: added with a table, with a column and to one, changed and undone."""

from datetime import UTC, datetime, timedelta

import pytest

from holdfast import (
    Entity,
    Field,
    Migrations,
    field,
    generated_key,
    open_store,
    server_default,
    server_now,
    server_text,
)
from holdfast.errors import SchemaMismatchError

KINDS = ("sqlite", "postgresql", "mariadb", "mysql")
_TEXT = server_text(
    postgresql="upper('x''%:y')",
    sqlite="upper('x''%:y')",
    mariadb="upper('x''%:y')",
    mysql="upper('x''%:y')",
)


def first():
    class Parcel(Entity, table="parcels"):
        id: Field[int] = generated_key()
        name: Field[str]
        state: Field[str] = field(default=server_default("it's 50% \\ :new"))
        rank: Field[int | None] = field(default=None)

    return Parcel


def second():
    """A default changes, one comes to a column that is there, and two come with columns."""

    class Parcel(Entity, table="parcels"):
        id: Field[int] = generated_key()
        name: Field[str]
        state: Field[str] = field(default=server_default("old"))
        rank: Field[int | None] = field(default=server_default(7))
        seen: Field[datetime] = field(default=server_now())
        token: Field[str] = field(default=_TEXT)

    return Parcel


async def moved(database, folder, parcel, message):
    migrations = Migrations(database.url, [parcel], folder=folder)
    path = await migrations.create(message)
    await migrations.upgrade()
    assert await migrations.check() == ()
    return path


@pytest.mark.parametrize("kind", KINDS)
async def test_defaults_come_change_and_are_undone(make_database, tmp_path, kind):
    database, (one, two) = make_database(kind), (first(), second())
    await moved(database, tmp_path, one, "first")
    async with open_store(database.url, [one]) as store:
        old = await store.repository(one).add(one(name="a"))
        assert old.state == "it's 50% \\ :new"
    missing = await Migrations(database.url, [two], folder=tmp_path).check()
    assert {each.part for each in missing if each.kind == "default"} == {"state", "rank"}
    await moved(database, tmp_path, two, "second")
    async with open_store(database.url, [two]) as store:
        parcels = store.repository(two)
        there = await parcels.get_one(old.id)
        assert (there.state, there.rank, there.token) == (old.state, None, "X'%:Y")
        new = await parcels.add(two(name="b"))
        assert (new.state, new.rank, new.token) == ("old", 7, "X'%:Y")
        for each in (there, new):
            assert abs(each.seen - datetime.now(UTC)) < timedelta(hours=1)
    before = Migrations(database.url, [one], folder=tmp_path)
    await before.downgrade("-1")
    async with open_store(database.url, [one]) as store:
        again = await store.repository(one).add(one(name="c"))
        assert (again.state, again.rank) == (old.state, None)
    await before.downgrade("base")


@pytest.mark.parametrize("kind", KINDS)
async def test_a_store_misses_a_default_that_the_column_has_not(make_database, kind):
    database = make_database(kind)

    def parcel(default):
        class Parcel(Entity, table="parcels"):
            id: Field[int] = generated_key()
            rank: Field[int | None] = field(default=default)

        return Parcel

    async with open_store(database.url, [parcel(None)]) as store:
        await store.create_schema()
    with pytest.raises(SchemaMismatchError, match=r"the default of parcels.rank is none"):
        async with open_store(database.url, [parcel(server_default(1))]):
            pass
