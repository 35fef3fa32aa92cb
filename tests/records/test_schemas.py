"""A store's own schema: the entities that name none have their tables there, on every backend."""

from contextlib import contextmanager
from uuid import uuid4

import pytest

from dynamodb_servers import store_url
from holdfast import Entity, Field, One, field, generated_key, one, open_store, ref, sync
from holdfast.cache import CachedRepository, open_cache
from holdfast.errors import (
    ConfigurationError,
    DuplicateError,
    ForeignKeyError,
    SchemaMismatchError,
    UnsupportedError,
)
from holdfast.integrations.sqlalchemy import execute as run_statement
from holdfast.integrations.sqlalchemy import table_of
from holdfast.records.options import MemoryOptions
from servers import empty_store, execute, url_of

SHARED, NORTH, SOUTH = (f"{name}_{uuid4().hex[:12]}" for name in ("shared", "north", "south"))


class Plan(Entity, table="plans", schema=SHARED):
    id: Field[int] = generated_key()
    name: Field[str] = field(unique=True, max_length=40)


class Video(Entity, table="videos", indexes=[("length",)]):
    id: Field[int] = generated_key()
    title: Field[str] = field(unique=True, max_length=40)
    length: Field[int] = field(default=1, ge=0)
    plan_id: Field[int] = ref(Plan)
    plan: One[Plan] = one(via="plan_id")


class Note(Entity, table="notes", indexes=[("text",)]):
    id: Field[int] = generated_key()
    text: Field[str] = field(max_length=40)


@contextmanager
def empty_place(kind, folder):
    """Yield the URL of an empty store, ending as parameters may follow."""
    if kind == "dynamodb":
        yield f"{store_url('dynoxide', uuid4().hex)}&"
        return
    with empty_store(kind, folder) as url:
        yield f"{url}?"
        if kind in ("mariadb", "mysql"):  # its schemas are the whole server's
            for name in (NORTH, SOUTH, SHARED):
                execute(url_of(kind), f"DROP DATABASE IF EXISTS {name}")


@pytest.mark.parametrize("kind", ["sqlite", "postgresql", "mariadb", "mysql"])
async def test_stores_in_two_schemas_share_what_names_its_own(kind, tmp_path):
    with empty_place(kind, tmp_path) as place:
        urls = [f"{place}schema={name}" for name in (NORTH, SOUTH)]
        entities = [Plan, Video, Note]
        async with open_store(urls[0], entities) as north, open_store(urls[1], entities) as south:
            assert (north.schema, south.schema) == (NORTH, SOUTH)
            for store in (north, south, north):
                await store.create_schema()
            plan = await north.repository(Plan).add(Plan(name="small"))
            assert await south.repository(Plan).find() == [plan]
            for store in (north, south):
                videos = store.repository(Video)
                (added,) = (await videos.add_many([Video(title="a", plan_id=plan.id)])).entities
                assert added.id == 1
                with pytest.raises(DuplicateError) as taken:
                    await videos.add(Video(title="a", plan_id=plan.id))
                assert taken.value.fields == ("title",)
                with pytest.raises(ForeignKeyError):
                    await videos.add(Video(title="b", plan_id=plan.id + 1))
            await north.repository(Video).patch(1, Video.length.to(9))
            assert await south.repository(Video).find(Video.length > 5) == []
            (found,) = await north.repository(Video).find(
                Video.plan.has(Plan.name == "small"), load=[Video.plan]
            )
            assert (found.length, found.plan) == (9, plan)
            with pytest.raises(ForeignKeyError):
                await south.repository(Plan).delete(plan.id)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql", "mysql", "dynamodb"])
async def test_a_store_empties_and_drops_its_own_schema_alone(kind, tmp_path):
    with empty_place(kind, tmp_path) as place:
        urls = [f"{place}schema={name}" for name in (NORTH, SOUTH)]
        async with open_store(urls[0], [Note]) as north, open_store(urls[1], [Note]) as south:
            for store in (north, south):
                await store.create_schema()
                (note,) = (
                    await store.repository(Note).add_many([Note(text=store.schema)])
                ).entities
                assert note.id == 1
            await north.clear()
            assert [each.text for each in await south.repository(Note).find()] == [SOUTH]
            await north.drop_schema()
            assert await south.repository(Note).count() == 1
            await south.drop_schema()


def test_a_reference_that_other_schemas_may_share_is_refused_on_dynamodb():
    url = f"{store_url('dynoxide', uuid4().hex)}&schema=north"
    with (
        pytest.raises(UnsupportedError, match=r"Video.plan_id"),
        sync.open_store(url, [Plan, Video]),
    ):
        pass


@pytest.mark.parametrize("kind", ["sqlite", "postgresql", "mysql"])
async def test_a_store_looks_at_the_tables_of_its_schema_alone(kind, tmp_path):
    with empty_place(kind, tmp_path) as place:
        urls = [f"{place}schema={name}" for name in (NORTH, SOUTH)]
        for url in urls:
            async with open_store(url, [Note]) as store:
                await store.create_schema()
                table = table_of(Note, store)
                async with store.transaction() as transaction:
                    statement = table.insert().values(text=store.schema)
                    await run_statement(transaction, statement)
                (note,) = await store.repository(Note).find()
                assert note.text == store.schema
        quoted = f'"{SOUTH}.notes"' if kind == "sqlite" else f"{SOUTH}.notes"
        execute(urls[1], f"ALTER TABLE {quoted} RENAME COLUMN text TO words")
        async with open_store(urls[0], [Note]):
            pass
        with pytest.raises(SchemaMismatchError, match=f"{SOUTH}.notes"):
            async with open_store(urls[1], [Note]):
                pass


async def test_what_is_cached_of_one_schema_is_not_served_to_another():
    async with (
        open_store("memory://?schema=north", [Note]) as north,
        open_store("memory://", [Note], options=MemoryOptions(schema="south")) as south,
        open_cache("memory://") as cache,
    ):
        for store in (north, south):
            await store.create_schema()
            notes = CachedRepository(store.repository(Note), cache)
            note = await notes.add(Note(text=store.schema))
            assert (await notes.get_one(note.id)).text == store.schema


def test_two_entities_in_one_table_are_refused():
    class Other(Entity, table="notes", schema="north"):
        id: Field[int] = generated_key()

    with sync.open_store("memory://", [Note, Other]) as store:
        assert store.schema == ""
    with (
        pytest.raises(ConfigurationError, match=r"Note and Other both live in .*'north.notes'"),
        sync.open_store("memory://?schema=north", [Note, Other]),
    ):
        pass


@pytest.mark.parametrize("name", ["a.b", 'a"b', " a", "x" * 64, "sqlite_a", "pg_a", "North", "a\n"])
def test_a_schema_that_not_every_backend_can_keep_is_refused(name):
    with pytest.raises(ConfigurationError, match="schema="):

        class Odd(Entity, table="odd", schema=name):
            id: Field[int] = generated_key()

    options = MemoryOptions(schema=name)
    with (
        pytest.raises(ConfigurationError, match="schema="),
        sync.open_store("memory://", [Note], options=options),
    ):
        pass


def test_a_schema_needs_a_table():
    with pytest.raises(ConfigurationError, match="need a table"):

        class Mixin(Entity, schema="app"):
            pass
