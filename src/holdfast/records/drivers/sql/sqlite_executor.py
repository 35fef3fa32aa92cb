"""The verbs on one SQLite connection: plain functions, run where the connection lives."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NoReturn, TypeVar

from holdfast.errors import (
    ConflictError,
    DuplicateError,
    ForeignKeyError,
    LockTimeoutError,
    SchemaMismatchError,
    StorageError,
    TransactionError,
    UnsupportedError,
)
from holdfast.records.drivers.sql.conflict_lookup import (
    overflow,
    pointers,
    same_rows,
    taken_values,
    targets_of_row,
    targets_of_update,
    touched,
)
from holdfast.records.drivers.sql.sqlite_codecs import decoder, figure_decoder
from holdfast.records.model import model_of
from holdfast.records.schema_diff import Difference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from holdfast.records.driver import AggregateQuery, Select, Update, Values
    from holdfast.records.drivers.sql.conflict_lookup import Question
    from holdfast.records.drivers.sql.store_statements import StoreStatements
    from holdfast.records.model import Model, Row
    from holdfast.records.query import Column, Predicate

E = TypeVar("E")


class SQLiteExecutor:
    """Reads and writes through *connection*. A multi-row write undoes itself when it raises."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        statements: StoreStatements,
    ) -> None:
        self.connection = connection
        self._statements = statements
        self._writes = statements.writes
        self._execute = connection.execute

    # --- reading ----------------------------------------------------------------------------

    def get(self, model: Model[E], key: object) -> E | None:
        prepared = self._writes(model)
        try:
            found = self._execute(prepared.get.sql, (prepared.key(key),)).fetchall()
        except sqlite3.Error as error:
            self._fail(model, error)
        return prepared.hydrate(found)[0] if found else None

    def find(self, select: Select[E]) -> list[E]:
        sql, values = self._statements.select(select)
        try:
            return self._writes(select.model).hydrate(self._execute(sql, values))
        except sqlite3.Error as error:
            self._fail(select.model, error)

    def values(self, select: Select[E], columns: tuple[Column, ...]) -> list[Values]:
        sql, values = self._statements.select(select, columns)
        return self._decode(select.model, sql, values, [decoder(column.spec) for column in columns])

    def aggregate(self, query: AggregateQuery[E]) -> list[Values]:
        sql, values = self._statements.aggregate(query)
        decoders = [decoder(column.spec) for column in query.by]
        decoders += [figure_decoder(figure) for figure in query.aggregates]
        return self._decode(query.model, sql, values, decoders)

    def _decode(
        self,
        model: Model[E],
        sql: str,
        values: Sequence[object],
        decoders: Sequence[Callable[[object], object] | None],
    ) -> list[Values]:
        try:
            found = self._execute(sql, values).fetchall()
        except sqlite3.Error as error:
            self._fail(model, error)
        return [
            tuple(
                value if decode is None or value is None else decode(value)
                for value, decode in zip(row, decoders, strict=True)
            )
            for row in found
        ]

    def fetched(self, sql: str) -> list[tuple[object, ...]]:
        """Return the rows of a query about the database itself."""
        try:
            return self._execute(sql).fetchall()
        except sqlite3.Error as error:
            raise classified(error) from error

    # --- writing ----------------------------------------------------------------------------

    def insert(
        self, model: Model[E], rows: Sequence[Row], *, atomic: bool
    ) -> list[Row | ConflictError]:
        if atomic and len(rows) > 1 and model.key.role != "generated":
            with suppress(sqlite3.IntegrityError):
                self._insert_all(model, rows)
                return list(rows)
            # One of them is refused: singly, it shows which.
        results: list[Row | ConflictError] = []
        prepared = self._writes(model)
        with self._undone_together(len(rows)):
            for index, row in enumerate(rows):
                encoded = prepared.encode(row)
                try:
                    cursor = self._execute(prepared.insert.sql, prepared.insert.bind(encoded))
                except sqlite3.Error as error:
                    at = index if len(rows) > 1 else None
                    conflict = self._conflict_of_row(model, error, encoded, at)
                    if atomic:
                        raise conflict from error
                    results.append(conflict)
                else:
                    key = model.key
                    if key.role == "generated" and row[key.position] is None:
                        row = (*row[: key.position], cursor.lastrowid, *row[key.position + 1 :])  # noqa: PLW2901
                    results.append(row)
        return results

    def _insert_all(self, model: Model[E], rows: Sequence[Row]) -> None:
        prepared = self._writes(model)
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
        prepared = self._writes(model)
        encoded = prepared.encode(row)
        values = prepared.replace.bind([*encoded, expected])
        try:
            found = self._execute(prepared.replace.sql, values).fetchall()
        except sqlite3.Error as error:
            raise self._conflict_of_row(model, error, encoded, None, stored=True) from error
        return prepared.hydrate(found)[0] if found else None

    def patch(self, update: Update[E]) -> E | None:
        sql, values = self._statements.update(update, returning=True)
        try:
            found = self._execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise self._conflict_of_update(update, error) from error
        return self._writes(update.model).hydrate(found)[0] if found else None

    def update(self, update: Update[E]) -> int:
        sql, values = self._statements.update(update, returning=False)
        try:
            return self._execute(sql, values).rowcount
        except sqlite3.Error as error:
            raise self._conflict_of_update(update, error) from error

    def upsert(
        self, model: Model[E], rows: Sequence[Row], on: tuple[str, ...]
    ) -> list[tuple[E, bool]]:
        prepared = self._writes(model)
        statement = prepared.upsert(on)
        unversioned = None if model.version is not None else prepared.same(on)
        found: list[tuple[object, ...]] = []
        created: list[bool] = []
        with self._undone_together(len(rows)):
            for index, row in enumerate(rows):
                encoded = prepared.encode(row)
                try:
                    if unversioned is not None:
                        same = unversioned.sql, unversioned.bind(encoded)
                        created.append(not self._any(same))
                    found += self._execute(statement.sql, statement.bind(encoded)).fetchall()
                except sqlite3.Error as error:
                    at = index if len(rows) > 1 else None
                    raise self._conflict_of_row(model, error, encoded, at, on=on) from error
        if model.version is not None:
            created = [row[model.version.position] == 1 for row in found]
        return list(zip(prepared.hydrate(found), created, strict=True))

    def delete(self, model: Model[E], where: Predicate) -> int:
        sql, values = self._statements.delete(model, where)
        try:
            return self._execute(sql, values).rowcount
        except sqlite3.Error as error:
            if error.sqlite_errorcode in _POINTED_AT:
                raise self._still_pointed_at(model, where) from error
            if error.sqlite_errorcode == sqlite3.SQLITE_ERROR and self._cascades(model):
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
        code = getattr(error, "sqlite_errorcode", None)
        if code == sqlite3.SQLITE_ERROR and (lacking := self._lacking(model)):
            raise SchemaMismatchError("the sqlite database", tuple(map(str, lacking))) from error
        raise classified(error) from error

    def _lacking(self, model: Model[E]) -> list[Difference]:
        """Return what the statements about *model* name and the database has not."""
        found = self._execute("SELECT name FROM pragma_table_xinfo(?)", (model.table,))
        names = {name for (name,) in found}
        if not names:
            return [Difference("missing table", model.table)]
        return [
            Difference("missing column", model.table, column.name)
            for column in self._statements.tables[model.table].columns
            if column.name not in names
        ]

    def _conflict_of_row(
        self,
        model: Model[E],
        error: sqlite3.Error,
        encoded: Sequence[object],
        index: int | None,
        *,
        stored: bool = False,
        on: tuple[str, ...] = (),
    ) -> ConflictError:
        """Return what kept the row *encoded* out; *stored* when it replaces one under its key."""
        code = getattr(error, "sqlite_errorcode", None)
        if code in _DUPLICATES:
            for unique, question in same_rows(
                self._statements, model, encoded, stored=stored, on=on
            ):
                if self._any(question):
                    return DuplicateError(model.name, unique, index)
            return DuplicateError(model.name, (), index)
        if code == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
            for reference, question in targets_of_row(self._statements, model, encoded):
                if not self._any(question):
                    return ForeignKeyError(model.name, reference, index)
        return self._fail(model, error)

    def _conflict_of_update(self, update: Update[E], error: sqlite3.Error) -> Exception:
        code = getattr(error, "sqlite_errorcode", None)
        name = update.model.name
        if code in _DUPLICATES:
            unique = touched(update)
            if len(unique) != 1:
                asked = taken_values(self._statements, update)
                unique = [each for each, question in asked if self._any(question)]
            return DuplicateError(name, unique[0] if unique else ())
        if code == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
            for reference, question in targets_of_update(self._statements, update):
                if not self._any(question):
                    return ForeignKeyError(name, reference)
        if code in _OVERFLOWS:
            return overflow(update)
        return self._fail(update.model, error)

    def _still_pointed_at(self, model: Model[E], where: Predicate) -> ForeignKeyError:
        """Return which reference keeps the rows of *where* from being deleted."""
        for child, reference, question in pointers(self._statements, model, where):
            if self._any(question):
                return ForeignKeyError(child.name, reference)
        return ForeignKeyError(model.name, ())


_DUPLICATES = (
    sqlite3.SQLITE_CONSTRAINT_UNIQUE,
    sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY,
    sqlite3.SQLITE_CONSTRAINT_ROWID,
)
_POINTED_AT = (
    sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY,
    sqlite3.SQLITE_CONSTRAINT_TRIGGER,  # of a reference that says RESTRICT
)
_CONSTRAINT_DATATYPE = 3091  # SQLITE_CONSTRAINT_DATATYPE, which sqlite3 does not name
_OVERFLOWS = (
    sqlite3.SQLITE_CONSTRAINT_CHECK,
    _CONSTRAINT_DATATYPE,
    sqlite3.SQLITE_MISMATCH,
    sqlite3.SQLITE_TOOBIG,  # what an OverflowError of a function of ours becomes
)
_PRIMARY = 0xFF  # the lower byte of an extended result code is its primary one
_STORAGE = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_READONLY: "the database can't be written",
    sqlite3.SQLITE_IOERR: "the disk failed to read or write",
    sqlite3.SQLITE_CANTOPEN: "the database file can't be opened",
    sqlite3.SQLITE_CORRUPT: "the database file is damaged",
    sqlite3.SQLITE_NOTADB: "the file is no SQLite database",
    sqlite3.SQLITE_PERM: "access to the database file is not permitted",
}


def classified(error: sqlite3.Error) -> Exception:
    """Return Holdfast's error for SQLite's result code; a bug's error as it is."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return error
    primary = code & _PRIMARY
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return LockTimeoutError("another process holds the database's lock for too long")
    if primary in _STORAGE:
        if primary == sqlite3.SQLITE_READONLY and code == sqlite3.SQLITE_READONLY:
            return TransactionError("a write in a read-only transaction or on a read-only database")
        return StorageError(f"{_STORAGE[primary]} (SQLite's {error.sqlite_errorname})")
    return error
