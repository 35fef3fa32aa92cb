"""Orders as SQL: of what can't be null where it is asked for, no nulls are placed."""

import pytest

from holdfast import Entity, Field, Many, field, generated_key, many, ref
from holdfast.records.driver_requests import Select
from holdfast.records.drivers.sql.dialects.mariadb import MariaDBDialect
from holdfast.records.drivers.sql.dialects.mysql import MySQLDialect
from holdfast.records.drivers.sql.dialects.postgresql import PostgreSQLDialect
from holdfast.records.drivers.sql.dialects.sqlite import SQLiteDialect
from holdfast.records.drivers.sql.statements.store_statements import StoreStatements
from holdfast.records.entities.model import model_of
from holdfast.records.expressions.predicates import everything


class Parcel(Entity, table="ordered_parcels"):
    id: Field[int] = generated_key()
    sent_at: Field[int | None] = field(default=None)
    name: Field[str | None] = field(default=None)
    weight: Field[int | None] = field(default=None)
    parts: Many["Part"] = many(via="parcel_id")


class Part(Entity, table="ordered_parts"):
    id: Field[int] = generated_key()
    parcel_id: Field[int] = ref(Parcel)
    document: Field[dict[str, object]] = field(default_factory=dict)


DIALECTS = [SQLiteDialect(), PostgreSQLDialect(), MariaDBDialect(), MySQLDialect()]
VALUED = [
    Parcel.sent_at > 3,
    (Parcel.weight == 1) & Parcel.sent_at.in_([1, 2]),
    (Parcel.id > 1) & ~Parcel.sent_at.is_null() & (Parcel.id < 9),
]
NOT_VALUED = [
    everything(),
    Parcel.weight > 3,
    ~(Parcel.sent_at == 3),
    (Parcel.sent_at > 3) | (Parcel.weight > 3),
    Parcel.sent_at.is_null(),
]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_order_places_nulls_only_where_there_may_be_some(dialect):
    model = model_of(Parcel)
    statements = StoreStatements((model,), dialect)

    def order_of(where, order):
        sql, _ = statements.select(Select(model, where, (order, Parcel.id.asc())))
        return sql.partition(" ORDER BY ")[2].upper()

    for order in (Parcel.sent_at.asc(), Parcel.sent_at.desc().nulls_first()):
        for where in VALUED:
            assert "NULL" not in order_of(where, order), where
        for where in NOT_VALUED:
            assert "NULL" in order_of(where, order), where
    matched = Select(model, Parcel.name.startswith("a"), (Parcel.name.desc(),))
    assert "NULL" not in statements.select(matched)[0].partition(" ORDER BY ")[2].upper()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_is_asked_of_parts_may_hold_lists(dialect):
    model = model_of(Parcel)
    statements = StoreStatements((model, model_of(Part)), dialect)
    red = Parcel.parts.where(Part.document["colours"] == ["red"])
    sql, _ = statements.select(Select(model, red.count() > 1, (Parcel.sent_at.asc(),)))
    assert "NULL" in sql.partition(" ORDER BY ")[2].upper()
