"""Triggers that leave a row out without an error: what needs the database's answer says so."""

import pytest

from holdfast import Entity, Field, field, generated_key, key, open_store, version
from holdfast.errors import NotFoundError, StorageError
from servers import execute

pytestmark = pytest.mark.anyio


class Note(Entity, table="left_out_notes"):
    id: Field[int] = key()
    size: Field[int] = field(default=0)


class Line(Entity, table="left_out_lines"):
    id: Field[int] = generated_key()
    size: Field[int] = field(default=0)


class Named(Entity, table="left_out_named"):
    id: Field[int] = generated_key()
    name: Field[str] = field(unique=True, max_length=50)


class Draft(Entity, table="left_out_drafts"):
    id: Field[int] = key()
    size: Field[int] = field(default=0)
    version: Field[int] = version()


FUNCTION = """
CREATE OR REPLACE FUNCTION leave_out() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN IF NEW.size = 7 THEN RETURN NULL; END IF; RETURN NEW; END $$
"""


def triggers(backend):
    """Yield the statements by which rows of size 7 are left out."""
    if backend == "postgresql":
        yield FUNCTION
    for table in ("left_out_notes", "left_out_lines", "left_out_drafts"):
        for event in ("INSERT", "UPDATE"):
            head = f"CREATE TRIGGER {table}_{event} BEFORE {event} ON {table} FOR EACH ROW"
            if backend == "postgresql":
                yield f"{head} EXECUTE FUNCTION leave_out()"
            else:
                yield f"{head} WHEN NEW.size = 7 BEGIN SELECT RAISE(IGNORE); END"


@pytest.fixture(params=["sqlite", "postgresql"])
async def store(request, tmp_path):
    url = f"sqlite:///{tmp_path}/a.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql_url")
    async with open_store(url, [Note, Line, Draft]) as opened:
        await opened.create_schema()
        execute(url, *triggers(request.param))
        yield opened
        await opened.drop_schema()


async def test_a_key_that_was_not_given_is_missed(store):
    lines = store.repository(Line)
    with pytest.raises(StorageError, match="Line: the database answered for 0 of 1 rows"):
        await lines.add(Line(size=7))
    async with store.transaction():
        with pytest.raises(StorageError, match="Line: the database answered for"):
            await lines.add_many([Line(size=1), Line(size=7)])
        assert await lines.count() == 0
        await lines.add(Line(size=2))
    assert [line.size for line in await lines.find()] == [2]


async def test_what_is_said_of_the_others_is_true_on_each_database(store):
    lines = store.repository(Line)
    with pytest.raises(StorageError, match="outside a transaction the others may be stored"):
        await lines.add_many([Line(size=1), Line(size=7), Line(size=2)])
    assert await lines.count() == {"sqlite": 0, "postgresql": 2}[store.backend]


async def test_upserts_whose_values_a_trigger_changes_are_told_apart_by_nobody(postgresql_url):
    lower = """CREATE OR REPLACE FUNCTION lower_names() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN NEW.name := lower(NEW.name); RETURN NEW; END $$"""
    async with open_store(postgresql_url, [Named]) as store:
        await store.create_schema()
        trigger = "CREATE TRIGGER lower_names BEFORE INSERT OR UPDATE ON left_out_named"
        execute(postgresql_url, lower, f"{trigger} FOR EACH ROW EXECUTE FUNCTION lower_names()")
        named = store.repository(Named)
        async with store.transaction():
            with pytest.raises(StorageError, match="stored other values of name than were given"):
                await named.upsert_many([Named(name="A"), Named(name="b")], on=[Named.name])
            assert await named.count() == 0
            made = await named.upsert_many([Named(name="a"), Named(name="b")], on=[Named.name])
        assert [each.entity.name for each in made] == ["a", "b"]
        await store.drop_schema()


async def test_an_upsert_is_missed_and_undone_in_its_transaction(store):
    notes = store.repository(Note)
    await notes.add(Note(id=1, size=1))
    for note in (Note(id=1, size=7), Note(id=2, size=7)):
        with pytest.raises(StorageError, match="Note: the database answered for 0 of 1 rows"):
            await notes.upsert(note)
    async with store.transaction():
        with pytest.raises(StorageError, match="Note: the database answered for 1 of 2 rows"):
            await notes.upsert_many([Note(id=1, size=2), Note(id=3, size=7)])
        await notes.upsert(Note(id=4, size=4))
    assert [(note.id, note.size) for note in await notes.find()] == [(1, 1), (4, 4)]


async def test_a_change_that_is_left_out_is_no_stale_version(store):
    drafts = store.repository(Draft)
    draft = await drafts.add(Draft(id=1, size=1))
    draft.size = 7
    with pytest.raises(NotFoundError, match="no such key: 1; one is there now"):
        await drafts.update(draft)
    with pytest.raises(NotFoundError, match="no such key: 1"):
        await drafts.patch(1, Draft.size.to(7), version=1)
    assert (await drafts.get(1)).size == 1
