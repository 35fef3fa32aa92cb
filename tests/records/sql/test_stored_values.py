"""Values in the store that the class can't hold: one error that names them, and no wrong value."""

import enum
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from holdfast import Entity, Field, field, key, open_store, server_text
from holdfast.errors import StoredValueError
from holdfast.sync import open_store as open_blocking
from servers import execute


class State(enum.Enum):
    NEW = "new"
    OLD = "old"


class Level(enum.IntEnum):
    LOW = 1


@dataclass
class Spot:
    x: float


class Row(Entity, table="odd_rows"):
    id: Field[int] = key()
    note: Field[str] = field(default="", max_length=5)
    state: Field[State] = field(default=State.NEW)
    level: Field[Level | None] = field(default=None)
    spot: Field[Spot] = field(default_factory=lambda: Spot(0.5))
    names: Field[dict[str, object]] = field(default_factory=dict)
    items: Field[list[object] | None] = field(default=None)
    ratio: Field[float] = field(default=0.5)
    price: Field[Decimal] = field(default=Decimal(0), digits=(8, 2))
    moment: Field[datetime] = field(default=datetime(2026, 1, 1, tzinfo=UTC))
    day: Field[date] = field(default=date(2026, 1, 1))
    at: Field[time] = field(default=time(1))
    span: Field[timedelta] = field(default=timedelta(1))
    token: Field[UUID] = field(default=UUID(int=1))


EVERYWHERE = [
    ("state", "'gone'"),
    ("level", "7"),
    ("spot", """'{"y": 1}'"""),
    ("spot", "'[]'"),
    ("names", "'[1]'"),
    ("items", """'{"a": 1}'"""),
]
ALONE = {
    "sqlite": [
        ("spot", "'{'"),
        ("names", "'not json'"),
        ("moment", "'2026-01-01T00:00:00+02:00'"),
        ("moment", "'yesterday'"),
        ("moment", "'2026-01-01 24:00:00.000000'"),
        ("day", "'2026-02-30'"),
        ("at", "'24:00'"),
        ("token", "'abc'"),
        ("token", "'zz345678-1234-1234-1234-123456789012'"),
    ],
    "postgresql": [
        ("ratio", "'NaN'"),
        ("ratio", "'-Infinity'"),
        ("price", "'NaN'"),
        ("moment", "'infinity'"),
        ("moment", "'0044-03-15 BC'"),
        ("day", "'infinity'"),
        ("day", "'0044-03-15 BC'"),
        ("at", "'24:00'"),
    ],
    "mariadb": [
        ("names", "'not json'"),
        ("at", "'25:00:00'"),
        ("at", "'-01:00:00'"),
        ("day", "'0000-00-00'"),
        ("moment", "'0000-00-00 00:00:00'"),
    ],
}
CASES = [
    pytest.param(kind, name, sql, how, id=f"{kind}-{name}-{sql}-{how}")
    for kind, alone in ALONE.items()
    for name, sql in [*EVERYWHERE, *alone]
    for how in ("awaited", "blocking")
]


@pytest.fixture
def url_of(request, tmp_path):
    def url(kind):
        if kind == "sqlite":
            return f"sqlite:///{tmp_path}/rows.db"
        return request.getfixturevalue(f"{kind}_url")

    return url


async def outcome(work):
    """Return what *work*, a coroutine or a plain result, gives, or its StoredValueError."""
    try:
        found = work()
        return await found if hasattr(found, "__await__") else found
    except StoredValueError as error:
        return error


@pytest.mark.parametrize(("kind", "name", "sql", "how"), CASES)
async def test_what_others_wrote_is_named_wherever_it_is_met(url_of, kind, name, sql, how):
    url, column = url_of(kind), getattr(Row, name)
    with open_blocking(url, [Row]) as store:
        store.create_schema()
        try:
            store.repository(Row).add_many([Row(id=1), Row(id=2), Row(id=3)])
            put(kind, url, f"UPDATE odd_rows SET {name} = {sql} WHERE id = 2")
            if how == "blocking":
                await look(store.repository(Row), name, column)
            else:
                async with open_store(url, [Row]) as awaited:
                    await look(awaited.repository(Row), name, column)
        finally:
            store.drop_schema()


def put(kind, url, statement):
    if kind == "mariadb":  # which in its strict mode takes no such days
        execute(url, f"SET STATEMENT sql_mode = '' FOR {statement}")
    else:
        execute(url, statement)


async def look(rows, name, column):
    for number, work in enumerate(
        (
            rows.find,
            lambda: rows.get(2),
            lambda: rows.get_many([1, 2]),
            lambda: rows.select(column),
            lambda: rows.patch(2, Row.note.to("x")),
            lambda: rows.find(Row.id == 2),
        )
    ):
        error = await outcome(work)
        assert isinstance(error, StoredValueError), (number, error)
        assert (error.entity, error.field) == ("Row", name)
        assert name in str(error)
        assert len(error.value) <= 210
        assert error.key == (None if number == 3 else 2)
        assert error.written is (number == 4)
    if name not in ("spot", "names", "items"):
        found = await outcome(lambda: rows.aggregate(Row.note.count(), by=column))
        assert isinstance(found, StoredValueError), found
        assert found.field == name
    # The rest can be read, and a change of that very field puts it right.
    assert [each.id for each in [await outcome(lambda: rows.get(1))]] == [1]
    default = getattr(Row(id=9), name)
    mended = await outcome(lambda: rows.patch(2, column.to(default)))
    assert getattr(mended, name) == default
    assert mended.note == "x"


async def test_text_that_is_no_utf_8_is_named(tmp_path):
    url = f"sqlite:///{tmp_path}/rows.db"
    async with open_store(url, [Row]) as store:
        await store.create_schema()
        await store.repository(Row).add(Row(id=1))
        with closing(sqlite3.connect(f"{tmp_path}/rows.db")) as raw, raw:
            raw.execute("UPDATE odd_rows SET note = CAST(X'41ff' AS TEXT)")
        with pytest.raises(StoredValueError) as caught:
            await store.repository(Row).find()
        assert caught.value.field == "note"


async def test_inside_a_transaction_nothing_stays_of_a_write_that_can_not_be_read(url_of):
    for kind in ALONE:
        url = url_of(kind)
        async with open_store(url, [Row]) as store:
            await store.create_schema()
            try:
                rows = store.repository(Row)
                await rows.add(Row(id=2))
                put(kind, url, "UPDATE odd_rows SET state = 'gone' WHERE id = 2")
                with pytest.raises(StoredValueError) as caught:
                    async with store.transaction():
                        await rows.patch(2, Row.note.to("y"))
                assert not caught.value.written
                assert await rows.count(Row.note == "y") == 0
            finally:
                await store.drop_schema()


class Unreadable(Entity, table="unreadable_defaults"):
    id: Field[int] = key()
    state: Field[State] = field(
        default=server_text(sqlite="'gone'", postgresql="'gone'", mariadb="'gone'", mysql="'gone'")
    )


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_a_default_that_the_class_can_not_hold_is_told_and_written(kind, tmp_path, request):
    at_home = f"sqlite:///{tmp_path}/a.db"
    url = at_home if kind == "sqlite" else request.getfixturevalue("postgresql_url")
    async with open_store(url, [Unreadable]) as store:
        await store.create_schema()
        rows = store.repository(Unreadable)
        with pytest.raises(StoredValueError) as told:
            await rows.add(Unreadable(id=1))
        assert (told.value.field, told.value.written) == ("state", True)
        with pytest.raises(StoredValueError) as undone:
            async with store.transaction():
                await rows.add(Unreadable(id=2))
        assert not undone.value.written
        assert await rows.count() == 1
        await store.drop_schema()
