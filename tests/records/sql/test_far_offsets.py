"""Rows behind many others, which MySQL and MariaDB skip by their keys: the answer is the same."""

import pytest

from holdfast import Entity, Field, One, field, key, one, open_store, ref
from holdfast.records.driver_requests import Select
from holdfast.records.drivers.sql.dialects.mariadb import MariaDBDialect
from holdfast.records.drivers.sql.dialects.mysql import MySQLDialect
from holdfast.records.drivers.sql.statements import read_statements
from holdfast.records.drivers.sql.statements.store_statements import StoreStatements
from holdfast.records.entities.model import model_of
from servers import connected, execute

pytestmark = pytest.mark.anyio


class Shelf(Entity, table="far_shelves"):
    id: Field[int] = key()
    name: Field[str] = field(max_length=20)


class Book(Entity, table="far_books", indexes=[("place",)]):
    shop: Field[str] = key(max_length=10)
    number: Field[int] = key()
    place: Field[int] = field(default=0)
    rank: Field[int | None] = field(default=None)
    text: Field[str] = field(default="", max_length=2000)
    shelf_id: Field[int | None] = ref(Shelf, default=None)
    shelf: One[Shelf] = one(via="shelf_id")


KEYS = (Book.shop.asc(), Book.number.asc())
ORDERS = {
    "keys": KEYS,
    "nulls last": (Book.rank.asc(), *KEYS),
    "nulls first": (Book.rank.desc().nulls_first(), *KEYS),
    "related": (Book.shelf[Shelf.name].desc(), *KEYS),
    "computed": ((Book.number * 7 - 3).asc(), Book.shop.desc()),
}
CONDITIONS = {
    "all": (),
    "some": (Book.rank > 2,),
    "related": (Book.shelf[Shelf.name].startswith("s"),),
    "any": (Book.shelf.has(Shelf.id != 2),),
    "listed": (Book.number.in_(list(range(50))),),
}


@pytest.fixture(params=["mariadb", "mysql"])
async def stored(request):
    url = request.getfixturevalue(f"{request.param}_url")
    async with open_store(url, [Shelf, Book]) as store:
        await store.create_schema()
        await store.repository(Shelf).add_many(
            [Shelf(id=n, name=f"{'st'[n % 2]}{n}") for n in range(5)]
        )
        books = store.repository(Book)
        await books.add_many(
            [
                Book(
                    shop=f"shop {number % 3}", number=number, place=number, rank=number % 7 or None,
                    shelf_id=number % 6 if number % 6 < 5 else None, text="a" * 500,
                )
                for number in range(1, 71)
            ]
        )  # fmt: skip
        yield url, books
        await store.drop_schema()


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("condition", CONDITIONS)
async def test_they_are_those_that_come_then(stored, monkeypatch, order, condition):
    _, books = stored
    whole = await books.find(*CONDITIONS[condition], order_by=ORDERS[order])
    monkeypatch.setattr(read_statements, "FAR", 1)
    for offset, limit in [(1, 5), (7, 1), (20, None), (len(whole) - 1, 10), (len(whole), 3)]:
        found = await books.find(
            *CONDITIONS[condition], order_by=ORDERS[order], offset=offset, limit=limit
        )
        assert found == whole[offset : None if limit is None else offset + limit], (offset, limit)
    async with books.store.transaction():
        held = await books.find(order_by=KEYS, offset=60, limit=5, lock="update")
    assert held == (await books.find(order_by=KEYS))[60:65]


async def test_an_index_is_enough_for_what_is_skipped(stored):
    url, books = stored
    dialect = MySQLDialect() if books.store.backend == "mysql" else MariaDBDialect()
    statements = StoreStatements((model_of(Shelf), model_of(Book)), dialect)
    sql, values = statements.select(
        Select(model_of(Book), order=(Book.place.asc(),), limit=5, offset=5_000)
    )
    with connected(url) as connection, connection.cursor() as cursor:
        words = "EXPLAIN FORMAT=TRADITIONAL" if books.store.backend == "mysql" else "EXPLAIN"
        cursor.execute(f"{words} {sql}", list(values))
        columns = [each[0] for each in cursor.description]
        plan = [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
    (skipping,) = [row for row in plan if row["select_type"] == "DERIVED"]
    assert skipping["key"] == "ix_far_books_place"
    assert "Using index" in skipping["Extra"]
    assert "filesort" not in skipping["Extra"]


class Shown(Entity, table="far_shown", view=True):
    number: Field[int] = key()
    rank: Field[int | None] = field(default=None)


async def test_a_view_may_have_a_key_twice(stored, monkeypatch):
    url, _ = stored
    rows = "SELECT number, `rank` FROM far_books"
    execute(url, f"CREATE VIEW far_shown AS {rows} UNION ALL {rows}")
    try:
        async with open_store(url, [Shown]) as store:
            shown = store.repository(Shown)
            order = Shown.rank.asc(), Shown.number.asc()
            whole = await shown.find(order_by=order)
            monkeypatch.setattr(read_statements, "FAR", 1)
            assert await shown.find(order_by=order, offset=3, limit=4) == whole[3:7]
    finally:
        execute(url, "DROP VIEW far_shown")
