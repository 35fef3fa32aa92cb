"""Which tables have another primary key than their entity, and what makes it the entity's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alembic.operations import ops

from holdfast.records.drivers.sql.migrations.constraint_changes import table_changes
from holdfast.records.drivers.sql.statements.schema_inspection import key_of, other_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.records.drivers.sql.migrations.target import Target
    from holdfast.records.drivers.sql.statements.schema_inspection import FoundTables


class KeyOp(ops.MigrateOperation):
    """The primary key of a table, of *columns*, that is made or dropped."""

    def __init__(self, table: str, columns: Sequence[str], *, adds: bool) -> None:
        self.table_name = table
        self.columns = tuple(columns)
        self.adds = adds

    def reverse(self) -> KeyOp:
        """Return the opposite."""
        return KeyOp(self.table_name, self.columns, adds=not self.adds)

    def to_diff_tuple(self) -> tuple[str, ...]:
        """Return what Alembic calls a difference."""
        return ("add_key" if self.adds else "remove_key", *self.columns)


def add_key_changes(changes: ops.UpgradeOps, target: Target, found: FoundTables) -> None:
    """Add to *changes* the keys of tables of *target* that are *found* with another one."""
    for name, table in target.tables.items():
        columns = found.get(name)
        there = None if columns is None else other_key(table, columns)
        if there is None:
            continue
        parts = table_changes(changes, name).ops
        if there:
            parts.append(KeyOp(name, there, adds=False))
        parts.append(KeyOp(name, key_of(table), adds=True))
