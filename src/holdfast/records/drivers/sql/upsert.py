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
    """Return the new values of the found row: *given*'s, but key, *on* and creation stay."""
    kept = {*model.key_names, *on, *([model.created_at.name] if model.created_at else [])}
    changes: dict[str, Expression] = {
        spec.name: given[spec.name] for spec in model.fields if spec.name not in kept
    }
    if model.version is not None:
        version = table.c[model.version.name]
        changes[model.version.name] = version + sa.literal_column("1")
    if not changes:
        changes[model.key_names[0]] = table.c[model.key_names[0]]
    return changes
