"""Tables for statements about a class that SQLAlchemy mapped: its own, seen by its attributes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

import sqlalchemy as sa

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.records.drivers.sql.statements.dialect import Dialect
    from holdfast.records.entities.model import Model
    from holdfast.records.values.field_spec import FieldSpec


E = TypeVar("E")

MAPPED = "mapped"
"""Marks a table in whose types and nulls its class has the say."""


def column_of(spec: FieldSpec) -> sa.Column[Any] | None:
    """Return the mapped column that *spec* was made from, None for a field of an `Entity`."""
    return cast("sa.Column[Any] | None", spec.native_column)


def mapped_table(model: Model[E]) -> sa.Table:
    """Return the table that the class of *model* declares."""
    column = column_of(model.keys[0])
    assert column is not None
    return column.table


def declared_tables(models: Sequence[Model[object]]) -> list[sa.Table]:
    """Return the tables that *models*' classes declare themselves."""
    return [mapped_table(model) for model in models if model.adapter is not None]


def mapped_copy(model: Model[E], metadata: sa.MetaData, dialect: Dialect) -> sa.Table:
    """Return a table with a column for each field, by the field's name, as statements need it.

    It is never created: the class's own metadata does that.
    """
    theirs = mapped_table(model)
    columns: list[sa.Column[Any]] = []
    for spec in model.fields:
        column = column_of(spec)
        assert column is not None
        columns.append(
            sa.Column(
                column.name,
                dialect.type_of(model, spec),
                key=spec.name,
                nullable=spec.type.nullable,
            )
        )
    return sa.Table(theirs.name, metadata, *columns, schema=theirs.schema, info={MAPPED: True})
