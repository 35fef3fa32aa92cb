"""Sequences in migrations: made with a table, with a column and for one, changed, gone, undone."""

import pytest

from holdfast import Entity, Field, Migrations, field, key, open_store, server_sequence
from holdfast.errors import ConflictError, MigrationError, UnsupportedError

KINDS = ("postgresql", "mariadb")


def plain():
    class Order(Entity, table="orders"):
        id: Field[int] = key()
        name: Field[str]

    return [Order]


def numbered(start=1000, increment=10):
    class Order(Entity, table="orders"):
        id: Field[int] = key(
            default=server_sequence("order_numbers", start=start, increment=increment)
        )
        name: Field[str]
        place: Field[int] = field(default=server_sequence("places", increment=-1))

    class Bill(Entity, table="bills"):
        number: Field[int] = key(default=server_sequence("bill_numbers", start=7))

    return [Order, Bill]


async def moved(database, folder, entities, message):
    migrations = Migrations(database.url, entities, folder=folder)
    path = await migrations.create(message)
    await migrations.upgrade()
    assert await migrations.check() == ()
    return path


async def added(database, entities, *names):
    order = entities[0]
    async with open_store(database.url, entities) as store:
        made = await store.repository(order).add_many([order(name=name) for name in names])
    return [(each.id, each.place) for each in made.entities]


@pytest.mark.parametrize("kind", KINDS)
async def test_sequences_come_change_and_go_and_all_of_it_is_undone(make_database, tmp_path, kind):
    database, (order,) = make_database(kind), plain()
    await moved(database, tmp_path, [order], "plain")
    async with open_store(database.url, [order]) as store:
        await store.repository(order).add_many([order(id=each, name="old") for each in (1, 2)])

    missing = await Migrations(database.url, numbered(), folder=tmp_path).check()
    assert {each.table for each in missing if each.kind == "sequence"} == {
        "order_numbers",
        "places",
        "bill_numbers",
    }
    await moved(database, tmp_path, numbered(), "numbered")
    async with open_store(database.url, numbered()) as store:
        old, bill = (each.entity for each in store.models)
        there = await store.repository(old).find(order_by=old.id)
        assert sorted(each.place for each in there) == [0, 1]  # numbered as the column came
        assert (await store.repository(bill).add(bill())).number == 7
    assert await added(database, numbered(), "a", "b") == [(1000, -1), (1010, -2)]

    (changed,) = await Migrations(database.url, numbered(5000, 7), folder=tmp_path).check()
    assert str(changed) == (
        "the sequence order_numbers counts from 1000 by 10, expected from 5000 by 7"
    )
    path = await moved(database, tmp_path, numbered(5000, 7), "changed")
    assert "operations.alter_sequence('order_numbers', start=5000, increment=7)" in path.read_text()
    (first, second) = [number for number, _ in await added(database, numbered(5000, 7), "c", "d")]
    assert 1010 < first < second == first + 7  # it goes on from where it was

    await moved(database, tmp_path, plain(), "gone")
    back = Migrations(database.url, numbered(), folder=tmp_path)
    await back.downgrade("-1")
    ((number, place),) = await added(database, numbered(), "e")
    assert number == 5000  # a new sequence
    assert place == 1 - 6  # which numbered the rows that were there
    await back.downgrade("base")
    await back.upgrade()  # all of it once more, as no sequence is left
    await back.downgrade("base")


@pytest.mark.parametrize("kind", KINDS)
async def test_a_sequence_that_has_given_nothing_begins_where_the_last_file_says(
    make_database, tmp_path, kind
):
    database = make_database(kind)
    await moved(database, tmp_path, numbered(), "numbered")
    await moved(database, tmp_path, numbered(5000, 7), "changed")
    assert await added(database, numbered(5000, 7), "a", "b") == [(5000, 1), (5007, 0)]


@pytest.mark.parametrize("kind", KINDS)
async def test_the_text_of_sequences(make_database, tmp_path, kind):
    database = make_database(kind)
    await moved(database, tmp_path, numbered(), "numbered")
    await moved(database, tmp_path, numbered(5000, 7), "changed")
    text = await Migrations(database.url, numbered(), folder=tmp_path).sql("base", "head")
    assert "CREATE SEQUENCE order_numbers START WITH 1000 INCREMENT BY 10" in text
    assert "ALTER SEQUENCE order_numbers START WITH 5000 INCREMENT BY 7" in text
    assert "-- where order_numbers has given no number yet" in text
    assert text.index("CREATE SEQUENCE") < text.index("CREATE TABLE orders")


@pytest.mark.parametrize("kind", ["sqlite", "mysql"])
async def test_where_there_are_none_they_are_refused(make_database, tmp_path, kind):
    database = make_database(kind)
    with pytest.raises(UnsupportedError, match="sequences"):
        await Migrations(database.url, numbered(), folder=tmp_path).create("numbered")
    with pytest.raises(UnsupportedError, match="sequences"):
        await Migrations(database.url, numbered(), folder=tmp_path).check()
    elsewhere = make_database("postgresql")
    await moved(elsewhere, tmp_path, numbered(), "numbered")
    with pytest.raises((MigrationError, UnsupportedError, ConflictError), match="sequences"):
        await Migrations(database.url, numbered(), folder=tmp_path).upgrade()
