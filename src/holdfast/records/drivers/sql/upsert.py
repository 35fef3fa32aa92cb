"""What an upsert does to the row that it finds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa

if TYPE_CHECKING:
    from holdfast.records.drivers.sql.dialect import Expression
    from holdfast.records.model import Model


E = TypeVar("E")


def upserted_values(
    model: Model[E], table: sa.Table, on: tuple[str, ...], given: Any
) -> dict[str, Expression]:
    """Return the new values of the found row: *given*'s, but *on* and what is kept stay."""
    changes: dict[str, Expression] = {
        spec.name: given[spec.name]
        for spec in model.fields
        if not spec.kept and spec.name not in on
    }
    if model.version is not None:
        version = table.c[model.version.name]
        changes[model.version.name] = version + sa.literal_column("1")
    if not changes:
        changes[model.key.name] = table.c[model.key.name]
    return changes
