"""The names that a mapped class's constraints have in its database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql.base import PGDialect

from holdfast.records.drivers.sql.failure import FailureKind
from holdfast.records.drivers.sql.mapped_tables.mapped_columns import column_of, mapped_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.records.entities.model import Model

E = TypeVar("E")

_LONGEST = 63  # bytes of a name in PostgreSQL
_DIALECT: Any = cast("Any", PGDialect)()


def constraint_names(model: Model[E], kind: FailureKind) -> list[tuple[tuple[str, ...], str]]:
    """Return the fields and the name of each unique or foreign-key constraint of *model*.

    A constraint without a name has the one that PostgreSQL gives.
    """
    table = mapped_table(model)
    names = {
        column.key: spec.name for spec in model.fields if (column := column_of(spec)) is not None
    }
    found: list[tuple[tuple[str, ...], str]] = []
    for constraint in table.constraints:
        suffix = _suffix(constraint, kind)
        if suffix is None:
            continue
        columns: list[sa.Column[Any]] = list(cast("Any", constraint).columns)
        listed = [] if suffix == "pkey" else [column.name for column in columns]
        name: str = _formatted(constraint) or default_name(table.name, listed, suffix)
        found.append(
            (tuple(names.get(str(column.key), str(column.name)) for column in columns), name)
        )
    for index in table.indexes if kind is FailureKind.DUPLICATE else ():
        if index.unique:
            fields = tuple(names.get(str(each.key), str(each.name)) for each in index.columns)
            found.append((fields, str(_DIALECT.identifier_preparer.format_index(index)).strip('"')))
    return found


def _suffix(constraint: sa.Constraint, kind: FailureKind) -> str | None:
    match constraint:
        case sa.ForeignKeyConstraint():
            return "fkey" if kind is FailureKind.FOREIGN_KEY else None
        case sa.PrimaryKeyConstraint():
            return "pkey" if kind is FailureKind.DUPLICATE else None
        case sa.UniqueConstraint():
            return "key" if kind is FailureKind.DUPLICATE else None
        case _:
            return None


def _formatted(constraint: sa.Constraint) -> str | None:
    if constraint.name is None:
        return None
    name = _DIALECT.identifier_preparer.format_constraint(constraint)
    return None if name is None else str(name).strip('"')


def default_name(table: str, columns: Sequence[str], suffix: str) -> str:
    """Return the name that PostgreSQL makes of these, cutting the longer of table and columns."""
    first, second = table, "_".join(columns)
    room = _LONGEST - len(suffix) - 1 - (1 if second else 0)
    while len(first.encode()) + len(second.encode()) > room:
        if len(first) > len(second):
            first = first[:-1]
        else:
            second = second[:-1]
    return "_".join(part for part in (first, second, suffix) if part)
