"""Guard items: what holds a unique value for one row, and what numbers rows.

One table of a store has them all. A guard is under the text of its entity, fields and values, and
has the key of the row that holds them; it is put and removed in the transaction that writes the
row, on the condition that nobody else has it. The last number that a table gave is an item too, and
so are the parts that all rows of a table have (`backfill`).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import orjson

from holdfast.records.drivers.dynamodb.attribute_codec import sortable_text
from holdfast.records.rows.row_rules import unique_values

if TYPE_CHECKING:
    from holdfast.records.drivers.dynamodb.attribute_codec import Item
    from holdfast.records.drivers.dynamodb.table_layout import TableLayout
    from holdfast.records.entities.constraint import Unique
    from holdfast.records.entities.model import Model, Row

GUARDS_TABLE = "holdfast_guards"
GUARDS_KEY = "key"
OWNER = "owner"
NUMBER = "number"
_LONGEST = 1900  # bytes of the 2048 that a key has


def guard_key(model: Model[object], unique: Unique, values: tuple[object, ...]) -> str:
    """Return the key of the guard of *values*, as `unique_values` has them, by *unique*."""
    texts = [
        sortable_text(column.spec, value)
        for column, value in zip(unique.columns, values, strict=True)
    ]
    text = orjson.dumps(texts)
    said = text.decode() if len(text) <= _LONGEST else hashlib.sha256(text).hexdigest()
    return f"{model.table}/{unique_name(unique)}/{said}"


def unique_name(unique: Unique) -> str:
    """Return how the guards of *unique* are told from those of others."""
    return ",".join(unique.fields) if unique.plain else f"~{unique.name}"


def guards_of(model: Model[object], row: Row | None) -> dict[str, Unique]:
    """Return the guards that *row* has to hold, by key, with what each is of."""
    found: dict[str, Unique] = {}
    if row is None:
        return found
    for unique in model.all_uniques:
        values = unique_values(unique, row)
        if values is not None:
            found[guard_key(model, unique, values)] = unique
    return found


def guard_owner(layout: TableLayout[object], guard: Item) -> object:
    """Return the key of the row that holds *guard*."""
    return layout.decode_key(guard[OWNER])


def table_of_guard(guard: Item) -> str:
    """Return the table of the entity that an item of the table of guards is of."""
    return str(guard[GUARDS_KEY]["S"]).partition("/")[0]


def number_key(model: Model[object]) -> str:
    """Return the key of the item that has the last number that rows of *model* got."""
    return f"{model.table}/~number"


def parts_key(model: Model[object]) -> str:
    """Return the key of the item that tells which parts all rows of *model* have."""
    return f"{model.table}/~parts"
