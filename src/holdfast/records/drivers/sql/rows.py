"""The verbs on one SQLite connection: plain functions, run where the connection lives."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NoReturn, TypeVar

from holdfast.errors import (
    ConfigurationError,
    ConflictError,
    DuplicateError,
    ForeignKeyError,
    InvalidValueError,
    LockTimeoutError,
    StorageError,
    TransactionError,
)
from holdfast.records.driver import Select
from holdfast.records.drivers.sql.codecs import decoder, figure_decoder
from holdfast.records.model import Model, model_of
from holdfast.records.query import (
    Column,
    Compare,
    Everything,
    Increment,
    Operator,
    Predicate,
    SetTo,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from holdfast.records.driver import Figures, Update, Values
    from holdfast.records.drivers.sql.statements import Statement, Statements
    from holdfast.records.model import FieldSpec, Row

E = TypeVar("E")


class Rows:
    """Reads and writes through *connection*. A multi-row write undoes itself when it raises."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        statements: Statements,
    ) -> None:
        self.connection = connection
        self._statements = statements
        self._models = statements.models
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

    def figures(self, query: Figures[E]) -> list[Values]:
        sql, values = self._statements.figures(query)
        decoders = [decoder(column.spec) for column in query.by]
        decoders += [figure_decoder(figure) for figure in query.figures]
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
                        created.append(not self._any(unversioned, encoded))
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
            if error.sqlite_errorcode == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
                raise self._still_pointed_at(model, where) from error
            self._fail(model, error)

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

    def _any(self, statement: Statement, encoded: Sequence[object]) -> bool:
        return self._execute(statement.sql, statement.bind(encoded)).fetchone() is not None

    # --- what went wrong --------------------------------------------------------------------

    def _fail(self, model: Model[E], error: sqlite3.Error) -> NoReturn:
        """Raise the error of Holdfast's that *error* is; a bug's is raised as it is."""
        code = getattr(error, "sqlite_errorcode", None)
        if code == sqlite3.SQLITE_ERROR and not self._has_table(model):
            raise ConfigurationError(
                f"{model.name} has no table {model.table!r} yet: call store.create_schema()"
            ) from error
        raise classified(error) from error

    def _has_table(self, model: Model[E]) -> bool:
        found = self._execute("SELECT 1 FROM sqlite_master WHERE name = ?", (model.table,))
        return found.fetchone() is not None

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
            prepared = self._writes(model)
            uniques = model.uniques if stored else ((model.key.name,), *model.uniques)
            for unique in uniques:
                if unique != on and self._any(prepared.same(unique, but_key=stored), encoded):
                    return DuplicateError(model.name, unique, index)
            return DuplicateError(model.name, (), index)
        if code == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
            for spec in model.references:
                value = encoded[spec.position]
                if value is not None and not self._has_target(spec, value):
                    return ForeignKeyError(model.name, (spec.name,), index)
        return self._fail(model, error)

    def _conflict_of_update(self, update: Update[E], error: sqlite3.Error) -> Exception:
        code = getattr(error, "sqlite_errorcode", None)
        model = update.model
        changed = {change.column.name for change in update.changes}
        if code in _DUPLICATES:
            touched = [unique for unique in model.uniques if changed & set(unique)]
            taken = (unique for unique in touched if self._is_taken(update, unique))
            return DuplicateError(model.name, touched[0] if len(touched) == 1 else next(taken, ()))
        if code == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
            for change in update.changes:
                spec = change.column.spec
                if isinstance(change, SetTo) and spec.reference and change.value is not None:
                    value = self._statements.encode(spec, change.value)
                    if not self._has_target(spec, value):
                        return ForeignKeyError(model.name, (spec.name,))
        if code in _OVERFLOWS:
            sums = [each.column for each in update.changes if isinstance(each, Increment)]
            names = [column.name for column in sums if column.spec.role == "plain"]
            return InvalidValueError(
                model.name, ", ".join(names), "the sum is too large for the field"
            )
        return self._fail(model, error)

    def _is_taken(self, update: Update[E], unique: tuple[str, ...]) -> bool:
        """Tell whether a row that *update* leaves alone holds what it would give *unique*."""
        same: Predicate = Everything()
        for change in update.changes:
            if change.column.name in unique and isinstance(change, SetTo):
                same &= Compare(change.column, Operator.EQ, change.value)
        sql, values = self._statements.select(Select(update.model, same & ~update.where, (), 1))
        return self._execute(sql, values).fetchone() is not None

    def _has_target(self, spec: FieldSpec, value: object) -> bool:
        assert spec.reference is not None
        target: Model[object] = model_of(spec.reference.target())
        statement = self._writes(target).get
        return self._execute(statement.sql, (value,)).fetchone() is not None

    def _still_pointed_at(self, model: Model[E], where: Predicate) -> ForeignKeyError:
        """Return which reference keeps the rows of *where* from being deleted."""
        table = self._statements.tables[model.table]
        sql, values = self._statements.delete(model, where)
        condition = sql.partition(" WHERE ")[2] or "1"
        for child in self._models:
            for spec in child.references:
                assert spec.reference is not None
                if model_of(spec.reference.target()) is not model:
                    continue
                if spec.reference.on_delete != "restrict":
                    continue
                found = self._execute(
                    f'SELECT 1 FROM "{child.table}" WHERE "{spec.name}" IN '  # noqa: S608 - names of the model
                    f'(SELECT "{model.key.name}" FROM "{table.name}" WHERE {condition}) LIMIT 1',
                    values,
                )
                if found.fetchone() is not None:
                    return ForeignKeyError(child.name, (spec.name,))
        return ForeignKeyError(model.name, ())


_DUPLICATES = (
    sqlite3.SQLITE_CONSTRAINT_UNIQUE,
    sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY,
    sqlite3.SQLITE_CONSTRAINT_ROWID,
)
_CONSTRAINT_DATATYPE = 3091  # SQLITE_CONSTRAINT_DATATYPE, which sqlite3 does not name
_OVERFLOWS = (sqlite3.SQLITE_CONSTRAINT_CHECK, _CONSTRAINT_DATATYPE, sqlite3.SQLITE_MISMATCH)
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
