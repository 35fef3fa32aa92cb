"""The verbs on PostgreSQL: its native writes, and which constraint refused one."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, TypeVar, cast

from sqlalchemy.dialects import postgresql

from holdfast.errors import ConflictError, DuplicateError, ForeignKeyError, TransactionError
from holdfast.records.drivers.sql.constraint_ddl import database_name
from holdfast.records.drivers.sql.dialects.postgresql_recording import (
    RecordTarget,
    recorded_update,
)
from holdfast.records.drivers.sql.failure import FailureKind
from holdfast.records.drivers.sql.mapped_tables.constraint_names import constraint_names
from holdfast.records.drivers.sql.server_executor import ServerExecutor
from holdfast.records.drivers.sql.statement import parameter
from holdfast.records.drivers.sql.store_statements import Beside
from holdfast.records.drivers.sql.tables import named
from holdfast.records.row_rules import check_error, duplicate
from holdfast.records.write_order import points_ahead

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    import sqlalchemy as sa

    from holdfast.records.constraint import Constraint
    from holdfast.records.driver import ChangeRecord, Update
    from holdfast.records.drivers.sql.dialect import Codec, Expression
    from holdfast.records.drivers.sql.dialects.postgresql import PostgreSQLDialect
    from holdfast.records.drivers.sql.failure import Failure
    from holdfast.records.drivers.sql.server_connection import Copying
    from holdfast.records.drivers.sql.statement import Statement
    from holdfast.records.model import Model, Row
    from holdfast.records.query import Predicate

E = TypeVar("E")
T = TypeVar("T")

_SEQUENCE = "pg_get_serial_sequence($1::text, $2::text)::regclass"
_NUMBERS = 100  # that others gave in the moment between a number's making and its row
_LAST_NUMBER = f"coalesce(pg_sequence_last_value({_SEQUENCE}), 0)"


class PostgreSQLExecutor(ServerExecutor):
    """See `ServerExecutor`."""

    guards_each_write = True

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
        return await self._numbering_on(model, rows, lambda: self._upsert(model, rows, on))

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
        place = (f'"{model.table}"', model.key.name)
        found = await self.fetch(model, f"SELECT {_LAST_NUMBER}", place)
        if cast("int", found[0][0]) < given:
            await self.command(f'LOCK TABLE "{model.table}" IN SHARE ROW EXCLUSIVE MODE')
            highest = f"greatest($3::bigint, {_LAST_NUMBER})"
            await self.fetch(model, f"SELECT setval({_SEQUENCE}, {highest})", (*place, given))

    async def stored_one(self, model: Model[E], row: Row) -> Row:
        """See `ServerExecutor`."""
        prepared = self.of_model(model)
        key = model.keys[0]
        numbered = key.role == "generated" and row[key.position] is None
        statement = self._numbered(model, None) if numbered else prepared.insert
        values = statement.bind(prepared.encode(row))

        if not numbered:

            async def work() -> Row:
                await self.execute_raw(statement.sql, values)
                return row

            return await self.written(work, several=False)
        ((number,),) = await self._numbered_again(model, statement.sql, values)
        return (*row[: key.position], number, *row[key.position + 1 :])

    async def _numbered_again(
        self, model: Model[E], sql: str, values: Sequence[object]
    ) -> Sequence[Sequence[object]]:
        """Run *sql*, which numbers a row; again when somebody gave that very number meanwhile."""

        async def work() -> Sequence[Sequence[object]]:
            return await self.fetch_raw(sql, values)

        for _ in range(_NUMBERS):
            try:
                return await self.written(work, several=False)
            except Exception as error:
                refused = _refused_by(model, self.note_failure(error), None)
                if not isinstance(refused, DuplicateError) or refused.fields != (model.key.name,):
                    raise
        return await self.written(work, several=False)

    async def insert_many(
        self, model: Model[E], rows: Sequence[Row], encoded: Sequence[Sequence[object]]
    ) -> list[Row]:
        """See `ServerExecutor`."""
        at = model.keys[0].position
        if rows[0][at] is not None:
            table = self.statements.tables[model.table]
            names = [table.c[spec.name].name for spec in model.fields]
            copying = cast("Copying", self.connection)
            await self.watched(f"COPY {table.name}", copying.copy(table, names, encoded))
            return list(rows)
        statement = self._numbered_many(model)
        columns = [list(column) for n, column in enumerate(zip(*encoded, strict=True)) if n != at]
        found = sorted(cast("int", row[0]) for row in await self.fetch_raw(statement.sql, columns))
        return [
            (*row[:at], number, *row[at + 1 :]) for row, number in zip(rows, found, strict=True)
        ]

    def _numbered(self, model: Model[E], on: tuple[str, ...] | None) -> Statement:
        """Return the insertion of a row without its key, or its upsert when *on* is there."""
        statements = self.statements

        def build() -> sa.ClauseElement:
            table = statements.tables[model.table]
            insert = postgresql.insert(table).values(
                {
                    spec.name: parameter(spec.position)
                    for spec in model.fields
                    if spec not in model.keys
                }
            )
            if on is None:
                return insert.returning(table.c[model.key.name])
            return cast("PostgreSQLDialect", statements.dialect).upsert_of(model, on, insert)

        return self.of_model(model).other(("numbered", on), build)

    def _numbered_many(self, model: Model[E]) -> Statement:
        prepared, statements = self.of_model(model), self.statements

        def build() -> sa.ClauseElement:
            table = statements.tables[model.table]
            dialect = cast("PostgreSQLDialect", statements.dialect)
            insert = dialect.unnested(model, table, numbered=True)
            return insert.returning(table.c[model.key.name])

        return prepared.other("insert many, numbered", build)

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
        async def work() -> Sequence[Sequence[object]]:
            return await self.fetch_raw(sql, values)

        try:
            found = await self.written(work, several=False)
        except Exception as error:
            raise await self.refused_update(update, error) from error
        return self.hydrated(update.model, found)[0] if found else None

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
        dialect = cast("PostgreSQLDialect", self.statements.dialect)

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
        rounds = _rounds(model, rows, on)

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
        in_turn = in_turn or not model.unique_on(on).plain
        if in_turn or len(numbered) > 1 or points_ahead(model, rows):
            return await self.written(one_by_one, several=True)
        return await self.together(model, at_once, one_by_one, several=len(rounds) > 1)

    async def _upsert_many(
        self, model: Model[E], rows: Sequence[Row], on: tuple[str, ...]
    ) -> list[tuple[E, bool]]:
        """Upsert *rows*, of which no two have the same *on*, by one statement."""
        prepared, statements = self.of_model(model), self.statements
        key_of, at = model.key_of, model.keys[0].position
        numbered = rows[0][at] is None

        def build() -> sa.ClauseElement:
            table = statements.tables[model.table]
            dialect = cast("PostgreSQLDialect", statements.dialect)
            return dialect.upsert_of(model, on, dialect.unnested(model, table, numbered=numbered))

        statement = prepared.other(("upsert many", on, numbered), build)
        columns = _columns(prepared.encoders, rows)
        if numbered:
            del columns[at]
        found = [tuple(row) for row in await self.fetch_raw(statement.sql, columns)]
        places = [model.by_name[name].position for name in on]
        by_fields = {tuple(row[place] for place in places): row for row in found}
        added: Iterator[tuple[object, ...]] = iter(())
        if numbered:  # a null is the same as no other: what tells it apart is the number, in turn
            new = [row for row in found if at in places or _has_null(row, places)]
            added = iter(sorted(new, key=lambda row: cast("int", row[at])))
        by_key = {key_of(row): row for row in found}
        ordered: list[tuple[object, ...]] = []
        encoders = [prepared.encoders[place] for place in places]
        for row in rows:
            if not _has_null(row, places):
                ordered.append(by_fields[_encoded(row, encoders, places)])
            elif numbered:
                ordered.append(next(added))
            else:
                ordered.append(by_key[key_of(prepared.encode(row))])
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
            return await self.fetch_raw(statement.sql, values)

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
        return self._refused(error, model, index)

    async def refused_change(self, update: Update[E], error: Exception) -> Exception:
        """See `ServerExecutor`."""
        return self._refused(error, update.model, None)

    async def refused_deletion(
        self,
        model: Model[E],
        where: Predicate,  # noqa: ARG002 - the server names the constraint
        error: Exception,
    ) -> Exception:
        """See `ServerExecutor`."""
        return self._refused(error, model, None)

    def _refused(self, error: Exception, model: Model[E], index: int | None) -> Exception:
        failure = self.note_failure(error)
        kind = failure.kind
        if kind not in self.conflicts:
            return self.error_of(error, model)
        for known in self.statements.models:
            refused = _refused_by(known, failure, index)
            if refused is not None:
                return refused
        if kind is FailureKind.CHECK:
            return error
        return _ERRORS[kind](model.name, (), index)


_ERRORS: dict[FailureKind, Callable[[str, tuple[str, ...], int | None], ConflictError]] = {
    FailureKind.DUPLICATE: DuplicateError,
    FailureKind.FOREIGN_KEY: ForeignKeyError,
}


def _refused_by(model: Model[E], failure: Failure, index: int | None) -> Exception | None:
    """Return the error for a *failure* that is told by one of the model's constraints."""
    name, table = failure.constraint, model.table
    if model.adapter is not None:
        for fields, constraint in constraint_names(model, failure.kind):
            if constraint == name:
                return _ERRORS[failure.kind](model.name, fields, index)
        return None
    match failure.kind:
        case FailureKind.FOREIGN_KEY:
            for spec in model.references:
                if named("fk", table, [spec.name]) == name:
                    return ForeignKeyError(model.name, (spec.name,), index)
        case FailureKind.DUPLICATE:
            if named("pk", table, model.key_names) == name:
                return duplicate(model, model.key_unique, index)
            for unique in model.all_uniques:
                plain = unique.plain
                if name == (named("uq", table, unique.fields) if plain else _called(model, unique)):
                    return duplicate(model, unique, index)
        case FailureKind.CHECK:
            for check in model.checks:
                if _called(model, check) == name:
                    return check_error(model, check)
        case _:
            pass
    return None


def _called(model: Model[E], constraint: Constraint) -> str:
    return database_name(model.table, constraint)


def _has_null(row: Row, places: Sequence[int]) -> bool:
    return any(row[place] is None for place in places)


def _rounds(model: Model[E], rows: Sequence[Row], on: tuple[str, ...]) -> list[list[int]]:
    """Return the places of *rows* in rounds, in each of which no two have the same *on*.

    A statement may write a row once. The later of two with the same *on* are in later rounds.
    """
    fields = [model.by_name[name].position for name in on]
    seen: Counter[tuple[object, ...]] = Counter()
    rounds: list[list[int]] = []
    for place, row in enumerate(rows):
        wanted = tuple(row[field] for field in fields)
        turn = 0 if None in wanted else seen[wanted]
        seen[wanted] += 1
        if turn == len(rounds):
            rounds.append([])
        rounds[turn].append(place)
    return rounds


def _columns(encoders: Sequence[Codec], rows: Sequence[Row]) -> list[list[object]]:
    """Return the encoded values of *rows*, a list for each field."""
    columns: list[list[object]] = []
    for encode, column in zip(encoders, zip(*rows, strict=True), strict=True):
        if encode is None:
            columns.append(list(column))
        else:
            columns.append([None if value is None else encode(value) for value in column])
    return columns


def _encoded(row: Row, encoders: Sequence[Codec], places: Sequence[int]) -> tuple[object, ...]:
    return tuple(
        row[place] if encode is None else encode(row[place])
        for encode, place in zip(encoders, places, strict=True)
    )
