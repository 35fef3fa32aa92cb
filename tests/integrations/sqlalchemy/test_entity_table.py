"""An entity's table in statements of one's own: every kind of value, on every SQL database."""

from datetime import timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa

from holdfast import sync
from holdfast.errors import ConfigurationError, InvalidValueError
from holdfast.integrations.sqlalchemy import execute, table_of
from holdfast.integrations.sqlalchemy import sync as stepped
from holdfast.records import open_store
from holdfast.records.conformance.sample_entities import (
    MOMENT,
    Camera,
    Colour,
    GridPoint,
    Level,
    Specimen,
)
from integrations.sqlalchemy.twins import Author
from servers import empty_store

FILLED = {
    "flag": True,
    "number": -3,
    "ratio": 0.5,
    "text": "Ü",
    "data": b"\0\xff",
    "amount": Decimal("12.30"),
    "moment": MOMENT,
    "span": timedelta(microseconds=-1),
    "colour": Colour.GREEN,
    "level": Level.HIGH,
    "attributes": {"a": [1, "é"]},
    "point": GridPoint(1.0, 2.0),
    "camera": Camera(name="b"),
    "maybe_attributes": None,
}


@pytest.fixture(params=["sqlite", "postgresql", "mariadb", "mysql"])
def url(request, tmp_path):
    with empty_store(request.param, tmp_path) as url:
        yield url


def test_rows_are_read_and_written_by_an_entitys_table_in_every_kind_of_value(url):
    table = table_of(Specimen)
    with sync.open_store(url, [Specimen]) as store:
        store.create_schema()
        specimens = store.repository(Specimen)
        first = specimens.add(Specimen(**FILLED))
        second = Specimen(**FILLED)
        second.version = 1
        with store.transaction() as tx:
            (row,) = stepped.execute(tx, sa.select(table).where(table.c.id == first.id)).mappings()
            assert dict(row) == vars(first)
            stepped.execute(tx, sa.insert(table).values(vars(second)))
            increased = {"amount": table.c.amount + Decimal("0.7"), "number": table.c.number * 2}
            fits = table.c.id.in_([second.id]) & (table.c.moment <= MOMENT)
            stepped.execute(tx, sa.update(table).where(fits).values(increased))
            total = stepped.execute(tx, sa.select(sa.func.sum(table.c.amount))).scalar_one()
            assert total == Decimal("25.30")
        found = specimens.get_one(second.id)
        assert (found.amount, found.number) == (Decimal("13.00"), -6)
        with store.transaction() as tx, pytest.raises(sa.exc.StatementError) as caught:
            stepped.execute(tx, sa.insert(table).values(id=3))
        assert isinstance(caught.value.orig, InvalidValueError)


@pytest.mark.parametrize("kind", ["postgresql", "mysql"])
async def test_an_awaited_statement_takes_an_entitys_table(kind, tmp_path):
    table = table_of(Specimen)
    with empty_store(kind, tmp_path) as url:
        async with open_store(url, [Specimen]) as store:
            await store.create_schema()
            first = await store.repository(Specimen).add(Specimen(**FILLED))
            async with store.transaction() as tx:
                (row,) = (await execute(tx, sa.select(table))).mappings()
                assert dict(row) == vars(first)
                second = Specimen(**FILLED)
                second.version = 1
                await execute(tx, sa.insert(table).values(vars(second)))
            assert await store.repository(Specimen).get_one(second.id) == second


def test_the_table_of_a_mapped_class_is_its_own():
    assert table_of(Author) is Author.__table__
    with pytest.raises(ConfigurationError):
        table_of(int)
