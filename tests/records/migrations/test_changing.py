"""Columns that change under rows: to another kind, to one that takes no nulls."""

from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest

from holdfast import Entity, Field, Migrations, created_at, field, generated_key, open_store
from holdfast.errors import MigrationError
from records.migrations.library import ODD_TEXT


def entity(kind, **options):
    class Thing(Entity, table="things"):
        id: Field[int] = generated_key()
        value: Field[kind] = field(**options)

    return Thing


async def stored(database, folder, thing, *values):
    migrations = Migrations(database.url, [thing], folder=folder)
    await migrations.create("things")
    await migrations.upgrade()
    async with open_store(database.url, [thing]) as store:
        for value in values:
            if value is None:
                database.execute("INSERT INTO things (value) VALUES (NULL)")
            else:
                await store.repository(thing).add(thing(value=value))


async def values(database, thing):
    async with open_store(database.url, [thing]) as store:
        found = await store.repository(thing).find(order_by=thing.id.asc())
        return [each.value for each in found]


async def changed(database, folder, thing):
    migrations = Migrations(database.url, [thing], folder=folder)
    await migrations.create("changed")
    await migrations.upgrade()
    assert await migrations.check() == ()


# --- another kind ---------------------------------------------------------------------------


async def test_text_that_is_no_number_is_refused_before_anything_is_changed(
    make_database, tmp_path
):
    class Later(Entity, table="things"):
        id: Field[int] = generated_key()
        value: Field[int]
        other: Field[int] = field(default=1)

    for kind in ("sqlite", "mariadb"):
        database, folder = make_database(kind), tmp_path / kind
        text = entity(str)
        await stored(database, folder, text, "5", "other")
        migrations = Migrations(database.url, [Later], folder=folder)
        await migrations.create("numbers")
        for bad in ("x", "", "12abc", "1.5", " 5", "9" * 30):
            database.execute(f"UPDATE things SET value = '{bad}' WHERE value <> '5'")
            with pytest.raises(MigrationError, match=r"things has rows whose value") as caught:
                await migrations.upgrade()
            assert repr(bad) in str(caught.value)
            assert await values(database, text) == ["5", bad]
        database.execute("UPDATE things SET value = '-7' WHERE value <> '5'")
        await migrations.upgrade()
        assert await migrations.check() == ()
        assert await values(database, Later) == [5, -7]


async def test_text_becomes_no_number_by_itself_on_postgresql(make_database, tmp_path):
    database, text = make_database("postgresql"), entity(str)
    await stored(database, tmp_path, text, "5")
    with pytest.raises(MigrationError, match="everything was undone"):
        await changed(database, tmp_path, entity(int))
    assert await values(database, text) == ["5"]


def digits(scale):
    return {"digits": (8, scale)}


@pytest.mark.parametrize(
    ("was", "value", "becomes"),
    [
        ((str, {}), "1e", (float, {})),
        ((str, {}), "{", (dict[str, object], {})),
        ((str, {}), "yesterday", (datetime, {})),
        ((int, {}), 2, (bool, {})),
        ((int, {}), 2**53 + 1, (float, {})),
        ((float, {}), 0.5, (int, {})),
        ((int, {}), 150, (Decimal, digits(2))),
        ((Decimal, digits(2)), Decimal("1.50"), (Decimal, digits(3))),
        ((Decimal, digits(2)), Decimal("1.50"), (int, {})),
        ((bool, {}), True, (str, {})),
    ],
)
async def test_what_sqlite_would_make_something_else_of_is_refused(
    make_database, tmp_path, was, value, becomes
):
    database = make_database("sqlite")
    before = entity(was[0], **was[1])
    await stored(database, tmp_path, before, value)
    with pytest.raises(MigrationError, match="does not survive the change"):
        await changed(database, tmp_path, entity(becomes[0], **becomes[1]))
    assert await values(database, before) == [value]


@pytest.mark.parametrize(
    ("was", "given", "becomes", "wanted"),
    [
        ((str, {}), ["-12", "0"], (int, {}), [-12, 0]),
        ((str, {}), ["1.25", "-3", "2e3"], (float, {}), [1.25, -3.0, 2000.0]),
        ((str, {}), ['{"a": 1}'], (dict[str, object], {}), [{"a": 1}]),
        ((int, {}), [0, 1], (bool, {}), [False, True]),
        ((int, {}), [-(2**53), 7], (float, {}), [-(2.0**53), 7.0]),
        ((float, {}), [3.0, -1e15], (int, {}), [3, -(10**15)]),
        ((bool, {}), [True, False], (int, {}), [1, 0]),
        ((int, {}), [12], (str, {}), ["12"]),
        ((UUID, {}), [UUID(int=5)], (str, {}), [str(UUID(int=5))]),
        ((Decimal, digits(2)), [Decimal("1.50")], (Decimal, {"digits": (12, 2)}), [Decimal("1.5")]),
        ((Decimal, digits(2)), [], (Decimal, digits(4)), []),
    ],
)
async def test_what_sqlite_keeps_as_it_is_passes(
    make_database, tmp_path, was, given, becomes, wanted
):
    database = make_database("sqlite")
    await stored(database, tmp_path, entity(was[0], **was[1]), *given)
    after = entity(becomes[0], **becomes[1])
    await changed(database, tmp_path, after)
    assert await values(database, after) == wanted


# --- required -------------------------------------------------------------------------------


NOW = datetime(2026, 1, 2, tzinfo=UTC)


class Optional(Entity, table="things"):
    id: Field[int] = generated_key()
    number: Field[int | None]
    text: Field[str | None]
    flag: Field[bool | None]
    ratio: Field[float | None]
    price: Field[Decimal | None] = field(digits=(8, 2))
    data: Field[bytes | None]
    token: Field[UUID | None]
    tags: Field[dict[str, object] | None]
    made: Field[datetime | None]


class Required(Entity, table="things"):
    id: Field[int] = generated_key()
    number: Field[int] = field(default=3)
    text: Field[str] = field(default=ODD_TEXT)
    flag: Field[bool] = field(default=True)
    ratio: Field[float] = field(default=0.25)
    price: Field[Decimal] = field(default=Decimal("1.5"), digits=(8, 2))
    data: Field[bytes] = field(default=b"\x00'\xff")
    token: Field[UUID] = field(default=UUID(int=7))
    tags: Field[dict[str, object]] = field(default_factory=dict)
    made: Field[datetime] = field(default=NOW)


async def test_nulls_get_the_default_of_what_becomes_required(database, tmp_path):
    await stored(database, tmp_path, Optional)
    database.execute("INSERT INTO things (number) VALUES (NULL)")
    database.execute("INSERT INTO things (number, text) VALUES (8, 'kept')")
    await changed(database, tmp_path, Required)
    async with open_store(database.url, [Required]) as store:
        filled, kept = await store.repository(Required).find(order_by=Required.id.asc())
    assert (filled.number, filled.text, filled.flag, filled.ratio) == (3, ODD_TEXT, True, 0.25)
    assert (filled.price, filled.data) == (Decimal("1.50"), b"\x00'\xff")
    assert (filled.token, filled.tags, filled.made) == (UUID(int=7), {}, NOW)
    assert (kept.number, kept.text, kept.flag) == (8, "kept", True)
    await Migrations(database.url, [Required], folder=tmp_path).downgrade("-1")
    async with open_store(database.url, [Optional]) as store:
        assert await store.repository(Optional).count(Optional.text == "kept") == 1


async def test_nulls_without_a_default_are_refused_before_anything_is_changed(database, tmp_path):
    class Later(Entity, table="things"):
        id: Field[int] = generated_key()
        value: Field[int]
        another: Field[int] = field(default=1)
        made: Field[datetime] = created_at()

    class Before(Entity, table="befores"):
        """A table that the file makes first."""

        id: Field[int] = generated_key()

    first = entity(int | None, default=None)
    await stored(database, tmp_path, first, None, 5)
    migrations = Migrations(database.url, [Before, Later], folder=tmp_path)
    path = await migrations.create("required")
    text = path.read_text()
    statements = text.partition("def upgrade() -> None:\n")[2]
    assert statements.startswith("    operations.refuse_nulls('things', 'value')\n")
    with pytest.raises(MigrationError, match="things has 1 row where value is null"):
        await migrations.upgrade()
    assert await values(database, first) == [None, 5]
    assert {each.kind for each in await migrations.check()} >= {"missing table", "missing column"}
    mended = "operations.fill_nulls('things', 'value', operations.initial_value('int', 9))"
    path.write_text(text.replace("operations.refuse_nulls('things', 'value')", mended))
    await migrations.upgrade()
    assert await migrations.check() == ()
    assert await values(database, Later) == [9, 5]


async def test_a_downgrade_to_what_took_no_nulls_refuses_them(database, tmp_path):
    first, optional = entity(int, default=3), entity(int | None, default=8)
    await stored(database, tmp_path, first, 1)
    await changed(database, tmp_path, optional)
    async with open_store(database.url, [optional]) as store:
        await store.repository(optional).add(optional(value=None))
    migrations = Migrations(database.url, [optional], folder=tmp_path)
    with pytest.raises(MigrationError, match="things has 1 row where value is null"):
        await migrations.downgrade("-1")
    assert await values(database, optional) == [1, None]


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
async def test_the_sql_text_fills_and_says_what_it_can_not_look_at(make_database, tmp_path, kind):
    database = make_database(kind)
    await stored(database, tmp_path, entity(str | None, default=None))
    after = entity(str, default="it's")
    await changed(database, tmp_path, after)
    await changed(database, tmp_path, entity(str | None, default=None))
    text = await Migrations(database.url, [after], folder=tmp_path).sql()
    assert "SET value='it''s' WHERE" in " ".join(text.split())
    back = await Migrations(database.url, [after], folder=tmp_path).sql("head", "base")
    assert "-- things.value must have no nulls" in back
