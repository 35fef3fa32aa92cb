"""The verbs on one SQLite connection: plain functions, run where the connection lives."""

from __future__ import annotations

import re
import sqlite3
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NoReturn, TypeVar

from holdfast.errors import (
    ConflictError,
    ForeignKeyError,
    SchemaMismatchError,
    StoredValueError,
    UnsupportedError,
)
from holdfast.records.drivers.sql.failure import (
    Failure,
    FailureKind,
    check_stored,
    sqlite_error,
    sqlite_failure,
)
from holdfast.records.drivers.sql.statements.conflict_lookup import (
    overflow,
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
from holdfast.records.drivers.sql.statements.returned_defaults import (
    alike_parts,
    completed,
    decoded,
    moved,
)
from holdfast.records.entities.model import model_of
from holdfast.records.rows.row_rules import duplicate, takes_part
from holdfast.records.schema_diff import Difference

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from holdfast.records.driver import Values
    from holdfast.records.driver_requests import AggregateQuery, Select, Taking, Update
    from holdfast.records.drivers.sql.statements.conflict_lookup import Question
    from holdfast.records.drivers.sql.statements.store_statements import StoreStatements
    from holdfast.records.entities.model import Model, Row
    from holdfast.records.expressions.operands import ValueColumn
    from holdfast.records.expressions.predicates import Predicate

E = TypeVar("E")
_UNDECODED = re.compile(
    r"Could not decode to UTF-8 column '(?P<column>.*)' with text '(?P<start>.*)'", re.DOTALL
)


class SQLiteExecutor:
    """Reads and writes through *connection*. A multi-row write undoes itself when it raises."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        statements: StoreStatements,
    ) -> None:
        self.connection = connection
        self._statements = statements
        self._of_model = statements.of_model
        self._execute = connection.execute

    # --- reading ----------------------------------------------------------------------------

    def get(self, model: Model[E], key: object) -> E | None:
        """See `Reader`."""
        prepared = self._of_model(model)
        try:
            found = self._execute(prepared.get.sql, prepared.key_values(key)).fetchall()
        except sqlite3.Error as error:
            self._fail(model, error)
        return prepared.hydrate(found)[0] if found else None

    def find(self, select: Select[E]) -> list[E]:
        """See `Reader`."""
        sql, values = self._statements.select(select)
        try:
            return self._of_model(select.model).hydrate(self._execute(sql, values))
        except sqlite3.Error as error:
            self._fail(select.model, error)

    def values(self, select: Select[E], columns: tuple[ValueColumn, ...]) -> list[Values]:
        """See `Reader`."""
        found = self._fetch(select.model, self._statements.select(select, columns))
        return self._statements.decoded(select, columns, found)

    def aggregate(self, query: AggregateQuery[E]) -> list[Values]:
        """See `Reader`."""
        found = self._fetch(query.model, self._statements.aggregate(query))
        return self._statements.decoded_aggregates(query, found)

    def _fetch(self, model: Model[E], statement: tuple[str, Sequence[object]]) -> list[Values]:
        try:
            return self._execute(*statement).fetchall()
        except sqlite3.Error as error:
            self._fail(model, error)

    def asked(self, sql: str) -> list[tuple[object, ...]]:
        """Return the rows of a query about the database itself."""
        try:
            return self._execute(sql).fetchall()
        except sqlite3.Error as error:
            raise sqlite_error(error) from error

    def run(self, sql: str) -> None:
        """Run a statement without values."""
        try:
            self._execute(sql)
        except sqlite3.Error as error:
            raise sqlite_error(error) from error

    # --- writing ----------------------------------------------------------------------------

    def insert(
        self, model: Model[E], rows: Sequence[Row], *, atomic: bool
    ) -> list[Row | ConflictError]:
        """See `Writer`."""
        if not model.server_defaults:
            return self._insert(model, rows, atomic=atomic)
        results: list[Row | ConflictError] = []
        parts = alike_parts(model, rows)
        with self._undone_together(len(parts)):
            for alike, start, part in parts:
                try:
                    made = self._insert(alike, part, atomic=atomic)
                except ConflictError as conflict:
                    if len(rows) == 1:
                        raise
                    raise moved(conflict, start) from conflict
                results += [
                    moved(each, start) if isinstance(each, ConflictError) else each for each in made
                ]
        return results

    def _insert(
        self, model: Model[E], rows: Sequence[Row], *, atomic: bool
    ) -> list[Row | ConflictError]:
        plain = model.keys[0].role != "generated" and not model.left_out
        if atomic and len(rows) > 1 and plain:
            with suppress(sqlite3.IntegrityError):
                self._insert_all(model, rows)
                return list(rows)
            # One of them is refused: singly, it shows which.
        results: list[Row | ConflictError] = []
        prepared = self._of_model(model)
        with self._undone_together(len(rows)):
            for index, row in enumerate(rows):
                encoded = prepared.encode(row)
                try:
                    if model.left_out:
                        returning = prepared.returning_insert
                        given = self._execute(returning.sql, returning.bind(encoded)).fetchall()
                        check_stored(model, 1, len(given))
                        results += self._completed(model, row, given)
                        continue
                    cursor = self._execute(prepared.insert.sql, prepared.insert.bind(encoded))
                except sqlite3.Error as error:
                    at = index if len(rows) > 1 else None
                    conflict = self._conflict_of_row(model, error, row, at)
                    if atomic:
                        raise conflict from error
                    results.append(conflict)
                else:
                    key = model.keys[0]
                    if key.role == "generated" and row[key.position] is None:
                        check_stored(model, 1, cursor.rowcount)
                        row = (*row[: key.position], cursor.lastrowid, *row[key.position + 1 :])  # noqa: PLW2901
                    results.append(row)
        return results

    def _completed(self, model: Model[E], row: Row, given: Sequence[Sequence[object]]) -> list[Row]:
        """Return *row*, of which the database has *given* the rest."""
        try:
            values = decoded(model, self._statements.dialect, given)
        except StoredValueError as error:
            raise (error if self.connection.in_transaction else error.after_write()) from error
        return completed(model, (row,), values, numbered=True)

    def _insert_all(self, model: Model[E], rows: Sequence[Row]) -> None:
        prepared = self._of_model(model)
        bind, encode = prepared.insert.bind, prepared.encode
        with self._undone_together(len(rows)):
            try:
                self.connection.executemany(
                    prepared.insert.sql, [bind(encode(row)) for row in rows]
                )
            except sqlite3.IntegrityError:
                raise
            except sqlite3.Error as error:
                self._fail(model, error)

    def replace(self, model: Model[E], row: Row, expected: int | None) -> E | None:
        """See `Writer`."""
        prepared = self._of_model(model)
        encoded = prepared.encode(row)
        values = prepared.replace.bind([*encoded, expected])
        try:
            found = self._execute(prepared.replace.sql, values).fetchall()
        except sqlite3.Error as error:
            raise self._conflict_of_row(model, error, row, None, stored=True) from error
        return self._hydrated(model, found)[0] if found else None

    def patch(self, update: Update[E]) -> E | None:
        """See `Writer`."""
        sql, values = self._statements.update(update, returning=True)
        try:
            found = self._execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise self._conflict_of_update(update, error) from error
        return self._hydrated(update.model, found)[0] if found else None

    def _hydrated(self, model: Model[E], found: Sequence[Sequence[object]]) -> list[E]:
        """Return the entities that a statement's answer holds; outside a transaction it stays."""
        try:
            return self._of_model(model).hydrate_returned(found)
        except StoredValueError as error:
            raise (error if self.connection.in_transaction else error.after_write()) from error

    def update(self, update: Update[E]) -> int:
        """See `Writer`."""
        sql, values = self._statements.update(update, returning=False)
        try:
            return self._execute(sql, values).rowcount
        except sqlite3.Error as error:
            raise self._conflict_of_update(update, error) from error

    def take(self, taking: Taking[E]) -> list[E]:
        """See `TakingWriter`."""
        sql, values = self._statements.take(taking, locks=False)
        try:
            found = self._execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise self._conflict_of_update(taking.update, error) from error
        return self._hydrated(taking.update.model, found)

    def upsert(
        self, model: Model[E], rows: Sequence[Row], on: tuple[str, ...]
    ) -> list[tuple[E, bool]]:
        """See `Writer`."""
        if not model.server_defaults:
            return self._upsert(model, rows, on)
        stored: list[tuple[E, bool]] = []
        parts = alike_parts(model, rows)
        with self._undone_together(len(parts)):
            for alike, start, part in parts:
                try:
                    stored += self._upsert(alike, part, on)
                except ConflictError as conflict:
                    if len(rows) == 1:
                        raise
                    raise moved(conflict, start) from conflict
        return stored

    def _upsert(
        self, model: Model[E], rows: Sequence[Row], on: tuple[str, ...]
    ) -> list[tuple[E, bool]]:
        prepared = self._of_model(model)
        statement = prepared.upsert(on)
        unique = model.unique_on(on)
        unversioned = None if model.version is not None else prepared.same(unique)
        found: list[tuple[object, ...]] = []
        created: list[bool] = []
        with self._undone_together(len(rows)):
            for index, row in enumerate(rows):
                encoded = prepared.encode(row)
                try:
                    if unversioned is not None:
                        same = unversioned.sql, unversioned.bind(encoded)
                        created.append(not takes_part(unique, row) or not self._any(same))
                    found += self._execute(statement.sql, statement.bind(encoded)).fetchall()
                except sqlite3.Error as error:
                    at = index if len(rows) > 1 else None
                    raise self._conflict_of_row(model, error, row, at, on=on) from error
            check_stored(model, len(rows), len(found))
        if model.version is not None:
            created = [row[model.version.position] == 1 for row in found]
        return list(zip(self._hydrated(model, found), created, strict=True))

    def delete(self, model: Model[E], where: Predicate) -> int:
        """See `Writer`."""
        sql, values = self._statements.delete(model, where)
        try:
            return self._execute(sql, values).rowcount
        except sqlite3.Error as error:
            kind = _failure(error).kind
            if kind in (FailureKind.FOREIGN_KEY, FailureKind.TRIGGER):
                raise self._still_pointed_at(model, where) from error
            if kind is FailureKind.STATEMENT and self._cascades(model):
                raise UnsupportedError("a cascade of more than 1,000 levels", "sqlite") from error
            self._fail(model, error)

    def _cascades(self, model: Model[E]) -> bool:
        """Whether rows go with those of *model*; not where the failure has another reason."""
        pointing = (
            spec.reference for child in self._statements.models for spec in child.references
        )
        return not self._lacking(model) and any(
            reference is not None
            and reference.on_delete == "cascade"
            and model_of(reference.target()) is model
            for reference in pointing
        )

    @contextmanager
    def _undone_together(self, count: int) -> Iterator[None]:
        """Make *count* statements one; inside a transaction the rest of it stays as it is."""
        if count < 2:
            yield
            return
        self._execute("SAVEPOINT holdfast_batch")
        try:
            yield
        except BaseException:
            if self.connection.in_transaction:
                self._execute("ROLLBACK TO holdfast_batch")
                self._execute("RELEASE holdfast_batch")
            raise
        self._execute("RELEASE holdfast_batch")

    def _any(self, question: Question) -> bool:
        return self._execute(*question).fetchone() is not None

    # --- what went wrong --------------------------------------------------------------------

    def _fail(self, model: Model[E], error: sqlite3.Error) -> NoReturn:
        """Raise the error of Holdfast's that *error* is; a bug's is raised as it is."""
        said = _UNDECODED.match(str(error))
        if said is not None:
            shown = f"{said['start']}... in bytes that are no UTF-8"
            raise StoredValueError(model.name, said["column"], shown, "it is no text") from error
        if _failure(error).kind is FailureKind.STATEMENT and (lacking := self._lacking(model)):
            raise SchemaMismatchError("the sqlite database", tuple(map(str, lacking))) from error
        raise sqlite_error(error, model) from error

    def _lacking(self, model: Model[E]) -> list[Difference]:
        """Return what the statements about *model* name and the database lacks."""
        table = self._statements.tables[model.table]
        found = self._execute("SELECT name FROM pragma_table_xinfo(?)", (table.name,))
        names = {name for (name,) in found}
        if not names:
            return [Difference("missing table", table.name)]
        return [
            Difference("missing column", table.name, column.name)
            for column in table.columns
            if column.name not in names
        ]

    def _conflict_of_row(
        self,
        model: Model[E],
        error: sqlite3.Error,
        row: Row,
        index: int | None,
        *,
        stored: bool = False,
        on: tuple[str, ...] = (),
    ) -> ConflictError:
        """Return what kept *row* out; *stored* when it replaces one under its key."""
        failure = _failure(error)
        kind = failure.kind
        if kind is FailureKind.DUPLICATE:
            for unique, question in same_rows(self._statements, model, row, stored=stored, on=on):
                if self._any(question):
                    return duplicate(model, unique, index)
            return duplicate(model, None, index)
        if kind is FailureKind.FOREIGN_KEY:
            encoded = self._of_model(model).encode(row)
            for reference, question in targets_of_row(self._statements, model, encoded):
                if not self._any(question):
                    return ForeignKeyError(model.name, reference, index)
        if kind is FailureKind.CHECK:
            raise row_refused_by_check(model, row, failure.constraint) or error from error
        return self._fail(model, error)

    def _conflict_of_update(self, update: Update[E], error: sqlite3.Error) -> Exception:
        failure = _failure(error)
        kind = failure.kind
        name = update.model.name
        if kind is FailureKind.DUPLICATE:
            unique = touched(update)
            if len(unique) != 1:
                asked = taken_by(self._statements, update, self._rows_of(update))
                unique = [each for each, ask in asked if ask is None or self._any(ask)]
            return duplicate(update.model, unique[0] if unique else None)
        if kind is FailureKind.FOREIGN_KEY:
            for reference, question in targets_of_update(self._statements, update):
                if not self._any(question):
                    return ForeignKeyError(name, reference)
        if kind is FailureKind.CHECK:
            return refused_by_check(update, self._rows_of(update), failure.constraint)
        if kind is FailureKind.OVERFLOW:
            return overflow(update)
        return self._fail(update.model, error)

    def _rows_of(self, update: Update[E]) -> list[Row]:
        select, columns = rows_of(update)
        return self.values(select, columns)

    def _still_pointed_at(self, model: Model[E], where: Predicate) -> ForeignKeyError:
        """Return which reference keeps the rows of *where* from being deleted."""
        for child, reference, question in pointers(self._statements, model, where):
            if self._any(question):
                return ForeignKeyError(child.name, reference)
        return ForeignKeyError(model.name, ())


def _failure(error: sqlite3.Error) -> Failure:
    return sqlite_failure(error) or Failure(FailureKind.UNKNOWN)
