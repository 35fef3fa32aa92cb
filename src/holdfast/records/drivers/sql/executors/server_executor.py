"""The verbs on one connection to a server, and the transactions that keep each of them whole."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

from holdfast.errors import (
    ConflictError,
    SchemaMismatchError,
    SerializationError,
    StoredValueError,
    UnavailableError,
)
from holdfast.records.drivers.sql.executors.server_reader import ServerReader
from holdfast.records.drivers.sql.failure import FailureKind, serialization_error
from holdfast.records.drivers.sql.statements.conflict_lookup import overflow
from holdfast.records.drivers.sql.statements.returned_defaults import (
    alike_parts,
    completed,
    decoded,
    moved,
)
from holdfast.records.drivers.sql.statements.sequence_ddl import NUMBERS, numbers_query
from holdfast.records.entities.table_names import in_schema
from holdfast.records.rows.server_values import run_out
from holdfast.records.write_order import lock_order, points_ahead

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Sequence

    from holdfast.records.driver_requests import Update
    from holdfast.records.drivers.sql.connections.server_connection import ServerConnection
    from holdfast.records.drivers.sql.executors.server_reader import StatementLog
    from holdfast.records.drivers.sql.statements.store_statements import StoreStatements
    from holdfast.records.entities.model import Model, Row
    from holdfast.records.entities.server_default import SequenceDefault
    from holdfast.records.expressions.predicates import Predicate
    from holdfast.records.values.field_spec import FieldSpec

E = TypeVar("E")
T = TypeVar("T")
Part: TypeAlias = "tuple[Sequence[Row], Sequence[Sequence[object]]]"
"""Rows, and the same encoded."""


class ServerExecutor(ServerReader):
    """Reads and writes through one connection. What writes natively differs by database."""

    conflicts: tuple[FailureKind, ...] = (
        FailureKind.DUPLICATE,
        FailureKind.FOREIGN_KEY,
        FailureKind.CHECK,
    )
    """The failures that one of the rows is to blame for."""
    guards_each_write = False
    """A failed statement ends the transaction unless a savepoint stands before it."""

    def __init__(
        self,
        connection: ServerConnection,
        statements: StoreStatements,
        log: StatementLog,
    ) -> None:
        super().__init__(connection, statements, log)
        self.born = self.idle_since = time.monotonic()
        self.under_way: asyncio.Future[Any] | None = None
        """The call that goes on after its caller was cancelled (see `Pool`)."""
        self._guard_open = False
        self._nested = 0  # savepoints of batches that are open

    # --- transactions -----------------------------------------------------------------------

    async def begin(self, statements: Sequence[str]) -> None:
        """Begin a transaction by *statements*."""
        await self.command(*statements)
        self.in_transaction = True
        self.undone = False
        self._guard_open = False

    async def commit(self) -> None:
        """Commit the transaction.

        Raises SerializationError and UnavailableError; nothing was kept then, unless lost.
        """
        if self.undone:
            await self.rollback()
            raise serialization_error(self.backend)
        self.in_transaction = False
        await self._commit()

    async def rollback(self) -> None:
        """Undo the transaction."""
        self.in_transaction = self.undone = False
        await self.command("ROLLBACK")

    async def savepoint(self, depth: int) -> None:
        """Open the savepoint of this *depth*."""
        await self.command(f"SAVEPOINT holdfast_{depth}")
        self._guard_open = False

    async def release(self, depth: int) -> None:
        """Close the savepoint of this *depth*; what was done since stays."""
        await self.command(f"RELEASE SAVEPOINT holdfast_{depth}")
        self._guard_open = False

    async def rollback_to(self, depth: int) -> None:
        """Close the savepoint of this *depth* and undo what was done since."""
        await self.command(f"ROLLBACK TO SAVEPOINT holdfast_{depth}")
        await self.command(f"RELEASE SAVEPOINT holdfast_{depth}")
        self._guard_open = False

    def intruded(self) -> None:
        """Take note that a statement of somebody else's comes next on this connection.

        Raises SerializationError where the transaction is undone already.
        """
        if self.undone:
            raise serialization_error(self.backend)
        self._guard_open = False  # it may be released with a savepoint of theirs

    async def forget(self) -> None:
        """Undo whatever a cancelled call may have left open; after this all is decided."""
        self.under_way = None
        try:
            await self.rollback()
        except UnavailableError:
            self.lost = True
            self.connection.abandon()

    async def written(self, work: Callable[[], Awaitable[T]], *, several: bool) -> T:
        """Do *work*, of one statement or *several*, whole or not at all.

        Alone, one statement is whole by itself and several get a transaction. Inside a
        transaction several get a savepoint. One statement gets one too where its failure would
        end the transaction, as on PostgreSQL: this guard is not released but moves along, in the
        same message as the next one, so that each write costs one short message more, not two.
        """
        if not self.in_transaction:
            return await (self._alone(work) if several else work())
        if several:
            return await self._inside("holdfast_batch", work)
        if not self.guards_each_write:
            return await work()
        renewed = ("RELEASE SAVEPOINT holdfast_guard",) if self._guard_open else ()
        await self.command(*renewed, "SAVEPOINT holdfast_guard")
        self._guard_open = True
        try:
            return await work()
        except Exception as error:
            if self._can_go_on(error):
                await self.command("ROLLBACK TO SAVEPOINT holdfast_guard")
            raise

    async def _alone(self, work: Callable[[], Awaitable[T]]) -> T:
        await self.begin(("BEGIN",))
        try:
            result = await work()
        except Exception as error:
            self.note_failure(error)
            if not self.lost:
                await self.rollback()
            self.in_transaction = False
            raise
        await self.commit()
        return result

    async def _inside(self, name: str, work: Callable[[], Awaitable[T]]) -> T:
        # MariaDB and MySQL forget a savepoint when another one gets its name.
        name = f"{name}_{self._nested}"
        await self.command(f"SAVEPOINT {name}")
        self._guard_open = False
        self._nested += 1
        try:
            result = await work()
        except Exception as error:
            if self._can_go_on(error):
                await self.command(f"ROLLBACK TO SAVEPOINT {name}", f"RELEASE SAVEPOINT {name}")
            self._guard_open = False
            raise
        finally:
            self._nested -= 1
        await self.command(f"RELEASE SAVEPOINT {name}")
        self._guard_open = False
        return result

    def _can_go_on(self, error: Exception) -> bool:
        """Return whether the transaction is still there after *error*."""
        kind = self.note_failure(error).kind
        gone = kind is FailureKind.SERIALIZATION or isinstance(error, SerializationError)
        return not gone and not self.lost

    async def _commit(self) -> None:
        await self.command("COMMIT")

    # --- structure --------------------------------------------------------------------------

    async def define(self, texts: Sequence[str]) -> None:
        """Run *texts*, which make or drop tables, whole where the server undoes such."""

        async def all_of_them() -> None:
            for text in texts:
                await self.define_one(text)

        await self.written(all_of_them, several=True)

    async def define_one(self, text: str) -> None:
        """Run one of the texts of `define`."""
        await self.command(text)

    # --- writing ----------------------------------------------------------------------------

    async def numbers(self, model: Model[E], spec: FieldSpec, count: int) -> list[int]:
        """See `NumberGiver`."""
        assert spec.server_default is not None
        source = cast("SequenceDefault", spec.server_default.source)
        place = in_schema(self.statements.tables[model.table].schema, source.name)
        found: list[int] = []
        while len(found) < count:
            part = min(count - len(found), NUMBERS[self.backend])
            query = numbers_query(place, self.statements.dialect, part)
            found += await self._next_numbers(model, spec, query)
        return found

    async def _next_numbers(
        self, model: Model[E], spec: FieldSpec, query: tuple[str, Sequence[object]]
    ) -> list[int]:
        async def work() -> Sequence[Sequence[object]]:
            return await self.fetch_raw(*query)

        try:
            return [cast("int", row[0]) for row in await self.written(work, several=False)]
        except Exception as error:
            match self.note_failure(error).kind:
                case FailureKind.OVERFLOW:
                    raise run_out(model, spec) from error
                case FailureKind.NO_TABLE:
                    missing = f"the sequence of {model.name}.{spec.name} is missing"
                    raise SchemaMismatchError(f"the {self.backend} database", (missing,)) from error
                case _:
                    raise self.error_of(error, model) from error

    async def insert(
        self, model: Model[E], rows: Sequence[Row], *, atomic: bool
    ) -> list[Row | ConflictError]:
        """See `Writer`."""
        if not model.server_defaults:
            return await self._insert(model, rows, atomic=atomic)

        async def each(alike: Model[E], part: Sequence[Row]) -> Sequence[Row | ConflictError]:
            return await self._insert(alike, part, atomic=atomic)

        return await self.in_parts(model, rows, each)

    async def in_parts(
        self,
        model: Model[E],
        rows: Sequence[Row],
        work: Callable[[Model[E], Sequence[Row]], Awaitable[Sequence[T]]],
    ) -> list[T]:
        """Do *work* with each part of *rows* that leaves the same fields to the database."""
        parts = alike_parts(model, rows)

        async def all_of_them() -> list[T]:
            results: list[T] = []
            for alike, start, part in parts:
                try:
                    made = await work(alike, part)
                except ConflictError as conflict:
                    if len(rows) == 1:
                        raise
                    raise moved(conflict, start) from conflict
                results += [
                    cast("T", moved(each, start)) if isinstance(each, ConflictError) else each
                    for each in made
                ]
            return results

        if len(parts) == 1 and not self.reads_back(parts[0][0]):
            return await all_of_them()
        return await self.written(all_of_them, several=True)

    def reads_back(self, model: Model[E]) -> bool:  # noqa: ARG002 - where writes return no rows
        """Return whether an insertion of *model* is followed by a look at what was left out."""
        return False

    async def _insert(
        self, model: Model[E], rows: Sequence[Row], *, atomic: bool
    ) -> list[Row | ConflictError]:
        if len(rows) == 1:
            return [await self.insert_one(model, rows[0], None, atomic=atomic)]

        async def one_by_one() -> list[Row | ConflictError]:
            return [
                await self.insert_one(model, row, index, atomic=atomic)
                for index, row in enumerate(rows)
            ]

        at = model.keys[0].position
        numbered = {row[at] is None for row in rows}
        nothing_given = True in numbered and model.given == model.keys
        if len(numbered) > 1 or nothing_given or points_ahead(model, rows):
            return await self.written(one_by_one, several=True)
        given = True not in numbered
        parts = self.parts(model, lock_order(model, rows) if given else rows)

        async def at_once() -> list[Row | ConflictError]:
            made = [row for part in parts for row in await self.insert_many(model, *part)]
            if not given:
                return list(made)
            if not model.left_out:
                return list(rows)
            by_key = {model.key_of(row): row for row in made}  # they went in the order of locks
            return [by_key[model.key_of(row)] for row in rows]

        return await self.together(model, at_once, one_by_one, several=len(parts) > 1)

    async def together(
        self,
        model: Model[E],
        work: Callable[[], Awaitable[T]],
        one_by_one: Callable[[], Awaitable[T]],
        *,
        several: bool,
    ) -> T:
        """Do *work*, of one statement or *several*, on many rows.

        Where a row is refused, the server does not say which: then it is done again one by one.
        """
        try:
            return await self.written(work, several=several)
        except Exception as error:
            if self.note_failure(error).kind not in self.conflicts:
                raise self.error_of(error, model) from error
        return await self.written(one_by_one, several=True)

    def parts(self, model: Model[E], rows: Sequence[Row]) -> Sequence[Part]:
        """Return *rows* in parts of which each fits into a statement."""
        encode = self.of_model(model).encode
        return [(rows, [encode(row) for row in rows])]

    async def insert_one(
        self, model: Model[E], row: Row, index: int | None, *, atomic: bool
    ) -> Row | ConflictError:
        """Store one row, number *index* of a batch; return it, or what kept it out.

        When *atomic*, that is raised.
        """
        try:
            return await self.stored_one(model, row)
        except Exception as error:
            if isinstance(error, StoredValueError):
                raise
            refused = await self.refused_row(model, error, row, index)
            if atomic or not isinstance(refused, ConflictError):
                raise refused from error
            return refused

    def completed_rows(
        self,
        model: Model[E],
        rows: Sequence[Row],
        found: Sequence[Sequence[object]],
        *,
        numbered: bool,
    ) -> list[Row]:
        """Return *rows* with what their insertion returned; outside a transaction they stay."""
        try:
            values = decoded(model, self.statements.dialect, found)
        except StoredValueError as error:
            raise (error if self.in_transaction else error.after_write()) from error
        return completed(model, rows, values, numbered=numbered)

    def hydrated(self, model: Model[E], found: Sequence[Sequence[object]]) -> list[E]:
        """Return the entities that a write's answer holds; outside a transaction it stays."""
        try:
            return self.of_model(model).hydrate(found)
        except StoredValueError as error:
            raise (error if self.in_transaction else error.after_write()) from error

    async def stored_one(self, model: Model[E], row: Row) -> Row:
        """Store one row and return it with its key; a failure is the driver's."""
        raise NotImplementedError

    async def insert_many(
        self, model: Model[E], rows: Sequence[Row], encoded: Sequence[Sequence[object]]
    ) -> list[Row]:
        """Store rows of which all have keys, or none has; a failure is the driver's.

        *encoded* are the same rows as the database takes their values.
        """
        raise NotImplementedError

    async def replace(self, model: Model[E], row: Row, expected: int | None) -> E | None:
        """See `Writer`."""
        raise NotImplementedError

    async def patch(self, update: Update[E]) -> E | None:
        """See `Writer`."""
        raise NotImplementedError

    async def upsert(
        self, model: Model[E], rows: Sequence[Row], on: tuple[str, ...]
    ) -> list[tuple[E, bool]]:
        """See `Writer`."""
        raise NotImplementedError

    async def update(self, update: Update[E]) -> int:
        """See `Writer`."""
        sql, values = self.statements.update(update, returning=False)

        async def work() -> int:
            try:
                return await self.execute_raw(sql, values)
            except Exception as error:
                raise await self.refused_update(update, error) from error

        return await self.written(work, several=False)

    async def delete(self, model: Model[E], where: Predicate) -> int:
        """See `Writer`."""
        sql, values = self.statements.delete(model, where)

        async def work() -> int:
            try:
                return await self.execute_raw(sql, values)
            except Exception as error:
                raise await self.refused_deletion(model, where, error) from error

        return await self.written(work, several=False)

    # --- what was refused -------------------------------------------------------------------

    async def refused_row(
        self, model: Model[E], error: Exception, row: Row, index: int | None
    ) -> Exception:
        """Return what kept *row* out."""
        raise NotImplementedError

    async def refused_update(self, update: Update[E], error: Exception) -> Exception:
        """Return what kept *update* from being made."""
        if self.note_failure(error).kind is FailureKind.OVERFLOW:
            return overflow(update)
        return await self.refused_change(update, error)

    async def refused_change(self, update: Update[E], error: Exception) -> Exception:
        """Return what kept *update* from being made, where that was not the size of a sum."""
        raise NotImplementedError

    async def refused_deletion(
        self, model: Model[E], where: Predicate, error: Exception
    ) -> Exception:
        """Return what kept the rows of *where* from being deleted."""
        raise NotImplementedError
