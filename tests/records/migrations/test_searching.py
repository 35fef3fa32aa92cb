"""Fields whose words come to be searched: the rows that are there are found after the upgrade."""

from holdfast import Entity, Field, Migrations, field, generated_key, open_store


def entity(*searched):
    class Thing(Entity, table="things"):
        id: Field[int] = generated_key()
        title: Field[str] = field(search="title" in searched)
        body: Field[str | None] = field(default=None, search="body" in searched)

    return Thing


async def migrated(database, folder, thing):
    migrations = Migrations(database.url, [thing], folder=folder)
    await migrations.create("things")
    await migrations.upgrade()
    assert await migrations.check() == ()
    return open_store(database.url, [thing])


async def found(store, thing, text):
    return [hit.entity.id for hit in await store.repository(thing).search(text)]


async def test_rows_that_are_there_are_searched_after_an_upgrade(database, tmp_path):
    plain, titled, whole = entity(), entity("title"), entity("title", "body")
    async with await migrated(database, tmp_path, plain) as store:
        await store.repository(plain).add_many(
            [plain(title="Night drive", body="rain"), plain(title="day", body=None)]
        )
    async with await migrated(database, tmp_path, titled) as store:
        assert await found(store, titled, "night") == [1]
        assert await found(store, titled, "rain") == []
        await store.repository(titled).add(titled(title="night"))
    database.execute("INSERT INTO things (title, body) VALUES ('past us', 'rain at night')")
    async with await migrated(database, tmp_path, whole) as store:
        assert await found(store, whole, "rain") == [1, 4]
        database.execute("UPDATE things SET title = 'changed past us' WHERE id = 2")
        assert await found(store, whole, "changed") == []
        assert await store.build_search(rebuild=True) == 4
        assert await found(store, whole, "changed") == [2]
