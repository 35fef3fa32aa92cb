"""Expand and contract, step by step: the old program works on, and may be started again."""

from holdfast import Entity, Field, Migrations, field, generated_key, open_store


class Old(Entity, table="tasks"):
    id: Field[int] = generated_key()
    title: Field[str] = field(max_length=100)


class Expanded(Entity, table="tasks"):
    id: Field[int] = generated_key()
    title: Field[str] = field(max_length=100)
    summary: Field[str | None] = field(default=None)


class Required(Entity, table="tasks"):
    id: Field[int] = generated_key()
    title: Field[str] = field(max_length=100)
    summary: Field[str]


class Leaving(Entity, table="tasks"):
    id: Field[int] = generated_key()
    title: Field[str | None] = field(max_length=100, default=None)
    summary: Field[str]


class New(Entity, table="tasks"):
    id: Field[int] = generated_key()
    summary: Field[str]


async def migrated(database, folder, entity, message):
    migrations = Migrations(database.url, [entity], folder=folder)
    assert await migrations.create(message) is not None
    await migrations.upgrade()
    assert await migrations.check() == ()


async def works(database, entity, **values):
    """Start a program that knows *entity*, which adds a row and reads all."""
    async with open_store(database.url, [entity], verify="rolling") as store:
        rows = store.repository(entity)
        added = await rows.add(entity(**values))
        assert added.id in {row.id for row in await rows.find()}
        return await rows.find(order_by=entity.id.asc())


async def test_two_versions_of_a_program_work_at_every_step(database, tmp_path):
    await migrated(database, tmp_path, Old, "tasks")
    async with open_store(database.url, [Old]) as running:
        old = running.repository(Old)
        await old.add(Old(title="first"))

        await migrated(database, tmp_path, Expanded, "expand")
        await old.add(Old(title="second"))
        await old.patch((await old.first()).id, Old.title.to("renamed"))
        await works(database, Old, title="started again")
        await works(database, Expanded, title="both", summary="both")

        async with open_store(database.url, [Expanded]) as filling:
            tasks = filling.repository(Expanded)
            while rows := await tasks.find(Expanded.summary.is_null(), limit=2):
                for row in rows:
                    await tasks.patch(row.id, Expanded.summary.to(row.title))
        assert {task.title for task in await old.find()} == {
            "renamed", "second", "started again", "both",
        }  # fmt: skip

    async with open_store(database.url, [Expanded], verify="rolling") as running:
        expanded = running.repository(Expanded)
        await expanded.count()
        await migrated(database, tmp_path, Required, "require")
        await expanded.add(Expanded(title="late", summary="late"))
        await works(database, Expanded, title="again", summary="again")
        await works(database, Required, title="new", summary="new")

    async with open_store(database.url, [Required], verify="rolling") as running:
        required = running.repository(Required)
        await required.count()
        await migrated(database, tmp_path, Leaving, "let go")
        await required.add(Required(title="x", summary="x"))
        await works(database, Required, title="y", summary="y")
        rows = await works(database, New, summary="z")

    async with open_store(database.url, [New]) as running:
        new = running.repository(New)
        await new.count()
        await migrated(database, tmp_path, New, "contract")
        found = await new.find(order_by=New.id.asc())
        assert [row.summary for row in found] == [row.summary for row in rows]
        assert found[0].summary == "renamed"
        await new.add(New(summary="last"))
