"""A table gets another key: it is seen, written into a file, and undone."""

import pytest

from holdfast import Entity, Field, Migrations, field, key, open_store
from holdfast.errors import DuplicateError, MigrationError, SchemaMismatchError


def by_number():
    class Seat(Entity, table="seats"):
        number: Field[int] = key()
        row: Field[str] = field(max_length=10)
        guest: Field[str | None] = field(default=None, max_length=50)

    return Seat


def by_row_and_guest():
    class Seat(Entity, table="seats"):
        row: Field[str] = key(max_length=10)
        guest: Field[str] = key(max_length=50)
        number: Field[int | None] = field(default=None)

    return Seat


@pytest.mark.parametrize("kind", ["sqlite", "postgresql", "mariadb", "mysql"])
async def test_another_key(make_database, tmp_path, kind):
    database = make_database(kind)
    before, after = by_number(), by_row_and_guest()
    migrations = Migrations(database.url, [before], folder=tmp_path)
    await migrations.create("by number")
    await migrations.upgrade()
    async with open_store(database.url, [before]) as store:
        seats = store.repository(before)
        await seats.add_many(
            [before(number=1, row="a", guest="Ann"), before(number=2, row="a", guest="Ann")]
        )
    later = Migrations(database.url, [after], folder=tmp_path)
    assert "the key of seats is number, expected row, guest" in map(str, await later.check())
    with pytest.raises(SchemaMismatchError, match="the key of seats is number"):
        async with open_store(database.url, [after], verify="rolling"):
            pass

    await later.create("by row and guest")
    with pytest.raises(MigrationError, match="same row, guest"):
        await later.upgrade()
    async with open_store(database.url, [before]) as store:
        await store.repository(before).delete(2)
    await later.upgrade()
    assert await later.check() == ()
    async with open_store(database.url, [after]) as store:
        seats = store.repository(after)
        assert (await seats.get_one(("a", "Ann"))).number == 1
        with pytest.raises(DuplicateError):
            await seats.add(after(row="a", guest="Ann"))

    await later.downgrade("-1")
    assert await migrations.check() != ()  # the newest file is not applied
    async with open_store(database.url, [before]) as store:
        assert [seat.number for seat in await store.repository(before).find()] == [1]
