"""A table that the database keeps in partitions is a table: every verb, pages, upserts, locks."""

import asyncio
import random

import pytest

from holdfast import Entity, Field, field, key, open_store, ref, unique, version
from holdfast.errors import DuplicateError, ForeignKeyError, StaleVersionError
from holdfast.records.drivers.sql.statements.constraint_ddl import database_name
from holdfast.records.drivers.sql.statements.schema_inspection import VERSION_TABLE
from holdfast.records.entities.model import model_of
from holdfast.records.migrations import Migrations
from servers import execute

pytestmark = pytest.mark.anyio
DAYS, EACH = 400, 100
"""Days of readings, and days of a partition; what comes later is in one of its own."""
LATER = 300
INDEX = "ix_partitioned_readings_camera_value"


class Reading(Entity, table="partitioned_readings", indexes=[("camera", "value")]):
    camera: Field[int] = key()
    day: Field[int] = key()
    value: Field[int] = field(default=0)
    note: Field[str | None] = field(default=None, max_length=50)
    version: Field[int] = version()


def postgresql_statements():
    yield "ALTER TABLE partitioned_readings RENAME TO plain_readings"
    yield (
        "CREATE TABLE partitioned_readings (LIKE plain_readings INCLUDING ALL)"
        " PARTITION BY RANGE (day)"
    )
    yield "DROP TABLE plain_readings"
    for day in range(0, LATER, EACH):
        yield (
            f"CREATE TABLE readings_{day} PARTITION OF partitioned_readings"
            f" FOR VALUES FROM ({day}) TO ({day + EACH})"
        )
    yield "CREATE TABLE readings_later PARTITION OF partitioned_readings DEFAULT"
    yield f"ALTER INDEX partitioned_readings_camera_value_day_idx RENAME TO {INDEX}"


def mysql_statements():
    parts = [f"PARTITION p{day} VALUES LESS THAN ({day + EACH})" for day in range(0, LATER, EACH)]
    parts.append("PARTITION later VALUES LESS THAN (MAXVALUE)")
    yield f"ALTER TABLE partitioned_readings PARTITION BY RANGE COLUMNS (day) ({', '.join(parts)})"


STATEMENTS = {
    "postgresql": postgresql_statements, "mariadb": mysql_statements, "mysql": mysql_statements,
}  # fmt: skip


@pytest.fixture(params=STATEMENTS)
async def opened(request):
    url = request.getfixturevalue(f"{request.param}_url")
    async with open_store(url, [Reading]) as store:
        await store.create_schema()
        execute(url, *STATEMENTS[request.param]())
        yield url, store.repository(Reading)
        await store.drop_schema()


def some(count):
    """Return *count* readings, spread evenly over the days."""
    dice = random.Random(7)
    return [
        Reading(camera=number, day=number * DAYS // count, value=dice.randrange(9))
        for number in range(count)
    ]


def shown(reading):
    return reading.camera, reading.day, reading.value


async def test_every_verb(opened):
    _, readings = opened
    rows = some(700)
    await readings.add_many(rows)
    assert await readings.count() == 700
    assert shown(await readings.get((rows[3].camera, rows[3].day))) == shown(rows[3])
    with pytest.raises(DuplicateError) as taken:
        await readings.add(Reading(camera=rows[3].camera, day=rows[3].day))
    assert taken.value.fields == ("camera", "day")

    changed = await readings.patch((rows[9].camera, rows[9].day), Reading.note.to("x"), version=1)
    assert changed.version == 2
    with pytest.raises(StaleVersionError):
        await readings.patch((rows[9].camera, rows[9].day), Reading.note.to("y"), version=1)

    again = Reading(camera=rows[5].camera, day=rows[5].day, value=77)
    assert not (await readings.upsert(again)).created
    outcomes = await readings.upsert_many([again, Reading(camera=9, day=0)])
    assert [each.created for each in outcomes] == [False, True]

    since = 150
    expected = sum(each.day >= since for each in rows)
    hundred = Reading.value.to(100)
    assert await readings.update_where(Reading.day >= since, changes=[hundred]) == expected
    assert await readings.count(Reading.value == 100) == expected
    assert await readings.delete_where(Reading.day >= since) == expected
    assert await readings.count() == 701 - expected


async def test_an_upsert_tells_what_it_created(opened):
    _, readings = opened
    async with readings.store.transaction():
        reading = Reading(camera=1, day=LATER + 1)
        found = [(await readings.upsert(reading)).created for _ in range(2)]
        assert await readings.delete((reading.camera, reading.day))
        found.append((await readings.upsert(reading)).created)
        assert found == [True, False, True]
    many = [Reading(camera=number, day=1) for number in range(20)]
    together = await asyncio.gather(*(readings.upsert_many(many[number:]) for number in range(8)))
    created = [each.entity.camera for outcomes in together for each in outcomes if each.created]
    assert sorted(created) == list(range(20)), "each of them by one of those that ran at once"


async def test_partitions_are_found_out_by_upserts_that_run_at_once(postgresql_url):
    class Visit(Entity, table="partitioned_visits"):  # of this test alone: nothing is known of it
        id: Field[int] = key()
        text: Field[str] = field(default="")

    async with open_store(postgresql_url, [Visit]) as store:
        await store.create_schema()
        execute(
            postgresql_url, "DROP TABLE partitioned_visits",
            "CREATE TABLE partitioned_visits (id bigint PRIMARY KEY, text text NOT NULL)"
            " PARTITION BY HASH (id)",
            *(f"CREATE TABLE visits_{number} PARTITION OF partitioned_visits"
              f" FOR VALUES WITH (MODULUS 2, REMAINDER {number})" for number in range(2)),
        )  # fmt: skip
        visits = store.repository(Visit)

        async def upsert_in_a_transaction(number):
            async with store.transaction():
                await visits.add(Visit(id=100 + number))
                return (await visits.upsert(Visit(id=number % 2))).created

        created = await asyncio.gather(*map(upsert_in_a_transaction, range(8)))
        assert sum(created) == 2
        assert await visits.count() == 10, "what the transactions had written before is kept"
        await store.drop_schema()


async def test_what_a_partition_refuses_is_told_by_the_fields(postgresql_url):
    class Site(Entity, table="partitioned_sites"):
        id: Field[int] = key()

    class Stay(Entity, table="partitioned_stays", uniques=[("site_id", "code")]):
        site_id: Field[int] = key()
        id: Field[int] = key()
        code: Field[str] = field(max_length=10)
        best: Field[bool] = field(default=False)
        other_id: Field[int | None] = ref(Site, default=None)

        @classmethod
        def __constraints__(cls):
            return [unique(cls.site_id, where=cls.best == True, name="one_best")]  # noqa: E712

    async with open_store(postgresql_url, [Site, Stay]) as store:
        await store.create_schema()
        name = database_name("partitioned_stays", model_of(Stay).further_uniques[0])
        execute(
            postgresql_url,
            "ALTER TABLE partitioned_stays RENAME TO plain_stays",
            "ALTER TABLE plain_stays DROP CONSTRAINT fk_partitioned_stays_other_id",
            f"DROP INDEX {name}",
            "DROP TABLE partitioned_sites",
            "CREATE TABLE partitioned_sites (id bigint PRIMARY KEY) PARTITION BY RANGE (id)",
            "CREATE TABLE sites_all PARTITION OF partitioned_sites DEFAULT",
            "CREATE TABLE partitioned_stays (LIKE plain_stays INCLUDING ALL,"
            " CONSTRAINT fk_partitioned_stays_other_id FOREIGN KEY (other_id)"
            " REFERENCES partitioned_sites) PARTITION BY RANGE (site_id)",
            f"CREATE UNIQUE INDEX {name} ON partitioned_stays (site_id) WHERE best",
            "CREATE TABLE stays_all PARTITION OF partitioned_stays DEFAULT"
            " PARTITION BY RANGE (site_id)",
            "CREATE TABLE stays_all_all PARTITION OF stays_all DEFAULT",
            "DROP TABLE plain_stays",
        )
        stays, sites = store.repository(Stay), store.repository(Site)
        await sites.add(Site(id=1))
        await stays.add(Stay(site_id=1, id=1, code="a", best=True, other_id=1))
        for stay, fields in [
            (Stay(site_id=1, id=1, code="b"), ("site_id", "id")),
            (Stay(site_id=1, id=2, code="a"), ("site_id", "code")),
            (Stay(site_id=1, id=2, code="b", best=True), ("site_id",)),
        ]:
            with pytest.raises(DuplicateError) as taken:
                await stays.add(stay)
            assert taken.value.fields == fields
            with pytest.raises(DuplicateError) as taken:
                async with store.transaction():
                    await stays.add_many([Stay(site_id=2, id=1, code="c"), stay])
            assert (taken.value.fields, taken.value.index) == (fields, 1)
        with pytest.raises(ForeignKeyError) as held:
            await sites.delete(1)
        assert held.value.fields == ("other_id",)
        assert await stays.count() == 1
        await store.drop_schema()


async def test_pages_go_over_partitions(opened):
    _, readings = opened
    rows = some(700)
    await readings.add_many(rows)
    order, seen, cursor = (Reading.value.desc(), Reading.day.asc(), Reading.camera.asc()), [], None
    while True:
        page = await readings.page(order_by=order, size=64, cursor=cursor)
        seen += page.items
        if page.next is None:
            break
        cursor = page.next
    expected = sorted(rows, key=lambda each: (-each.value, each.day, each.camera))
    assert list(map(shown, seen)) == list(map(shown, expected))


async def test_locks_skip_what_others_hold(opened):
    url, readings = opened
    await readings.add_many(some(40))
    async with readings.store.transaction():
        held = await readings.find(limit=10, order_by=Reading.camera.asc(), lock="update")
        async with open_store(url, [Reading]) as other, other.transaction():
            rest = await other.repository(Reading).find(
                limit=10, order_by=Reading.camera.asc(), lock="update", skip_locked=True
            )
        assert not {each.day for each in held} & {each.day for each in rest}
        assert len(held) == len(rest) == 10


async def test_migrations_find_the_table_as_declared(opened, tmp_path):
    url, _ = opened
    migrations = Migrations(url, [Reading], folder=tmp_path)
    assert await migrations.check() == ()
    await migrations.create("as it is")
    await migrations.stamp()
    try:
        assert await migrations.check() == ()
    finally:  # the database is the session's, and stores mind tables that migrations lack
        execute(url, f"DROP TABLE {VERSION_TABLE}")
