"""PostgreSQL's insertions of many rows and its upserts, and how these tell what they created."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from holdfast.records.drivers.sql.statements.statement import parameter, typed
from holdfast.records.drivers.sql.statements.upsert import conflict_target, upserted_values

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.records.drivers.sql.statements.dialect import Dialect
    from holdfast.records.entities.model import Model
    from holdfast.records.values.field_spec import FieldSpec

E = TypeVar("E")

PARTITIONED = "holdfast partitioned"
"""What the `info` of a table has whose rows are in partitions, as is found out at an upsert."""

IS_PARTITIONED = (
    "SELECT exists(SELECT FROM pg_class WHERE oid = to_regclass($1::text) AND relkind = 'p')"
)
"""Asks whether the table called $1, as SQL spells it, is kept in partitions."""

# An update of what was there sets the setting, and the return of the same row takes it back.
_MET = "set_config('holdfast.met', '1', true) <> ''"
_CREATED = (
    "CASE WHEN coalesce(current_setting('holdfast.met', true), '') = '' THEN true "
    "ELSE set_config('holdfast.met', '', true) <> '' END"
)


def upsert_of(
    dialect: Dialect, model: Model[E], on: tuple[str, ...], insert: postgresql.Insert
) -> sa.ClauseElement:
    """Return the upsert on *on* that *insert*, of one row or many, becomes.

    The last column tells whether the row was created: xmax is 0 where nothing was before. In
    partitions a row has no xmax that an upsert could return. There a setting of the transaction
    tells it, which costs the server some 15 % more.
    """
    table = cast("sa.Table", insert.table)
    partitioned = PARTITIONED in table.info
    created = _CREATED if partitioned else f'"{table.name}".xmax = 0'
    return insert.on_conflict_do_update(
        **conflict_target(dialect, model, table, on),
        set_=upserted_values(model, table, on, insert.excluded),
        where=sa.literal_column(_MET) if partitioned else None,
    ).returning(*table.c, sa.literal_column(created))


def unnested(
    model: Model[E], table: sa.Table, type_name: Callable[[FieldSpec], str], *, numbered: bool
) -> postgresql.Insert:
    """Return the insertion of any number of rows, a parameter for each column.

    *type_name* is the type of a field's column. When *numbered*, the store numbers the keys, in the
    order of the rows.
    """
    specs = [spec for spec in model.given if not (numbered and spec in model.keys)]
    lists = [typed(parameter(place), f"{type_name(spec)}[]") for place, spec in enumerate(specs)]
    names = [spec.name for spec in specs]
    rows = sa.func.unnest(*lists).table_valued(*names, with_ordinality="holdfast_place")
    rows = rows.render_derived(name="given")
    chosen = sa.select(*(rows.c[name] for name in names)).order_by(rows.c.holdfast_place)
    return postgresql.insert(table).from_select(names, chosen)
