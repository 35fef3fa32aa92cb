"""Mapped classes on MariaDB and MySQL: columns that keep the rules, and those that would not."""

from __future__ import annotations

import datetime as dt
import enum
import re
from decimal import Decimal
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from holdfast import open_store
from holdfast.errors import (
    DuplicateError,
    ForeignKeyError,
    InvalidValueError,
    SchemaMismatchError,
)
from holdfast.integrations.sqlalchemy import execute as execute_in
from holdfast.integrations.sqlalchemy import field_of, orm_session
from servers import execute

COLLATIONS = {"mariadb": "utf8mb4_nopad_bin", "mysql": "utf8mb4_0900_bin"}
SERVERS = list(COLLATIONS)
MOMENT = dt.datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=dt.UTC)


class Size(enum.Enum):
    WIDE = 1
    NARROW = 2


class Base(DeclarativeBase):
    pass


class Shop(Base):
    __tablename__ = "family_shops"
    code: Mapped[str] = mapped_column(sa.String(20), primary_key=True)


class Item(Base):
    __tablename__ = "family_items"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(20), unique=True)
    note: Mapped[str | None] = mapped_column(sa.Text)
    size: Mapped[Size] = mapped_column(default=Size.WIDE)
    token: Mapped[UUID | None]
    plain: Mapped[UUID | None] = mapped_column(sa.Uuid(native_uuid=False))
    seen: Mapped[dt.datetime | None] = mapped_column(sa.DateTime(timezone=True))
    local: Mapped[dt.datetime | None]
    at: Mapped[dt.time | None]
    ratio: Mapped[float | None]
    price: Mapped[Decimal | None] = mapped_column(sa.Numeric(8, 2))
    span: Mapped[dt.timedelta] = mapped_column(default=dt.timedelta(0))
    data: Mapped[bytes | None]
    about: Mapped[dict[str, object]] = mapped_column(sa.JSON, default=dict)
    shop: Mapped[str | None] = mapped_column(sa.ForeignKey(Shop.code))


CLASSES = [Shop, Item]


@pytest.fixture(params=SERVERS)
def server(request):
    return request.param


@pytest.fixture
def url(request, server):
    return request.getfixturevalue(f"{server}_url")


@pytest.fixture
async def store(url):
    async with open_store(url, CLASSES, verify="off") as store:
        await store.drop_schema()
    async with open_store(url, CLASSES) as store:
        await store.create_schema()
        yield store
        await store.drop_schema()


async def remedies(url, classes=CLASSES):
    """Open the store, which is refused, and return the statements that its error gives."""
    with pytest.raises(SchemaMismatchError) as caught:
        async with open_store(url, classes):
            pass
    return caught.value.differences, [
        re.split(r": (?=ALTER|SET)", each, maxsplit=1)[1] for each in caught.value.differences
    ]


async def mended(url, statements):
    for statement in statements:
        execute(url, *statement.split("; "))
    async with open_store(url, CLASSES):
        pass


@pytest.mark.parametrize("collation", ["utf8mb4_general_ci", "utf8mb4_bin", "latin1_swedish_ci"])
async def test_text_that_does_not_compare_by_code_point_is_refused_until_it_is_altered(
    store, server, url, collation
):
    charset = collation.partition("_")[0]
    execute(
        url,
        "ALTER TABLE family_items MODIFY COLUMN name VARCHAR(20) "
        f"CHARACTER SET {charset} COLLATE {collation} NOT NULL DEFAULT 'it''s COLLATE x' "
        "COMMENT 'what, it is'",
    )
    differences, statements = await remedies(url)
    (told,) = differences
    assert told.startswith(
        f"family_items.name is varchar(20) collate {collation}, "
        f"expected varchar(20) collate {COLLATIONS[server]}: ALTER TABLE family_items MODIFY"
    )
    await mended(url, statements)
    ((default, nullable, comment),) = execute(
        url,
        "SELECT column_default, is_nullable, column_comment FROM information_schema.columns "
        "WHERE table_schema = DATABASE() AND table_name = 'family_items' AND column_name = 'name'",
    )
    assert default.strip("'").replace("''", "'").replace("\\'", "'") == "it's COLLATE x"
    assert (nullable, comment) == ("NO", "what, it is")
    items = store.repository(Item)
    await items.add_many([Item(name="a"), Item(name="A"), Item(name="a "), Item(name="B")])
    assert [each.name for each in await items.find(order_by=Item.name)] == ["A", "B", "a", "a "]
    with pytest.raises(DuplicateError):
        await items.add(Item(name="a "))


MISFITS = [
    ("name", "CHAR(20) NOT NULL", "varchar(20)"),
    ("note", "TINYTEXT COLLATE utf8mb4_bin", "tinytext"),
    ("size", "ENUM('WIDE','NARROW') CHARACTER SET latin1 NOT NULL", "enum('WIDE','NARROW')"),
    ("plain", "CHAR(32) CHARACTER SET ascii", "char(32)"),
    ("seen", "DATETIME DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP", "datetime(6)"),
    ("seen", "TIMESTAMP(3) NULL", "timestamp(6)"),
    ("local", "DATETIME(3)", "datetime(6)"),
    ("at", "TIME", "time(6)"),
    ("ratio", "FLOAT", "double"),
    ("price", "DECIMAL(8,1)", "decimal(9,2)"),
    ("span", "DATETIME NOT NULL", "datetime(6)"),
    ("data", "BINARY(8)", "varbinary(8)"),
]


@pytest.mark.parametrize(("column", "definition", "wanted"), MISFITS)
async def test_a_column_that_would_change_values_is_refused_until_it_is_altered(
    store, server, url, column, definition, wanted
):
    execute(url, f"ALTER TABLE family_items MODIFY COLUMN `{column}` {definition}")
    differences, statements = await remedies(url)
    assert len(differences) == 1
    assert f"expected {wanted}" in differences[0]
    await mended(url, statements)
    values = {"seen": MOMENT, "local": MOMENT.replace(tzinfo=None), "at": dt.time(1, 2, 3, 4)}
    values |= {"ratio": 0.1, "price": Decimal("1.25"), "data": b"\1", "note": "\N{GRINNING FACE} "}
    values |= {"span": dt.timedelta(microseconds=7), "plain": UUID(int=5), "token": UUID(int=6)}
    items = store.repository(Item)
    made = await items.add(Item(name="a ", **values))
    found = await items.get_one(made.id)
    assert {name: getattr(found, name) for name in values} == values


async def test_text_of_a_reference_is_altered_at_both_ends(store, server, url):
    key = execute(
        url,
        "SELECT constraint_name FROM information_schema.referential_constraints "
        "WHERE constraint_schema = DATABASE() AND table_name = 'family_items'",
    )[0][0]
    execute(
        url,
        f"ALTER TABLE family_items DROP FOREIGN KEY `{key}`",
        "ALTER TABLE family_shops MODIFY code VARCHAR(20) COLLATE utf8mb4_bin NOT NULL",
        "ALTER TABLE family_items MODIFY shop VARCHAR(20) COLLATE utf8mb4_bin",
        f"ALTER TABLE family_items ADD CONSTRAINT `{key}` FOREIGN KEY (shop) "
        "REFERENCES family_shops (code) ON DELETE CASCADE",
    )
    differences, statements = await remedies(url)
    assert len(differences) == 2
    await mended(url, statements)
    await store.repository(Shop).add(Shop(code="a"))
    await store.repository(Item).add(Item(name="x", shop="a"))
    with pytest.raises(ForeignKeyError):
        await store.repository(Item).add(Item(name="y", shop="A"))
    execute(url, "DELETE FROM family_shops")
    assert not await store.repository(Item).exists()


async def test_a_uuid_of_another_type_is_refused_with_what_to_say(store, server, url):
    execute(url, "ALTER TABLE family_items MODIFY COLUMN plain BINARY(16)")
    with pytest.raises(SchemaMismatchError, match="Uuid keeps 32 hex digits there"):
        async with open_store(url, CLASSES):
            pass


async def test_a_table_that_was_made_with_another_collation_is_refused_at_once(server, url):
    class Fresh(DeclarativeBase):
        pass

    class Wrong(Fresh):
        __tablename__ = "family_wrong"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column(sa.String(20, collation="utf8mb4_unicode_ci"))

    async with open_store(url, [Wrong]) as store:
        try:
            with pytest.raises(SchemaMismatchError, match=r"family_wrong\.name is varchar"):
                await store.create_schema()
        finally:
            await store.drop_schema()


async def test_enums_and_uuids_are_ordered_as_elsewhere(store):
    items = store.repository(Item)
    tokens = [UUID(f"{n}0000000-0000-{8 - n}000-8000-00000000000{9 - n}") for n in (1, 4, 7)]
    for name, size, token in zip("abc", [Size.WIDE, Size.NARROW, Size.WIDE], tokens, strict=True):
        await items.add(Item(name=name, size=size, token=token, plain=token))

    async def names(*where, by=None):
        found = await items.find(*where, order_by=[by, Item.name] if by is not None else Item.name)
        return "".join(each.name for each in found)

    assert await names(by=Item.size) == "bac"
    assert await names(field_of(Item.size) > Size.NARROW) == "ac"
    for column in (Item.token, Item.plain):
        assert await names(by=column.desc()) == "cba"
        assert await names(field_of(column) > tokens[0]) == "bc"
        assert await names(column.in_(tokens[1:])) == "bc"
    page = await items.page(order_by=[Item.token], size=1)
    assert page.next is not None
    rest = await items.page(order_by=[Item.token], size=2, cursor=page.next)
    assert [each.token for each in (*page.items, *rest.items)] == tokens
    wanted = [field_of(Item.token).max(), field_of(Item.token).min(), field_of(Item.size).min()]
    (found,) = await items.aggregate(*wanted)
    assert tuple(found)[-3:] == (tokens[2], tokens[0], Size.NARROW)


async def test_spans_of_time_are_counted_from_1970(store, server):
    items = store.repository(Item)
    for name, span in (("a", dt.timedelta(days=-3)), ("b", dt.timedelta(days=4, microseconds=1))):
        await items.add(Item(name=name, span=span))
    (found,) = await items.aggregate(field_of(Item.span).sum())
    assert tuple(found)[-1] == dt.timedelta(days=1, microseconds=1)
    one = await items.one(Item.name == "a")
    more = await items.patch(one.id, field_of(Item.span).increment(dt.timedelta(microseconds=5)))
    assert more.span == dt.timedelta(days=-3, microseconds=5)
    with pytest.raises(InvalidValueError, match=f"Interval keeps on {server}"):
        await items.patch(one.id, {Item.span: dt.timedelta(days=4_000_000)})
    with pytest.raises(InvalidValueError, match="too large"):
        for _ in range(2):
            amount = dt.timedelta(days=2_900_000)
            await items.patch(one.id, field_of(Item.span).increment(amount))


async def test_a_value_longer_than_its_column_is_refused_by_name(store, url):
    execute(url, f"ALTER TABLE family_items MODIFY note TINYTEXT COLLATE {_collation(url)}")
    items = store.repository(Item)
    with pytest.raises(InvalidValueError, match="note: its column"):
        await items.add(Item(name="a", note="x" * 300))
    made = await items.add(Item(name="a"))
    with pytest.raises(InvalidValueError, match="note: its column"):
        await items.patch(made.id, {Item.note: "x" * 300})
    made.note = "x" * 300
    with pytest.raises(InvalidValueError, match="note: its column"):
        await items.update(made)


async def test_a_uuid_that_the_type_of_mariadb_can_not_hold_is_refused_by_name(store, server):
    items, odd = store.repository(Item), UUID("10000000-0000-9000-8000-000000000008")
    assert (await items.add(Item(name="a", plain=odd))).plain == odd
    if server == "mariadb":
        with pytest.raises(InvalidValueError, match="token: its column"):
            await items.add(Item(name="b", token=odd))


VALUES = {
    "seen": MOMENT,
    "local": MOMENT.replace(tzinfo=None),
    "at": dt.time(1, 2, 3, 4),
    "ratio": 0.1,
    "price": Decimal("1.25"),
    "span": dt.timedelta(days=-1, microseconds=3),
    "data": b"\0\1",
    "about": {"a": [1, "b "]},
    "token": UUID("6b2f2a3c-52a1-4d0f-9b6e-2f61c1d5a001"),
    "plain": UUID("6b2f2a3c-52a1-4d0f-9b6e-2f61c1d5a001"),
    "size": Size.NARROW,
    "note": "\N{GRINNING FACE} ",
}


async def test_sqlalchemy_reads_what_holdfast_wrote_and_the_other_way_round(store, server, url):
    items = store.repository(Item)
    one = await items.add(Item(name="a", **VALUES))
    async with store.transaction() as tx:
        rows = await execute_in(tx, sa.select(Item.token, Item.span))
        assert rows.all() == [(VALUES["token"], VALUES["span"])]
        async with orm_session(tx) as session:
            read = await session.get(Item, one.id)
            assert _values(read) == {**VALUES, "seen": VALUES["local"]}
            session.add(Item(name="b", **VALUES))
    assert _values(await items.one(Item.name == "b", Item.token == VALUES["token"])) == VALUES
    engine = sa.create_engine(
        url.replace(f"{server}://", f"{server}+pymysql://"), connect_args={"ssl_disabled": True}
    )
    with orm.Session(engine) as session:
        assert _values(session.get(Item, one.id)) == {**VALUES, "seen": VALUES["local"]}
        session.add(Item(name="c", **VALUES))
        session.commit()
    engine.dispose()
    assert _values(await items.one(Item.name == "c", Item.plain == VALUES["plain"])) == VALUES


def _values(item):
    return {name: getattr(item, name) for name in VALUES}


def _collation(url):
    return COLLATIONS[url.partition(":")[0]]
