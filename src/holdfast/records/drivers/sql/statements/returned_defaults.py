"""Rows whose left-out fields the database gives: in which parts they go, and what comes back."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, TypeVar, cast

from holdfast.errors import ConflictError, DuplicateError, ForeignKeyError
from holdfast.records.driver_requests import Select
from holdfast.records.drivers.sql.statements.model_statements import float_of
from holdfast.records.expressions.operands import Column
from holdfast.records.rows.hydration import converted, value_check
from holdfast.records.rows.row_key import has_key_among
from holdfast.records.values.field_spec import LEFT_OUT
from holdfast.records.values.value import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import sqlalchemy as sa

    from holdfast.records.drivers.sql.statements.dialect import Dialect
    from holdfast.records.entities.model import Model, Row
    from holdfast.records.values.field_spec import FieldSpec

E = TypeVar("E")


def alike_parts(model: Model[E], rows: Sequence[Row]) -> list[tuple[Model[E], int, Sequence[Row]]]:
    """Return *rows* in parts, in turn, of which each leaves the same fields to the database.

    Each part comes with the model of its insertion, and the place of its first row. What is left
    out is null in its rows.
    """
    parts: list[tuple[Model[E], int, Sequence[Row]]] = []
    start = 0
    for names, part in groupby(rows, key=lambda row: _left_out(model, row)):
        found = list(part)
        if names:
            left = {model.by_name[name].position for name in names}
            plain = [
                tuple(None if at in left else value for at, value in enumerate(row))
                for row in found
            ]
            parts.append((model.leaving(names), start, plain))
        else:
            parts.append((model, start, found))
        start += len(found)
    return parts


def _left_out(model: Model[E], row: Row) -> tuple[str, ...]:
    return tuple(spec.name for spec in model.server_defaults if row[spec.position] is LEFT_OUT)


def moved(conflict: ConflictError, start: int) -> ConflictError:
    """Return *conflict*, of a part of a batch that begins at *start*, with its place in all."""
    match conflict:
        case DuplicateError(entity=entity, fields=fields, index=index):
            at = start + (index or 0)
            return DuplicateError(entity, fields, at, constraint=conflict.constraint)
        case ForeignKeyError(entity=entity, fields=fields, index=index):
            return ForeignKeyError(entity, fields, start + (index or 0))
        case _:
            return conflict


def returned_specs(model: Model[E]) -> tuple[FieldSpec, ...]:
    """Return the fields that an insertion returns: the key, and what it leaves out."""
    return (*model.keys, *(model.by_name[name] for name in model.left_out))


def returned_columns(model: Model[E], table: sa.Table) -> list[sa.Column[object]]:
    """Return the columns of `returned_specs`."""
    return [table.c[spec.name] for spec in returned_specs(model)]


def read_back(model: Model[E], rows: Sequence[Row]) -> tuple[Select[E], tuple[Column, ...]]:
    """Return the search for `returned_specs` of *rows*, which have their keys."""
    columns = tuple(Column(model.name, spec) for spec in returned_specs(model))
    return Select(model, has_key_among(model, map(model.key_of, rows))), columns


def decoded(
    model: Model[E], dialect: Dialect, found: Iterable[Sequence[object]]
) -> list[tuple[object, ...]]:
    """Return what a database gave for `returned_specs` as row values. Raises StoredValueError."""
    specs = returned_specs(model)
    return converted(model, found, specs, [_reader(spec, dialect) for spec in specs])


def _reader(spec: FieldSpec, dialect: Dialect) -> Callable[[object], object]:
    """Return what makes a row value of the database's, and refuses what the class can't hold."""
    decode, check, load = dialect.decoder(spec), value_check(spec), spec.type.load
    if decode is None and spec.type.kind is Kind.FLOAT:
        decode = float_of  # SQLite returns a whole one as an int

    def read(value: object) -> object:
        made = value if decode is None else decode(value)
        if check is not None:
            check(made)
        if load is not None:
            load(made)
        return made

    return read


def completed(
    model: Model[E], rows: Sequence[Row], found: Sequence[Sequence[object]], *, numbered: bool
) -> list[Row]:
    """Return *rows* with what is in *found*, row values of `returned_specs`, one for each.

    When *numbered* their keys are there too, in the order of the rows; else rows are found by key.
    """
    width = len(model.keys)
    if len(rows) == 1:
        ordered = list(found)
    elif numbered:
        ordered = sorted(found, key=lambda values: cast("int", values[0]))
    else:
        by_key = {tuple(values[:width]): values for values in found}
        ordered = [by_key[tuple(row[spec.position] for spec in model.keys)] for row in rows]
    places = [spec.position for spec in returned_specs(model)]
    made: list[Row] = []
    for row, values in zip(rows, ordered, strict=True):
        whole = list(row)
        for place, value in zip(places, values, strict=True):
            whole[place] = value
        made.append(tuple(whole))
    return made
