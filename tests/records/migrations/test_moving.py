"""Up and down with rows in the tables, on every database."""

from decimal import Decimal
from uuid import UUID

import pytest

from holdfast import Migrations, open_store
from holdfast.errors import ForeignKeyError
from records.migrations import library
from records.migrations.kinds import EVERY_KIND


async def made(database, folder, entities, message="tables"):
    migrations = Migrations(database.url, entities, folder=folder)
    path = await migrations.create(message)
    assert path is not None
    await migrations.upgrade()
    assert await migrations.check() == ()
    return migrations


@pytest.mark.parametrize(
    "entities", [EVERY_KIND, [library.Egg, library.Hen]], ids=["every kind", "circle"]
)
async def test_after_an_upgrade_nothing_is_left_to_create(database, tmp_path, entities):
    migrations = await made(database, tmp_path, entities)
    assert await migrations.create("again") is None
    assert len(list((tmp_path / "versions").glob("*.py"))) == 1
    async with open_store(database.url, entities):
        pass
    await migrations.downgrade("base")
    assert {each.kind for each in await migrations.check()} >= {"revision", "missing table"}
    await migrations.upgrade()
    assert await migrations.check() == ()


async def test_create_schema_and_migrations_make_the_same(database, tmp_path):
    entities = EVERY_KIND
    async with open_store(database.url, entities) as store:
        await store.create_schema()
    migrations = Migrations(database.url, entities, folder=tmp_path)
    assert await migrations.create("adopted") is not None
    await migrations.stamp()
    assert await migrations.check() == ()
    assert await migrations.create("again") is None


@pytest.mark.parametrize("writer", ["sqlite", "postgresql", "mariadb"])
async def test_a_file_written_for_one_database_runs_on_all(make_database, tmp_path, writer):
    await made(make_database(writer), tmp_path, library.first())
    await made(make_database(writer), tmp_path / "odd", EVERY_KIND)
    for kind in ("sqlite", "postgresql", "mariadb"):
        for folder, entities in (
            (tmp_path, library.first()),
            (tmp_path / "odd", EVERY_KIND),
        ):
            migrations = Migrations(make_database(kind).url, entities, folder=folder)
            await migrations.upgrade()
            assert await migrations.check() == ()


@pytest.mark.parametrize("writer", ["sqlite", "postgresql", "mariadb"])
async def test_a_change_written_for_one_database_runs_on_all(make_database, tmp_path, writer):
    first, second = library.first(), library.second()
    database = make_database(writer)
    await made(database, tmp_path, first)
    await made(database, tmp_path, second)
    for kind in ("sqlite", "postgresql", "mariadb"):
        other = make_database(kind)
        migrations = Migrations(other.url, second, folder=tmp_path)
        await migrations.upgrade()
        assert await migrations.check() == ()
        await migrations.downgrade("-1")
        before = await Migrations(other.url, first, folder=tmp_path).check()
        assert [each.kind for each in before] == ["revision"]


async def test_rows_survive_a_change_and_its_undoing(database, tmp_path):
    project, video, *_ = first = library.first()
    await made(database, tmp_path, first)
    async with open_store(database.url, first) as store:
        projects, videos = store.repository(project), store.repository(video)
        kept = await projects.add(project(name="kept"))
        gone = await projects.add(project(name="gone"))
        await projects.delete(gone.id)
        stored = await videos.add_many(
            [
                video(project_id=kept.id, filename=f"{n}.mp4", duration=n / 3, note=None)
                for n in range(50)
            ]
        )
    migrations = await made(database, tmp_path, library.second())
    newer, newest, *_ = second = library.second()
    async with open_store(database.url, second) as store:
        projects, videos = store.repository(newer), store.repository(newest)
        assert [each.owner for each in await projects.find()] == [library.ODD_TEXT]
        found = await videos.find(order_by=newest.id.asc())
        assert [each.id for each in found] == sorted(each.id for each in stored.entities)
        assert {each.duration for each in found} == {n / 3 for n in range(50)}
        one = found[0]
        assert (one.rating, one.cost, one.ratio, one.seen) == (3, Decimal("1.500"), 0.25, True)
        assert (one.token, one.data, one.tags) == (UUID(int=7), b"\x00\xff'", {})
        assert one.created_at == next(e for e in stored.entities if e.id == one.id).created_at
        with pytest.raises(ForeignKeyError):
            await videos.patch(one.id, newest.parent_id.to(UUID(int=1)))
        with pytest.raises(ForeignKeyError):
            await videos.add(newest(project_id=999, filename="none", duration=None))
        assert (await projects.add(newer(name="after"))).id > gone.id
        assert await projects.delete(kept.id + 2)
    await migrations.downgrade("-1")
    async with open_store(database.url, first) as store:
        projects, videos = store.repository(project), store.repository(video)
        assert await videos.count() == 50
        assert [each.name for each in await projects.find()] == ["kept"]
        await projects.delete(kept.id)
        assert await videos.count() == 0
