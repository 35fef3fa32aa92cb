"""What an upsert does to the row that it finds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa

from holdfast.records.drivers.sql.statements.constraint_ddl import compared, condition, unique_parts

if TYPE_CHECKING:
    from holdfast.records.drivers.sql.statements.dialect import Dialect, Expression
    from holdfast.records.entities.constraint import Unique
    from holdfast.records.entities.model import Model


E = TypeVar("E")


def upserted_values(
    model: Model[E], table: sa.Table, on: tuple[str, ...], given: Any
) -> dict[str, Expression]:
    """Return the new values of the found row: *given*'s, but *on* and what is kept stay."""
    on_stays = not model.unique_on(on).ignore_case  # or it may be written in another way
    changes: dict[str, Expression] = {
        spec.name: given[spec.name]
        for spec in model.fields
        if not spec.kept and not (on_stays and spec.name in on)
    }
    if model.version is not None:
        version = table.c[model.version.name]
        changes[model.version.name] = version + sa.literal_column("1")
    if not changes:
        changes[model.key_names[0]] = table.c[model.key_names[0]]
    return changes


def conflict_target(
    dialect: Dialect, model: Model[E], table: sa.Table, on: tuple[str, ...]
) -> dict[str, Any]:
    """Return the words of ON CONFLICT that name the index of the unique *on*."""
    unique = model.unique_on(on)
    where = None if unique.where is None else condition(dialect, table, unique.where)
    return {"index_elements": unique_parts(dialect, table, unique), "index_where": where}


def alike(dialect: Dialect, unique: Unique, sides: tuple[sa.FromClause, Any]) -> list[Expression]:
    """Return what holds of a row that *unique* can't tell from a given one that takes part in it.

    *sides* are the table of the one, and the values of the other by the names of their fields.
    """
    stored, given = sides
    parts: list[Expression] = [
        compared(dialect, unique, name, stored.c[name])
        == compared(dialect, unique, name, given[name])
        for name in unique.fields
    ]
    if unique.where is not None:
        parts.append(condition(dialect, stored, unique.where))
    return parts
