"""The verbs on PostgreSQL: its native writes, and which constraint refused one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar, cast

from sqlalchemy.dialects import postgresql

from holdfast.errors import ConflictError, DuplicateError, TransactionError
from holdfast.records.drivers.sql.dialects.postgresql_insertions import (
    IS_PARTITIONED,
    PARTITIONED,
    unnested,
    upsert_of,
)
from holdfast.records.drivers.sql.dialects.postgresql_recording import (
    RecordTarget,
    recorded_update,
)
from holdfast.records.drivers.sql.executors.postgresql_refusal import (
    CONFLICT_ERRORS,
    DECLARED,
    declared_names,
    refused_by_any,
)
from holdfast.records.drivers.sql.executors.server_executor import ServerExecutor
from holdfast.records.drivers.sql.failure import FailureKind, check_stored
from holdfast.records.drivers.sql.statements.conflict_lookup import undeclared_check
from holdfast.records.drivers.sql.statements.postgresql_upsert import (
    as_given,
    encoded_columns,
    rounds_of,
)
from holdfast.records.drivers.sql.statements.returned_defaults import returned_columns
from holdfast.records.drivers.sql.statements.statement import parameter
from holdfast.records.drivers.sql.statements.store_statements import Beside
from holdfast.records.write_order import points_ahead

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    import sqlalchemy as sa

    from holdfast.records.driver import ChangeRecord
    from holdfast.records.driver_requests import Taking, Update
    from holdfast.records.drivers.sql.connections.server_connection import Copying
    from holdfast.records.drivers.sql.dialects.postgresql import PostgreSQLDialect
    from holdfast.records.drivers.sql.statements.dialect import Expression
    from holdfast.records.drivers.sql.statements.statement import Statement
    from holdfast.records.entities.model import Model, Row
    from holdfast.records.expressions.predicates import Predicate

E = TypeVar("E")
T = TypeVar("T")

_SEQUENCE = "pg_get_serial_sequence($1::text, $2::text)::regclass"
_NUMBERS = 100  # that others gave in the moment between a number's making and its row
_LAST_NUMBER = f"coalesce(pg_sequence_last_value({_SEQUENCE}), 0)"


class PostgreSQLExecutor(ServerExecutor):
    """See `ServerExecutor`."""

    guards_each_write = True

    @property
    def _dialect(self) -> PostgreSQLDialect:
        return cast("PostgreSQLDialect", self.statements.dialect)

    async def insert(
        self, model: Model[E], rows: Sequence[Row], *, atomic: bool
    ) -> list[Row | ConflictError]:
        """See `Writer`."""
        insert = super().insert
        return await self._numbering_on(model, rows, lambda: insert(model, rows, atomic=atomic))

    async def upsert(
        self, model: Model[E], rows: Sequence[Row], on: tuple[str, ...]
    ) -> list[tuple[E, bool]]:
        """See `Writer`."""

        async def work() -> list[tuple[E, bool]]:
            if not model.server_defaults:
                return await self._upsert(model, rows, on)
            return await self.in_parts(
                model, rows, lambda alike, part: self._upsert(alike, part, on)
            )

        info = self.statements.tables[model.table].info
        known = PARTITIONED in info
        try:
            return await self._numbering_on(model, rows, work)
        except Exception as error:
            if known or self.note_failure(error).kind is not FailureKind.NOT_POSSIBLE:
                raise
        # As its first upsert finds out, and others that run beside it; or a column has changed, and
        # what was prepared before is no more.
        ((partitioned,),) = await self.asked(IS_PARTITIONED, self.table_name(model))
        if partitioned:
            info[PARTITIONED] = True
            self.statements.forget(model.table)
        return await self._numbering_on(model, rows, work)

    async def _numbering_on(
        self, model: Model[E], rows: Sequence[Row], work: Callable[[], Awaitable[T]]
    ) -> T:
        """Do *work*, which stores *rows*; keys given there count as numbered by the store."""
        key = model.keys[0]
        if key.role != "generated":
            return await work()
        given = [cast("int", row[key.position]) for row in rows if row[key.position] is not None]
        if not given:
            return await work()

        async def both() -> T:
            await self._number_after(model, max(given))  # a later insert would meet the row
            return await work()

        return await self.written(both, several=True)

    async def _number_after(self, model: Model[E], given: int) -> None:
        """Keep the store from giving the numbers up to *given* again.

        A sequence only goes up, so one that is past it already needs nothing. Else the table is
        locked, as between looking and setting nobody else may take a number.
        """
        table = self.table_name(model)
        place = (table, model.key.name)
        found = await self.fetch(model, f"SELECT {_LAST_NUMBER}", place)
        if cast("int", found[0][0]) < given:
            await self.command(f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE")
            highest = f"greatest($3::bigint, {_LAST_NUMBER})"
            await self.fetch(model, f"SELECT setval({_SEQUENCE}, {highest})", (*place, given))

    def table_name(self, model: Model[E]) -> str:
        """Return the name of the table of *model*, quoted, with its schema."""
        quote = self.statements.dialect.compiler.identifier_preparer.format_table
        return str(quote(self.statements.tables[model.table]))

    async def stored_one(self, model: Model[E], row: Row) -> Row:
        """See `ServerExecutor`."""
        prepared = self.of_model(model)
        key = model.keys[0]
        numbered = key.role == "generated" and row[key.position] is None
        statement = self._numbered(model, None) if numbered else prepared.insert
        if model.left_out and not numbered:
            statement = prepared.returning_insert
        values = statement.bind(prepared.encode(row))

        if model.left_out and not numbered:

            async def returning() -> Sequence[Sequence[object]]:
                found = await self.fetch_raw(statement.sql, values)
                check_stored(model, 1, len(found))
                return found

            found = await self.written(returning, several=False)
            return self.completed_rows(model, (row,), found, numbered=True)[0]
        if not numbered:

            async def work() -> Row:
                await self.execute_raw(statement.sql, values)
                return row

            return await self.written(work, several=False)
        found = await self._numbered_again(model, statement.sql, values)
        if model.left_out:
            return self.completed_rows(model, (row,), found, numbered=True)[0]
        ((number,),) = found
        return (*row[: key.position], number, *row[key.position + 1 :])

    async def _numbered_again(
        self, model: Model[E], sql: str, values: Sequence[object]
    ) -> Sequence[Sequence[object]]:
        """Run *sql*, which numbers a row; again when somebody gave that very number meanwhile."""

        async def work() -> Sequence[Sequence[object]]:
            found = await self.fetch_raw(sql, values)
            check_stored(model, 1, len(found))
            return found

        for _ in range(_NUMBERS):
            try:
                return await self.written(work, several=False)
            except Exception as error:
                refused = await self._refused(error, model, None)
                if not isinstance(refused, DuplicateError) or refused.fields != (model.key.name,):
                    raise
        return await self.written(work, several=False)

    async def insert_many(
        self, model: Model[E], rows: Sequence[Row], encoded: Sequence[Sequence[object]]
    ) -> list[Row]:
        """See `ServerExecutor`."""
        at = model.keys[0].position
        numbered = rows[0][at] is None
        if model.left_out:
            statement = self._inserted_many(model, numbered=numbered)
            found = await self.fetch_raw(statement.sql, _given(model, encoded, numbered=numbered))
            check_stored(model, len(rows), len(found))
            return self.completed_rows(model, rows, found, numbered=numbered)
        if not numbered:
            table = self.statements.tables[model.table]
            names = [table.c[spec.name].name for spec in model.fields]
            copying = cast("Copying", self.connection)
            await self.watched(f"COPY {table.key}", copying.copy(table, names, encoded))
            return list(rows)
        statement = self._inserted_many(model, numbered=True)
        columns = _given(model, encoded, numbered=True)
        numbers = sorted(
            cast("int", row[0]) for row in await self.fetch_raw(statement.sql, columns)
        )
        check_stored(model, len(rows), len(numbers))
        return [
            (*row[:at], number, *row[at + 1 :]) for row, number in zip(rows, numbers, strict=True)
        ]

    def _numbered(self, model: Model[E], on: tuple[str, ...] | None) -> Statement:
        """Return the insertion of a row without its key, or its upsert when *on* is there."""
        statements = self.statements

        def build() -> sa.ClauseElement:
            table = statements.tables[model.table]
            insert = postgresql.insert(table).values(
                {
                    spec.name: parameter(spec.position)
                    for spec in model.given
                    if spec not in model.keys
                }
            )
            if on is None:
                return insert.returning(*returned_columns(model, table))
            return upsert_of(self._dialect, model, on, insert)

        return self.of_model(model).other(("numbered", on), build)

    def _inserted_many(self, model: Model[E], *, numbered: bool) -> Statement:
        """Return the insertion of many rows that returns their keys, and what they leave out."""
        prepared, statements = self.of_model(model), self.statements

        def build() -> sa.ClauseElement:
            table = statements.tables[model.table]
            insert = unnested(model, table, self._dialect.type_name, numbered=numbered)
            return insert.returning(*returned_columns(model, table))

        return prepared.other(("insert many", numbered), build)

    async def replace(self, model: Model[E], row: Row, expected: int | None) -> E | None:
        """See `Writer`."""
        prepared = self.of_model(model)
        values = prepared.replace.bind([*prepared.encode(row), expected])
        return await self._replaced(model, row, prepared.replace.sql, values)

    async def _replaced(
        self, model: Model[E], row: Row, sql: str, values: Sequence[object]
    ) -> E | None:
        async def work() -> Sequence[Sequence[object]]:
            return await self.fetch_raw(sql, values)

        try:
            found = await self.written(work, several=False)
        except Exception as error:
            raise await self.refused_row(model, error, row, None) from error
        return self.hydrated(model, found)[0] if found else None

    async def patch(self, update: Update[E]) -> E | None:
        """See `Writer`."""
        return await self._patched(update, *self.statements.update(update, returning=True))

    async def _patched(self, update: Update[E], sql: str, values: Sequence[object]) -> E | None:
        found = await self._returned(update, sql, values)
        return found[0] if found else None

    async def take(self, taking: Taking[E]) -> list[E]:
        """See `TakingWriter`."""
        return await self._returned(taking.update, *self.statements.take(taking, locks=True))

    async def _returned(self, update: Update[E], sql: str, values: Sequence[object]) -> list[E]:
        """Do *update* by *sql*, which returns the rows as stored."""

        async def work() -> Sequence[Sequence[object]]:
            return await self.fetch_raw(sql, values)

        try:
            found = await self.written(work, several=False)
        except Exception as error:
            raise await self.refused_update(update, error) from error
        return self.hydrated(update.model, found)

    async def replace_recorded(
        self, model: Model[E], row: Row, expected: int | None, record: ChangeRecord
    ) -> E | None:
        """See `RecordingWriter`."""
        prepared = self.of_model(model)
        beside = self._beside(record)
        first = len(model.fields) + 1

        def build() -> sa.ClauseElement:
            assignments, condition = prepared.replacement()
            return beside.build(assignments, condition, first)

        statement = prepared.other(("replace", beside.shape), build)
        values = statement.bind([*prepared.encode(row), expected, *beside.values])
        return await self._replaced(model, row, statement.sql, values)

    async def patch_recorded(self, update: Update[E], record: ChangeRecord) -> E | None:
        """See `RecordingWriter`."""
        beside = self._beside(record)
        statement = self.statements.update(update, returning=True, record=beside)
        return await self._patched(update, *statement)

    def _beside(self, record: ChangeRecord) -> Beside:
        tables = self.statements.tables
        dialect = self._dialect

        def build(
            assignments: dict[str, Expression], condition: Expression, first: int
        ) -> sa.ClauseElement:
            target = RecordTarget(tables, dialect, first)
            return recorded_update(target, assignments, condition, record)

        shape = ("recorded", record.entry.table, record.changes, record.largest)
        return Beside(shape, self.of_model(record.entry).encode(record.row), build)

    async def _upsert(
        self, model: Model[E], rows: Sequence[Row], on: tuple[str, ...]
    ) -> list[tuple[E, bool]]:
        if len(rows) == 1:
            return [await self._upsert_one(model, rows[0], None, on)]

        at = model.keys[0].position
        numbered = {row[at] is None for row in rows}
        rounds = rounds_of(model, rows, on)

        async def at_once() -> list[tuple[E, bool]]:
            found: dict[int, tuple[E, bool]] = {}
            for places in rounds:
                part = [rows[place] for place in places]
                made = await self._upsert_many(model, part, on)
                found.update(zip(places, made, strict=True))
            return [found[place] for place in range(len(rows))]

        async def one_by_one() -> list[tuple[E, bool]]:
            return [await self._upsert_one(model, row, index, on) for index, row in enumerate(rows)]

        # What one row lets go of another may take; in rounds they would come in other turns.
        in_turn = len(rounds) > 1 and any(each.fields != on for each in model.all_uniques)
        in_turn = in_turn or not model.unique_on(on).plain or model.given == model.keys
        if in_turn or len(numbered) > 1 or points_ahead(model, rows):
            return await self.written(one_by_one, several=True)
        return await self.together(model, at_once, one_by_one, several=len(rounds) > 1)

    async def _upsert_many(
        self, model: Model[E], rows: Sequence[Row], on: tuple[str, ...]
    ) -> list[tuple[E, bool]]:
        """Upsert *rows*, of which no two have the same *on*, by one statement."""
        prepared, statements = self.of_model(model), self.statements
        at = model.keys[0].position
        numbered = rows[0][at] is None

        def build() -> sa.ClauseElement:
            table = statements.tables[model.table]
            insert = unnested(model, table, self._dialect.type_name, numbered=numbered)
            return upsert_of(self._dialect, model, on, insert)

        statement = prepared.other(("upsert many", on, numbered), build)
        columns = encoded_columns(prepared.encoders, rows)
        absent = {at} if numbered else set[int]()
        absent |= {model.by_name[name].position for name in model.left_out}
        sent = [column for place, column in enumerate(columns) if place not in absent]
        found = [tuple(row) for row in await self.fetch_raw(statement.sql, sent)]
        check_stored(model, len(rows), len(found))
        ordered = as_given(model, on, columns, found)
        hydrated = self.hydrated(model, [row[:-1] for row in ordered])
        return [(entity, row[-1] is True) for entity, row in zip(hydrated, ordered, strict=True)]

    async def _upsert_one(
        self, model: Model[E], row: Row, index: int | None, on: tuple[str, ...]
    ) -> tuple[E, bool]:
        prepared = self.of_model(model)
        key = model.keys[0]
        numbered = key.role == "generated" and row[key.position] is None
        statement = self._numbered(model, on) if numbered else prepared.upsert(on)
        values = statement.bind(prepared.encode(row))

        async def work() -> Sequence[Sequence[object]]:
            found = await self.fetch_raw(statement.sql, values)
            check_stored(model, 1, len(found))
            return found

        try:
            if numbered:
                found = await self._numbered_again(model, statement.sql, values)
            else:
                found = await self.written(work, several=False)
        except Exception as error:
            raise await self.refused_row(model, error, row, index) from error
        ((*stored, created),) = found
        return self.hydrated(model, (stored,))[0], created is True

    async def _commit(self) -> None:
        if await self.command("COMMIT") != "COMMIT":
            raise TransactionError(
                "postgresql: an earlier failure had ended the transaction; nothing was kept"
            )

    # --- what went wrong --------------------------------------------------------------------

    async def refused_row(
        self,
        model: Model[E],
        error: Exception,
        row: Row,  # noqa: ARG002 - the server names the constraint
        index: int | None,
    ) -> Exception:
        """See `ServerExecutor`."""
        return await self._refused(error, model, index)

    async def refused_change(self, update: Update[E], error: Exception) -> Exception:
        """See `ServerExecutor`."""
        return await self._refused(error, update.model, None)

    async def refused_deletion(
        self,
        model: Model[E],
        where: Predicate,  # noqa: ARG002 - the server names the constraint
        error: Exception,
    ) -> Exception:
        """See `ServerExecutor`."""
        return await self._refused(error, model, None)

    async def _refused(self, error: Exception, model: Model[E], index: int | None) -> Exception:
        failure = self.note_failure(error)
        kind = failure.kind
        if kind not in self.conflicts:
            return self.error_of(error, model)
        models = self.statements.models
        refused = refused_by_any(models, failure, index)
        if refused is None and kind is not FailureKind.CHECK:  # whose names partitions share
            for name in declared_names(await self.asked(DECLARED, failure.constraint)):
                declared = replace(failure, constraint=name)
                refused = refused or refused_by_any(models, declared, index)
        if refused is not None:
            return refused
        if kind is FailureKind.CHECK:  # without a name: no partition takes the row
            return undeclared_check(model, failure.constraint) or error
        return CONFLICT_ERRORS[kind](model.name, (), index)


def _given(
    model: Model[E], encoded: Sequence[Sequence[object]], *, numbered: bool
) -> list[list[object]]:
    """Return the values of *encoded* rows that an insertion is given, a list for each field."""
    specs = [spec for spec in model.given if not (numbered and spec in model.keys)]
    columns = list(zip(*encoded, strict=True))
    return [list(columns[spec.position]) for spec in specs]
