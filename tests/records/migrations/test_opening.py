"""A store looks at the schema when it opens, and says what does not fit."""

import pytest

from holdfast import Entity, Field, Migrations, field, generated_key, open_store, ref
from holdfast.errors import ConfigurationError, SchemaMismatchError
from holdfast.records.drivers.sql.executors import server_executor, sqlite_executor
from holdfast.sync import open_store as open_blocking
from records.migrations.library import Note, NoteToo

BOTH = [Note, NoteToo]


@pytest.fixture
async def filled(database):
    async with open_store(database.url, BOTH) as store:
        await store.create_schema()
        note = await store.repository(Note).add(Note(title="one"))
        await store.repository(NoteToo).add(NoteToo(note_id=note.id))
    return database


async def refusal(url, entities, **options):
    with pytest.raises(SchemaMismatchError) as caught:
        async with open_store(url, entities, **options):
            pass
    assert "holdfast migrate upgrade" in str(caught.value)
    assert "holdfast migrate create" in str(caught.value)  # without its file, upgrade does nothing
    return caught.value.differences


async def test_a_field_more_than_the_table_has_is_named(filled):
    class Grown(Entity, table="notes"):
        id: Field[int] = generated_key()
        title: Field[str] = field(max_length=50, unique=True)
        text: Field[str | None] = field(default=None)
        size: Field[int] = field(default=0)
        stars: Field[int] = field(default=0)
        label: Field[str | None] = field(default=None)

    found = await refusal(filled.url, [Grown])
    assert len(found) == 2
    assert found[0].startswith("notes.stars is missing, expected ")
    assert found[1].startswith("notes.label is missing")
    with pytest.raises(SchemaMismatchError, match=r"notes\.stars is missing"):
        with open_blocking(filled.url, [Grown]):
            pass
    async with open_store(filled.url, [Grown], verify="off") as store:
        with pytest.raises(SchemaMismatchError, match="notes"):
            await store.repository(Grown).find()
        with pytest.raises(SchemaMismatchError, match="notes"):
            await store.repository(Grown).add(Grown(title="x"))


async def test_another_type_is_named(filled):
    class Typed(Entity, table="notes"):
        id: Field[int] = generated_key()
        title: Field[str] = field(max_length=50, unique=True)
        text: Field[str | None] = field(default=None)
        size: Field[float] = field(default=0.0)

    (found,) = await refusal(filled.url, [Typed])
    assert found.lower().startswith(
        ("notes.size is integer, expected real", "notes.size is bigint")
    )


@pytest.mark.parametrize("kind", ["postgresql", "mariadb", "mysql"])
async def test_a_collation_that_compares_otherwise_is_named(make_database, kind):
    database = make_database(kind)
    async with open_store(database.url, [Note]) as store:
        await store.create_schema()
    database.execute(
        'ALTER TABLE notes ALTER COLUMN title TYPE text COLLATE "en-x-icu"'
        if kind == "postgresql"
        else "ALTER TABLE notes MODIFY title VARCHAR(50) COLLATE utf8mb4_general_ci NOT NULL"
    )
    (found,) = await refusal(database.url, [Note])
    assert found.startswith("notes.title is ")
    assert "collate" in found


async def test_nullability_is_named_both_ways_and_rolling_accepts_it(filled):
    class Swapped(Entity, table="notes"):
        id: Field[int] = generated_key()
        title: Field[str] = field(max_length=50, unique=True)
        text: Field[str]
        size: Field[int | None] = field(default=None)

    assert await refusal(filled.url, [Swapped]) == (
        "notes.text is nullable, expected required",
        "notes.size is required, expected nullable",
    )
    async with open_store(filled.url, [Swapped], verify="rolling") as store:
        assert await store.repository(Swapped).count() == 1


async def test_rolling_still_minds_a_missing_column(filled):
    class Grown(Entity, table="notes"):
        id: Field[int] = generated_key()
        title: Field[str] = field(max_length=50, unique=True)
        stars: Field[int | None]

    assert "notes.stars is missing" in (await refusal(filled.url, [Grown], verify="rolling"))[0]


async def test_an_older_program_runs_on_a_newer_schema(filled):
    filled.execute("ALTER TABLE notes ADD COLUMN later INTEGER")
    filled.execute("ALTER TABLE notes ADD COLUMN filled INTEGER NOT NULL DEFAULT 5")
    filled.execute("CREATE TABLE of_others (x INTEGER)")
    async with open_store(filled.url, BOTH) as store:
        notes = store.repository(Note)
        await notes.add(Note(title="two"))
        assert {note.title for note in await notes.find()} == {"one", "two"}


async def test_room_for_longer_text_is_accepted_and_for_shorter_is_not(make_database):
    database = make_database("mariadb")
    async with open_store(database.url, [Note]) as store:
        await store.create_schema()
    change = "ALTER TABLE notes MODIFY title VARCHAR({}) COLLATE utf8mb4_nopad_bin NOT NULL"
    database.execute(change.format(80))
    async with open_store(database.url, [Note]):
        pass
    database.execute(change.format(20))
    (found,) = await refusal(database.url, [Note])
    assert "varchar(20)" in found
    assert "varchar(50)" in found


async def test_a_column_that_no_row_can_do_without_is_named(filled):
    class Fewer(Entity, table="notes"):
        id: Field[int] = generated_key()
        title: Field[str] = field(max_length=50, unique=True)

    assert await refusal(filled.url, [Fewer]) == (
        "notes.size (required, without a default) is of no entity",
    )


async def test_an_empty_database_opens_and_a_verb_on_a_missing_table_says_so(database):
    async with open_store(database.url, BOTH) as store:
        for call in (
            store.repository(Note).find(),
            store.repository(Note).add(Note(title="x")),
            store.repository(Note).count(),
            store.repository(Note).delete(1),
        ):
            with pytest.raises(SchemaMismatchError, match="the table notes is missing"):
                await call
        await store.create_schema()
        await store.repository(Note).add(Note(title="x"))


async def test_a_table_more_is_made_by_create_schema_but_not_where_migrations_rule(
    database, tmp_path
):
    async with open_store(database.url, [Note]) as store:
        await store.create_schema()
    async with open_store(database.url, BOTH) as store:
        await store.drop_schema()
    migrations = Migrations(database.url, [Note], folder=tmp_path)
    await migrations.create("notes")
    await migrations.upgrade()
    assert await refusal(database.url, BOTH) == ("the table notes_too is missing",)


async def test_the_look_costs_one_statement(filled, monkeypatch):
    asked = []
    for owner in (sqlite_executor.SQLiteExecutor, server_executor.ServerExecutor):
        original = owner.asked

        def counted(self, sql, *, _original=original):
            asked.append(sql)
            return _original(self, sql)

        monkeypatch.setattr(owner, "asked", counted)
    async with open_store(filled.url, BOTH):
        pass
    assert len(asked) == 1
    async with open_store(filled.url, BOTH, verify="off"):
        pass
    assert len(asked) == 1


async def test_verify_takes_known_words_only():
    with pytest.raises(ConfigurationError, match="expected 'exact', 'rolling' or 'off'"):
        open_store("memory://", [Note], verify="none")


async def test_a_memory_store_has_nothing_to_verify():
    class Pointing(Entity, table="pointing"):
        id: Field[int] = generated_key()
        note_id: Field[int] = ref(Note)

    async with open_store("memory://", [Note, Pointing]):
        pass
