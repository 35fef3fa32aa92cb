"""Tables in schemas: a file names them as entities do, and runs wherever it was written."""

from uuid import uuid4

import pytest

from holdfast import (
    Entity,
    Field,
    Migrations,
    check,
    field,
    generated_key,
    open_store,
    ref,
    unique,
)
from holdfast.errors import ForeignKeyError, SchemaMismatchError, UnsupportedError
from servers import execute, url_of

APP, LOG, NORTH, SOUTH = (f"{name}_{uuid4().hex[:12]}" for name in ("app", "log", "north", "south"))


@pytest.fixture(autouse=True)
def schemas(make_database):
    """Drop the schemas that are the whole server's, before the databases that they point at."""
    yield
    for kind in ("mariadb", "mysql"):
        dropped = [f"DROP DATABASE IF EXISTS {name}" for name in (LOG, APP, NORTH, SOUTH)]
        execute(url_of(kind), "SET foreign_key_checks = 0", *dropped)


def first():
    class Video(Entity, table="videos", schema=APP, indexes=[("title",)]):
        id: Field[int] = generated_key()
        title: Field[str] = field(max_length=40)
        ratio: Field[float] = field(default=0.5)

        @classmethod
        def __constraints__(cls):
            return [unique(cls.title, ignore_case=True), check("titled", cls.title != "")]

    class Viewing(Entity, table="viewings", schema=LOG):
        id: Field[int] = generated_key()
        video_id: Field[int] = ref(Video, on_delete="cascade")

    class Other(Entity, table="videos"):
        id: Field[int] = generated_key()
        video_id: Field[int | None] = ref(Video, default=None)

    return [Video, Viewing, Other]


def second():
    class Video(Entity, table="videos", schema=APP, indexes=[("length",)]):
        id: Field[int] = generated_key()
        title: Field[str] = field(max_length=60)
        ratio: Field[float] = field(default=0.5)
        length: Field[int] = field(default=3, ge=0)
        next_id: Field[int | None] = ref("Video", default=None)

        @classmethod
        def __constraints__(cls):
            return [unique(cls.title, where=cls.length > 5)]

    class Other(Entity, table="videos"):
        id: Field[int] = generated_key()
        video_id: Field[int | None] = ref(Video, default=None)

    class Viewing(Entity, table="viewings", schema=LOG):
        id: Field[int] = generated_key()
        video_id: Field[int] = ref(Video)
        other_id: Field[int | None] = ref(Other, default=None)

    return [Video, Viewing, Other]


@pytest.mark.parametrize(("writer", "runner"), [("sqlite", "postgresql"), ("mariadb", "mysql")])
async def test_what_one_database_writes_for_schemas_runs_on_all(
    make_database, tmp_path, writer, runner
):
    written = make_database(writer)
    for entities in (first(), second()):
        migrations = Migrations(written.url, entities, folder=tmp_path)
        path = await migrations.create("tables")
        text = path.read_text("utf-8")
        assert f"'{APP}.videos'" in text
        assert "schema=" not in text
        await migrations.upgrade()
        assert await migrations.check() == ()
        assert await migrations.create("again") is None
    other = make_database(runner)
    migrations = Migrations(other.url, second(), folder=tmp_path)
    await migrations.upgrade()
    assert await migrations.check() == ()
    video, viewing, plain = entities = second()
    async with open_store(other.url, entities) as store:
        one = await store.repository(video).add(video(title="a"))
        await store.repository(viewing).add(viewing(video_id=one.id))
        assert await store.repository(plain).count() == 0
        with pytest.raises(ForeignKeyError):
            await store.repository(video).delete(one.id)
    await Migrations(other.url, first(), folder=tmp_path).downgrade("-1")
    (difference,) = await Migrations(other.url, first(), folder=tmp_path).check()
    assert difference.kind == "revision"


class Note(Entity, table="notes", indexes=[("text",)]):
    id: Field[int] = generated_key()
    text: Field[str] = field(max_length=40, unique=True)


@pytest.mark.parametrize("kind", ["postgresql", "mysql"])
async def test_each_schema_of_a_server_stands_at_its_own_revision(make_database, tmp_path, kind):
    url = make_database(kind).url
    migrations = Migrations(url, [Note], folder=tmp_path)
    assert NORTH not in (await migrations.create("notes")).read_text("utf-8")
    north, south = f"{url}?schema={NORTH}", f"{url}?schema={SOUTH}"
    for _ in range(2):  # the second time there is nothing to do
        await Migrations(north, [Note], folder=tmp_path).upgrade()
    assert [each.applied for each in await migrations.history()] == [False]
    await Migrations(south, [Note], folder=tmp_path).upgrade()
    await Migrations(south, [Note], folder=tmp_path).downgrade("base")
    assert await Migrations(north, [Note], folder=tmp_path).check() == ()
    async with open_store(north, [Note]) as store:
        await store.repository(Note).add(Note(text="a"))
    with pytest.raises(SchemaMismatchError, match=f"{SOUTH}.notes"):
        async with open_store(south, [Note]):
            pass
    said = await Migrations(north, [Note], folder=tmp_path).sql()
    assert said.index(NORTH) < said.index("notes")


async def test_a_schema_of_the_store_has_no_migrations_on_sqlite(make_database, tmp_path):
    url = f"{make_database('sqlite').url}?schema={NORTH}"
    with pytest.raises(UnsupportedError, match="schema"):
        Migrations(url, [Note], folder=tmp_path)
