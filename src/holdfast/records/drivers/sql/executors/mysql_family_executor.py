"""The verbs on MariaDB and MySQL: their writes, and which field stood in the way of one.

The server does not say which row or field it was: that is asked afterwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

import sqlalchemy as sa

from holdfast.errors import ForeignKeyError, UnsupportedError
from holdfast.records.driver_requests import Select, Update
from holdfast.records.drivers.sql.executors.server_executor import ServerExecutor
from holdfast.records.drivers.sql.failure import FailureKind
from holdfast.records.drivers.sql.statements.conflict_lookup import (
    pointers,
    refused_by_check,
    row_refused_by_check,
    rows_of,
    same_rows,
    taken_by,
    targets_of_row,
    targets_of_update,
    touched,
)
from holdfast.records.drivers.sql.statements.statement import parameter
from holdfast.records.drivers.sql.statements.upsert import alike, upserted_values
from holdfast.records.expressions.field_changes import SetTo
from holdfast.records.expressions.operands import Column
from holdfast.records.expressions.predicates import In
from holdfast.records.rows.hydration import from_own_rows
from holdfast.records.rows.row_key import has_key_among, key_asked_for
from holdfast.records.rows.row_rules import duplicate, takes_part
from holdfast.records.write_order import own_references

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence

    from holdfast.records.driver_requests import Taking
    from holdfast.records.drivers.sql.connections.server_connection import (
        ServerConnection,
        SeveralAtOnce,
    )
    from holdfast.records.drivers.sql.executors.server_executor import Part
    from holdfast.records.drivers.sql.executors.server_reader import StatementLog
    from holdfast.records.drivers.sql.statements.conflict_lookup import Question
    from holdfast.records.drivers.sql.statements.dialect import Expression
    from holdfast.records.drivers.sql.statements.store_statements import StoreStatements
    from holdfast.records.entities.constraint import Unique
    from holdfast.records.entities.model import Model, Row
    from holdfast.records.expressions.predicates import Predicate
    from holdfast.records.values.field_spec import FieldSpec

E = TypeVar("E")

_OTHER_ROW = (FailureKind.OTHER_ROW, FailureKind.OVERFLOW)
"""How an upsert fails that met another row than the one that it names."""
_ROWS = 500  # of one statement
_LONG = 10_000  # characters from which on a text's bytes are counted and not guessed
_SHARE = 4  # the part of a packet that a batch fills, as quoting makes values longer


class MySQLFamilyExecutor(ServerExecutor):
    """See `ServerExecutor`. A statement has *packet* bytes at the most.

    How rows get their numbers and what an upsert returns differs by database.
    """

    conflicts = (*ServerExecutor.conflicts, *_OTHER_ROW)
    upserts_by_one_statement = True
    """A statement upserts many rows and returns them; else it takes several in a transaction."""
    hides_duplicates: tuple[FailureKind, ...] = ()
    """The failures that the server may tell of a row whose unique values are taken as well."""

    def __init__(
        self,
        connection: ServerConnection,
        statements: StoreStatements,
        log: StatementLog,
        packet: int,
    ) -> None:
        super().__init__(connection, statements, log)
        self._packet = packet

    async def replace(self, model: Model[E], row: Row, expected: int | None) -> E | None:
        """See `Writer`."""
        replace = self.of_model(model).replace
        change = replace.sql, replace.bind([*self.of_model(model).encode(row), expected])

        async def refused(error: Exception) -> Exception:
            return await self.refused_row(model, error, row, None, stored=True)

        return await self._changed(model, model.key_of(row), change, refused)

    async def patch(self, update: Update[E]) -> E | None:
        """See `Writer`."""
        change = self.statements.update(update, returning=False)
        key = key_asked_for(update.model, update.where)

        async def refused(error: Exception) -> Exception:
            return await self.refused_update(update, error)

        return await self._changed(update.model, key, change, refused)

    async def take(self, taking: Taking[E]) -> list[E]:
        """See `TakingWriter`. UPDATE has no RETURNING here, and no limit on what it looks up."""
        model = taking.update.model

        async def work() -> list[E]:
            found: dict[object, None] = {}
            for each in taking.each():
                keys = await self.values(each.select("update"), model.key_columns)
                found |= dict.fromkeys(key[0] if len(key) == 1 else tuple(key) for key in keys)
            if not found:
                return []
            these = has_key_among(model, found)
            await self.update(Update(model, these, taking.update.changes))
            return await self.find(Select(model, these))

        return await self.written(work, several=True)

    async def _changed(
        self,
        model: Model[E],
        key: object,
        change: tuple[str, Sequence[object]],
        refused: Callable[[Exception], Awaitable[Exception]],
    ) -> E | None:
        """Run *change*, of one row, and return the row as it then is, None when it found none.

        UPDATE has no RETURNING here. So the change, the read and the transaction around them go
        there in one message and their answers come back in one. The read locks: a change to the
        values that are there leaves the row out of a snapshot that does not see it.
        """
        prepared = self.of_model(model)
        sql, values = change
        texts: tuple[str, ...] = (sql, f"{prepared.get.sql} FOR UPDATE")
        alone = not self.in_transaction
        if alone:
            texts = ("START TRANSACTION", *texts, "COMMIT")
        try:
            found = await self.several("; ".join(texts), (*values, *prepared.key_values(key)))
        except Exception as error:
            wrong = await refused(error)
            if alone and not self.lost:
                await self.rollback()
            raise wrong from error
        (count, _), (_, rows) = found[1:3] if alone else found
        return self.hydrated(model, rows)[0] if count else None

    async def several(
        self, sql: str, values: Sequence[object]
    ) -> list[tuple[int, Sequence[Sequence[object]]]]:
        """Run the statements of one text; return of each how many rows it found, and the rows."""
        self.check_size(values)
        connection = cast("SeveralAtOnce", self.connection)
        return await self.watched(sql, connection.several(sql, values))

    def fetch_raw(
        self, sql: str, values: Sequence[object]
    ) -> Coroutine[object, None, Sequence[Sequence[object]]]:
        """See `ServerReader`."""
        self.check_size(values)
        return super().fetch_raw(sql, values)

    async def execute_raw(self, sql: str, values: Sequence[object]) -> int:
        """See `ServerReader`."""
        self.check_size(values)
        return await super().execute_raw(sql, values)

    def check_size(self, values: Sequence[object]) -> None:
        """Raise UnsupportedError for what the server would answer by hanging up."""
        if _size(values) > self._packet:
            raise UnsupportedError(
                f"a statement of more than {self._packet} bytes (max_allowed_packet)", self.backend
            )

    def parts(self, model: Model[E], rows: Sequence[Row]) -> Sequence[Part]:
        """See `ServerExecutor`: what a packet holds, and not too many rows."""
        encode = self.of_model(model).encode
        parts: list[tuple[list[Row], list[Sequence[object]]]] = []
        left = count = 0
        for row in rows:
            encoded = encode(row)
            size = _size(encoded)
            if not parts or size > left or count == _ROWS:
                parts.append(([], []))
                left, count = self._packet // _SHARE, 0
            parts[-1][0].append(row)
            parts[-1][1].append(encoded)
            left -= size
            count += 1
        return parts

    async def upsert(
        self, model: Model[E], rows: Sequence[Row], on: tuple[str, ...]
    ) -> list[tuple[E, bool]]:
        """See `Writer`."""
        if not model.server_defaults:
            return await self._upsert(model, rows, on)
        return await self.in_parts(model, rows, lambda alike, part: self._upsert(alike, part, on))

    async def _upsert(
        self, model: Model[E], rows: Sequence[Row], on: tuple[str, ...]
    ) -> list[tuple[E, bool]]:
        if len(rows) == 1:
            return [await self._upsert_one(model, rows[0], None, on)]

        async def one_by_one() -> list[tuple[E, bool]]:
            return [await self._upsert_one(model, row, index, on) for index, row in enumerate(rows)]

        unique = model.unique_on(on)
        if not all(takes_part(unique, row) for row in rows):
            return await self.written(one_by_one, several=True)
        parts = self.parts(model, rows)

        async def at_once() -> list[tuple[E, bool]]:
            return [each for part in parts for each in await self.upsert_part(model, part, on)]

        several = len(parts) > 1 or not self.upserts_by_one_statement
        return await self.together(model, at_once, one_by_one, several=several)

    async def upsert_part(
        self, model: Model[E], part: Part, on: tuple[str, ...]
    ) -> list[tuple[E, bool]]:
        """Upsert the rows of *part*, in a transaction if there is more than one.

        Return each as it then is, and whether it was created; a failure is the driver's.
        """
        raise NotImplementedError

    async def _upsert_one(
        self, model: Model[E], row: Row, index: int | None, on: tuple[str, ...]
    ) -> tuple[E, bool]:
        if not takes_part(model.unique_on(on), row):  # it is the same as no other
            stored = await self.insert_one(model, row, index, atomic=True)
            return from_own_rows(model)([cast("Row", stored)])[0], True
        try:
            encoded = self.of_model(model).encode(row)
            return (await self.upsert_part(model, ((row,), (encoded,)), on))[0]
        except Exception as error:
            if self.note_failure(error).kind in _OTHER_ROW:
                found = await self._overwrite(model, row, on, index)
                if found is not None:
                    return found, False
            raise await self.refused_row(model, error, row, index, on=on) from error

    async def _overwrite(
        self, model: Model[E], row: Row, on: tuple[str, ...], index: int | None
    ) -> E | None:
        """Overwrite the row with the same *on* when another one stood first in the way."""
        prepared = self.of_model(model)
        table = self.statements.tables[model.table]
        given: dict[str, Expression] = {spec.name: parameter(spec.position) for spec in model.given}
        given |= {name: sa.literal_column("DEFAULT") for name in model.left_out}
        same = alike(self.statements.dialect, model.unique_on(on), (table, given))

        def built() -> sa.ClauseElement:
            update = sa.update(table).values(upserted_values(model, table, on, given))
            return update.where(*same)

        def stored() -> sa.ClauseElement:
            return sa.select(*table.c).where(*same)

        change = prepared.other(("overwrite", on), built)
        search = prepared.other(("found by", on), stored)
        encoded = prepared.encode(row)

        async def work() -> E | None:
            try:
                count = await self.execute_raw(change.sql, change.bind(encoded))
            except Exception as error:
                wrong = await self.refused_row(model, error, row, index, stored=True, on=on)
                raise wrong from error
            if not count:
                return None
            return prepared.hydrate(await self.fetch_raw(search.sql, search.bind(encoded)))[0]

        return await self.written(work, several=True)

    async def delete(self, model: Model[E], where: Predicate) -> int:
        """See `Writer`. Rows that point at one another are deleted together, as elsewhere."""
        try:
            return await super().delete(model, where)
        except ForeignKeyError:
            held = [each for each in own_references(model) if _holds(each)]
            if not held:
                raise

            async def together() -> int:
                return await self._delete_together(model, where, held)

            return await self.written(together, several=True)

    async def _delete_together(
        self, model: Model[E], where: Predicate, held: Sequence[FieldSpec]
    ) -> int:
        """Delete the rows of *where* though the fields *held* point from some at others.

        InnoDB looks at each row as it deletes it. So they let go of one another first, by null,
        and where there is none, those that nobody points at go before the others.
        """
        columns = [Column(model.name, spec) for spec in (model.key, *held)]
        sql, values = self.statements.select(Select(model, where), tuple(columns))
        rows = await self.fetch(model, f"{sql} FOR UPDATE", values)
        found = self.statements.decoded(Select(model, where), columns, rows)
        nullable = [spec for spec in held if spec.type.nullable]
        keys = tuple(row[0] for row in found)
        if nullable and keys:
            nulls = tuple(SetTo(Column(model.name, spec), None) for spec in nullable)
            await self.update(Update(model, In(columns[0], keys), nulls))
        required = [at for at, spec in enumerate(held, 1) if not spec.type.nullable]
        left = {row[0]: {row[at] for at in required} - {row[0]} for row in found}
        while left:
            pointed = set[object]().union(*left.values())
            free = tuple(key for key in left if key not in pointed)
            if not free:
                raise UnsupportedError(
                    "deleting rows that point at one another in a circle by a field that can't be "
                    "null",
                    self.backend,
                )
            await super().delete(model, In(columns[0], free))
            for key in free:
                del left[key]
        return len(keys)

    # --- what went wrong --------------------------------------------------------------------

    async def refused_row(
        self,
        model: Model[E],
        error: Exception,
        row: Row,
        index: int | None,
        *,
        stored: bool = False,
        on: tuple[str, ...] = (),
    ) -> Exception:
        """Return what kept *row* out; *stored* when it replaces one under its key."""
        failure, statements = self.note_failure(error), self.statements
        kind = failure.kind
        if kind in (FailureKind.DUPLICATE, *_OTHER_ROW, *self.hides_duplicates):
            for unique, question in same_rows(statements, model, row, stored=stored, on=on):
                if await self._any(question):
                    return duplicate(model, unique, index)
        if kind in (FailureKind.DUPLICATE, *_OTHER_ROW):
            if kind is FailureKind.OVERFLOW:
                return self.error_of(error, model)
            return duplicate(model, None, index)
        if kind is FailureKind.FOREIGN_KEY:
            encoded = self.of_model(model).encode(row)
            for reference, question in targets_of_row(statements, model, encoded):
                if not await self._any(question):
                    return ForeignKeyError(model.name, reference, index)
            return ForeignKeyError(model.name, (), index)
        if kind is FailureKind.CHECK:
            return row_refused_by_check(model, row, failure.constraint) or error
        return self.error_of(error, model)

    async def refused_change(self, update: Update[E], error: Exception) -> Exception:
        """See `ServerExecutor`."""
        failure, statements = self.note_failure(error), self.statements
        kind = failure.kind
        if kind is FailureKind.DUPLICATE:
            unique = touched(update)
            found = unique[0] if len(unique) == 1 else await self._taken_by(update)
            return duplicate(update.model, found)
        if kind in self.hides_duplicates and (hidden := await self._taken_by(update)):
            return duplicate(update.model, hidden)
        if kind is FailureKind.FOREIGN_KEY:
            name = update.model.name
            for reference, question in targets_of_update(statements, update):
                if not await self._any(question):
                    return ForeignKeyError(name, reference)
            return ForeignKeyError(name, ())
        if kind is FailureKind.CHECK:
            return refused_by_check(update, await self._rows_of(update), failure.constraint)
        return self.error_of(error, update.model)

    async def _taken_by(self, update: Update[E]) -> Unique | None:
        """Return the unique that *update* would break, if one is found."""
        if not touched(update):
            return None
        for unique, question in taken_by(self.statements, update, await self._rows_of(update)):
            if question is None or await self._any(question):
                return unique
        return None

    async def _rows_of(self, update: Update[E]) -> list[Row]:
        select, columns = rows_of(update)
        return await self.values(select, columns)

    async def refused_deletion(
        self, model: Model[E], where: Predicate, error: Exception
    ) -> Exception:
        """See `ServerExecutor`."""
        if self.note_failure(error).kind is not FailureKind.FOREIGN_KEY:
            return self.error_of(error, model)
        for child, reference, question in pointers(self.statements, model, where):
            if await self._any(question):
                return ForeignKeyError(child.name, reference)
        return ForeignKeyError(model.name, ())

    async def _any(self, question: Question) -> bool:
        return bool(await self.fetch_raw(*question))


def _holds(spec: FieldSpec) -> bool:
    return spec.reference is not None and spec.reference.on_delete == "restrict"


def _size(values: Sequence[object]) -> int:
    """Return how many bytes the texts and bytes among *values* have, before they are quoted."""
    found = 0
    for value in values:
        if type(value) is str:
            found += len(value) if len(value) < _LONG else len(value.encode())
        elif type(value) is bytes:
            found += len(value)
    return found
