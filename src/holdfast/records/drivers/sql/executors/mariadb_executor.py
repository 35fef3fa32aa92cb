"""The verbs on MariaDB, whose insertions return the rows that they wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

import sqlalchemy as sa

from holdfast.records.drivers.sql.executors.mysql_family_executor import MySQLFamilyExecutor
from holdfast.records.drivers.sql.statements.repeated_insert import repeated
from holdfast.records.drivers.sql.statements.statement import parameter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.records.drivers.sql.executors.server_executor import Part
    from holdfast.records.entities.model import Model, Row

E = TypeVar("E")


class MariaDBExecutor(MySQLFamilyExecutor):
    """See `MySQLFamilyExecutor`."""

    async def stored_one(self, model: Model[E], row: Row) -> Row:
        """See `ServerExecutor`."""
        encoded = self.of_model(model).encode(row)
        return (await self.insert_many(model, (row,), (encoded,)))[0]

    async def insert_many(
        self, model: Model[E], rows: Sequence[Row], encoded: Sequence[Sequence[object]]
    ) -> list[Row]:
        """See `ServerExecutor`."""
        prepared, at = self.of_model(model), model.keys[0].position
        numbered = rows[0][at] is None
        if model.left_out:
            found = await self.fetch_raw(*repeated(prepared.returning_insert, encoded))
            return self.completed_rows(model, rows, found, numbered=numbered)
        if not numbered:
            await self.execute_raw(*repeated(prepared.insert, encoded))
            return list(rows)

        def build() -> sa.ClauseElement:
            table = self.statements.tables[model.table]
            values = {spec.name: parameter(spec.position) for spec in model.fields}
            return sa.insert(table).values(values).returning(table.c[model.key.name])

        found = await self.fetch_raw(*repeated(prepared.other("numbered", build), encoded))
        numbers = sorted(cast("int", row[0]) for row in found)
        return [
            (*row[:at], number, *row[at + 1 :]) for row, number in zip(rows, numbers, strict=True)
        ]

    async def upsert_part(
        self, model: Model[E], part: Part, on: tuple[str, ...]
    ) -> list[tuple[E, bool]]:
        """See `MySQLFamilyExecutor`."""
        found = await self.fetch_raw(*repeated(self.of_model(model).upsert(on), part[1]))
        stored = self.hydrated(model, [row[:-1] for row in found])
        return [(entity, row[-1] == 1) for entity, row in zip(stored, found, strict=True)]
