"""Views of the database's as entities: read as any, never written, left to their makers."""

import pytest

from holdfast import (
    Entity,
    Field,
    Many,
    Migrations,
    One,
    generated_key,
    key,
    many,
    one,
    open_store,
    ref,
    version,
)
from holdfast.errors import ConfigurationError, InvalidQueryError, SchemaMismatchError
from servers import empty_store, execute


class Project(Entity, table="projects"):
    id: Field[int] = generated_key()
    name: Field[str]
    videos: Many["Video"] = many(via="project_id")


class Video(Entity, table="videos"):
    id: Field[int] = generated_key()
    project_id: Field[int] = ref(Project, on_delete="cascade")


class ProjectSize(Entity, table="project_sizes", view=True):
    project_id: Field[int] = key()
    name: Field[str]
    size: Field[int]


class Sized(Entity, table="sized", view=True):
    id: Field[int] = key()
    project_id: Field[int] = ref(Project)
    project: One[Project] = one(via="project_id")


TABLES, VIEWS = [Project, Video], [ProjectSize, Sized]
SIZES = """
    CREATE VIEW project_sizes AS SELECT p.id AS project_id, p.name AS name, count(v.id) AS size
    FROM projects p LEFT JOIN videos v ON v.project_id = p.id GROUP BY p.id, p.name
"""
MADE = (SIZES, "CREATE VIEW sized AS SELECT DISTINCT project_id AS id, project_id FROM videos")


@pytest.mark.parametrize("kind", ["sqlite", "postgresql", "mariadb", "mysql"])
async def test_a_view_is_read_as_any_entity_and_never_written(kind, tmp_path):
    with empty_store(kind, tmp_path) as url:
        async with open_store(url, TABLES) as store:
            await store.create_schema()
            first, _ = (
                await store.repository(Project).add_many([Project(name="a"), Project(name="b")])
            ).entities
            videos = [Video(project_id=first.id), Video(project_id=first.id)]
            await store.repository(Video).add_many(videos)
        execute(url, *MADE)
        async with open_store(url, [*TABLES, *VIEWS]) as store:
            sizes, sized = store.repository(ProjectSize), store.repository(Sized)
            found = await sizes.find(order_by=ProjectSize.size.desc())
            assert [(each.name, each.size) for each in found] == [("a", 2), ("b", 0)]
            assert await sizes.get(first.id) == found[0]
            assert (await sized.one(Sized.project.has(Project.name == "a"))).id == first.id
            assert (await sized.find(load=[Sized.project]))[0].project.name == "a"
            await store.create_schema()
            for write in (
                lambda: sizes.add(ProjectSize(project_id=9, name="c", size=0)),
                lambda: sizes.update(found[0]),
                lambda: sizes.patch(first.id, ProjectSize.size.to(3)),
                lambda: sizes.upsert(found[0]),
                lambda: sizes.delete(first.id),
                lambda: sizes.delete_where(ProjectSize.size == 0),
            ):
                with pytest.raises(InvalidQueryError, match="ProjectSize is a view"):
                    await write()
            await store.clear()
            assert await sizes.count() == await store.repository(Project).count() == 0
        folder = tmp_path / "migrations"
        migrations = Migrations(url, [*TABLES, *VIEWS], folder=folder)
        path = await migrations.create("tables")
        assert "project_sizes" not in path.read_text()
        await migrations.stamp()
        assert await migrations.check() == ()


async def test_a_view_that_lacks_a_column_is_told_when_the_store_opens(tmp_path):
    with empty_store("sqlite", tmp_path) as url:
        execute(url, "CREATE VIEW project_sizes AS SELECT 1 AS project_id, 'a' AS name")
        with pytest.raises(SchemaMismatchError, match=r"project_sizes\.size is missing"):
            async with open_store(url, [ProjectSize]):
                pass


def test_a_view_declares_nothing_that_only_a_table_keeps():
    with pytest.raises(ConfigurationError, match="is a view, which keeps nothing"):

        class Versioned(Entity, table="versioned", view=True):
            id: Field[int] = key()
            version: Field[int] = version()
