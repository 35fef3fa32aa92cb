"""Uniques of some rows or without case, checks and bounds: added, changed and taken away."""

from datetime import UTC, datetime, timedelta

import pytest

from holdfast import (
    Entity,
    Field,
    Migrations,
    check,
    deleted_at,
    field,
    generated_key,
    open_store,
    ref,
    unique,
)
from holdfast.errors import CheckError, DuplicateError, InvalidValueError, MigrationError

_LONG_AGO = datetime(2020, 1, 1, 12, 30, tzinfo=UTC)
KINDS = ("sqlite", "postgresql", "mariadb", "mysql")


def bare():
    class Tag(Entity, table="tags"):
        id: Field[int] = generated_key()
        name: Field[str] = field(max_length=50)
        weight: Field[int] = field(default=1)
        note: Field[str | None] = field(default=None)

    return Tag


def first():
    class Tag(Entity, table="tags"):
        id: Field[int] = generated_key()
        name: Field[str] = field(max_length=50)
        weight: Field[int] = field(default=1, ge=0, le=10)
        note: Field[str | None] = field(default=None)

        @classmethod
        def __constraints__(cls):
            return [
                unique(cls.name, ignore_case=True, where=cls.note.is_null()),
                check("odd_note", cls.note.is_null() | (cls.note != "50% 'of' \\ :x")),
            ]

    return Tag


def second():
    """The unique is of other rows, the check says something else, a column comes and one goes."""

    class Tag(Entity, table="tags"):
        id: Field[int] = generated_key()
        name: Field[str] = field(max_length=50)
        weight: Field[int] = field(default=1, ge=0, le=100)
        made: Field[datetime | None] = field(default=None)

        @classmethod
        def __constraints__(cls):
            return [
                unique(cls.name, where=cls.made.is_null() & (cls.weight > 0)),
                check("long_ago", cls.made.is_null() | (cls.made > _LONG_AGO)),
            ]

    return Tag


async def moved(database, folder, tag, message):
    migrations = Migrations(database.url, [tag], folder=folder)
    path = await migrations.create(message)
    await migrations.upgrade()
    assert await migrations.check() == ()
    return path


@pytest.mark.parametrize("kind", KINDS)
async def test_constraints_come_change_and_go_and_come_back(make_database, tmp_path, kind):
    database, (one, two) = make_database(kind), (first(), second())
    await moved(database, tmp_path, one, "first")
    async with open_store(database.url, [one]) as store:
        tags = store.repository(one)
        kept = await tags.add(one(name="Ä"))
        with pytest.raises(DuplicateError) as taken:
            await tags.add(one(name="ä"))
        assert (taken.value.fields, taken.value.constraint) == (("name",), "name")
        with pytest.raises(InvalidValueError, match="is not from 0 to 10"):
            await tags.patch(kept.id, one.weight.increment(10))
    await moved(database, tmp_path, two, "second")
    async with open_store(database.url, [two]) as store:
        tags = store.repository(two)
        await tags.add(two(name="ä", weight=50))
        with pytest.raises(DuplicateError):
            await tags.add(two(name="ä", weight=51))
        await tags.add(two(name="ä", weight=0))
        with pytest.raises(CheckError) as broken:
            await tags.patch(kept.id, two.made.to(_LONG_AGO))
        assert (broken.value.constraint, broken.value.fields) == ("long_ago", ("made",))
        await tags.delete_where(two.name == "ä")
    before = Migrations(database.url, [one], folder=tmp_path)
    await before.downgrade("-1")
    assert [each.kind for each in await before.check()] == ["revision"]
    async with open_store(database.url, [one]) as store:
        with pytest.raises(DuplicateError):
            await store.repository(one).add(one(name="ä"))
    await before.downgrade("base")


@pytest.mark.parametrize("kind", ["sqlite", "mysql"])
async def test_rows_that_break_a_new_constraint_are_named_before_anything_is_changed(
    make_database, tmp_path, kind
):
    database, (none, one) = make_database(kind), (bare(), first())
    await moved(database, tmp_path, none, "none")
    async with open_store(database.url, [none]) as store:
        tags = store.repository(none)
        alike = [await tags.add(none(name=name)) for name in ("Ä", "ä")]
        heavy = await tags.add(none(name="b", weight=11))
        migrations = Migrations(database.url, [one], folder=tmp_path)
        await migrations.create("one")
        with pytest.raises(MigrationError, match=r"whose weight \(11\) a new check refuses"):
            await migrations.upgrade()
        await tags.patch(heavy.id, none.weight.to(10))
        with pytest.raises(MigrationError, match=r"tags has 2 rows with the same name \('ä'\)"):
            await migrations.upgrade()
        missing = [each.part for each in await migrations.check() if each.kind == "constraint"]
        assert [name.rpartition("_")[0] for name in missing] == [
            "check_tags_odd_note", "check_tags_weight", "unique_tags_name"
        ]  # fmt: skip
        await tags.patch(alike[0].id, none.note.to("x"))
    await migrations.upgrade()
    assert await migrations.check() == ()


class Marked(Entity):
    deleted_at: Field[datetime | None] = deleted_at()


def kept(kind):
    """Two tables of a *kind* of entity: deleted for good, or by a mark."""

    class Shelf(kind, table="shelves"):
        id: Field[int] = generated_key()
        name: Field[str] = field(max_length=50, unique=True)

    class Book(kind, table="books", uniques=[("shelf_id", "title")]):
        id: Field[int] = generated_key()
        shelf_id: Field[int] = ref(Shelf, on_delete="cascade")
        title: Field[str] = field(max_length=50)

    return [Shelf, Book]


@pytest.mark.parametrize("kind", ["sqlite", "mariadb"])
async def test_entities_come_to_be_deleted_by_a_mark_and_back(make_database, tmp_path, kind):
    database, (plain, marked) = make_database(kind), (kept(Entity), kept(Marked))
    for entities in (plain, marked):
        migrations = Migrations(database.url, entities, folder=tmp_path)
        await migrations.create("step")
        await migrations.upgrade()
        assert await migrations.check() == ()
        shelf, book = entities
        async with open_store(database.url, entities) as store:
            shelves, books = store.repository(shelf), store.repository(book)
            if entities is plain:
                made = await shelves.add(shelf(name="a"))
                await books.add(book(shelf_id=made.id, title="t"))
                continue
            assert await shelves.delete((await shelves.one()).id)
            assert await books.count() == 0
            again = await shelves.add(shelf(name="a"))
            with pytest.raises(DuplicateError):
                await shelves.restore(again.id - 1)
            await shelves.purge(older_than=timedelta(0))
    await migrations.downgrade("-1")
    found = await Migrations(database.url, plain, folder=tmp_path).check()
    assert [each.kind for each in found] == ["revision"]


async def test_a_table_that_sqlite_copies_keeps_its_uniques(make_database, tmp_path):
    database, one = make_database("sqlite"), first()
    await moved(database, tmp_path, one, "one")

    class Wider(Entity, table="tags"):
        id: Field[int] = generated_key()
        name: Field[str] = field(max_length=50)
        weight: Field[int | None] = field(default=1, ge=0, le=10)
        note: Field[str | None] = field(default=None)
        __constraints__ = classmethod(one.__constraints__.__func__)

    path = await moved(database, tmp_path, Wider, "wider")
    assert "operations.add_unique" not in path.read_text().partition("def downgrade")[0]
    async with open_store(database.url, [Wider]) as store:
        await store.repository(Wider).add(Wider(name="Ä"))
        with pytest.raises(DuplicateError):
            await store.repository(Wider).add(Wider(name="ä"))


async def test_the_text_of_a_migration_has_the_constraints(make_database, tmp_path):
    database, two = make_database("postgresql"), second()
    await moved(database, tmp_path, two, "two")
    text = await Migrations(database.url, [two], folder=tmp_path).sql()
    assert "CREATE UNIQUE INDEX unique_tags_name_" in text
    assert "CHECK ((made IS NULL OR made > '2020-01-01 12:30:00+00:00')" in text
