"""The session of one scope of a transaction: its calls take turns with those of the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, ParamSpec, TypeVar, cast

from holdfast.errors import (
    SchemaMismatchError,
    SerializationError,
    StorageError,
    UnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from holdfast.errors import ConflictError, HoldfastError
    from holdfast.records.driver import (
        ChangeRecord,
        DriverTransaction,
        NumberGiver,
        RecordingWriter,
        TakingWriter,
        Values,
    )
    from holdfast.records.driver_requests import AggregateQuery, Select, Taking, Update
    from holdfast.records.entities.model import Model, Row
    from holdfast.records.expressions.operands import ValueColumn
    from holdfast.records.expressions.predicates import Predicate
    from holdfast.records.transactions.scope import Scopes, TransactionScope
    from holdfast.records.values.field_spec import FieldSpec

E = TypeVar("E")
T = TypeVar("T")
P = ParamSpec("P")

_ENDING = (UnavailableError, StorageError, SchemaMismatchError)
"""What ends the scope of a read that raises it: the server stopped, refused or lost it."""


class ScopedSession:
    """Reads and writes in *scope*, one of *scopes*, by tasks or threads."""

    def __init__(self, work: DriverTransaction, scope: TransactionScope, scopes: Scopes) -> None:
        self._work = work
        self._scope = scope
        self._scopes = scopes

    async def get(self, model: Model[E], key: object) -> E | None:
        """See `Reader`."""
        return await self._read(self._work.get, model, key)

    async def find(self, select: Select[E]) -> list[E]:
        """See `Reader`."""
        return await self._read(self._work.find, select)

    async def values(self, select: Select[E], columns: tuple[ValueColumn, ...]) -> list[Values]:
        """See `Reader`."""
        return await self._read(self._work.values, select, columns)

    async def aggregate(self, query: AggregateQuery[E]) -> list[Values]:
        """See `Reader`."""
        return await self._read(self._work.aggregate, query)

    async def insert(
        self, model: Model[E], rows: Sequence[Row], *, atomic: bool
    ) -> list[Row | ConflictError]:
        """See `Writer`."""
        return await self._write(self._work.insert, model, rows, atomic=atomic)

    async def replace(self, model: Model[E], row: Row, expected: int | None) -> E | None:
        """See `Writer`."""
        return await self._write(self._work.replace, model, row, expected)

    async def patch(self, update: Update[E]) -> E | None:
        """See `Writer`."""
        return await self._write(self._work.patch, update)

    async def update(self, update: Update[E]) -> int:
        """See `Writer`."""
        return await self._write(self._work.update, update)

    async def upsert(
        self, model: Model[E], rows: Sequence[Row], on: tuple[str, ...]
    ) -> list[tuple[E, bool]]:
        """See `Writer`."""
        return await self._write(self._work.upsert, model, rows, on)

    async def delete(self, model: Model[E], where: Predicate) -> int:
        """See `Writer`."""
        return await self._write(self._work.delete, model, where)

    async def numbers(self, model: Model[E], spec: FieldSpec, count: int) -> list[int]:
        """See `NumberGiver`."""
        return await self._write(cast("NumberGiver", self._work).numbers, model, spec, count)

    async def take(self, taking: Taking[E]) -> list[E]:
        """See `TakingWriter`."""
        return await self._write(cast("TakingWriter", self._work).take, taking)

    async def replace_recorded(
        self, model: Model[E], row: Row, expected: int | None, record: ChangeRecord
    ) -> E | None:
        """See `RecordingWriter`."""
        work = cast("RecordingWriter", self._work)
        return await self._write(work.replace_recorded, model, row, expected, record)

    async def patch_recorded(self, update: Update[E], record: ChangeRecord) -> E | None:
        """See `RecordingWriter`."""
        work = cast("RecordingWriter", self._work)
        return await self._write(work.patch_recorded, update, record)

    async def _read(
        self, verb: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        scopes = self._scopes
        with scopes.turns.held:
            await scopes.turn(self._scope)
            try:
                return await verb(*args, **kwargs)
            except _ENDING as error:
                self._ended_by(error)
                raise

    async def _write(
        self, verb: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        scopes = self._scopes
        with scopes.turns.held:
            await scopes.turn(self._scope)
            return await verb(*args, **kwargs)

    def _ended_by(self, error: HoldfastError) -> None:
        if not isinstance(error, SerializationError):  # which the backend keeps in mind
            self._scopes.fail(self._scope, error)


class TaskSession(ScopedSession):
    """The same for tasks alone, which need no lock: a plain read costs one step more."""

    async def get(self, model: Model[E], key: object) -> E | None:
        """See `Reader`."""
        if self._scopes.ready is not self._scope:
            await self._scopes.turn(self._scope)
        try:
            return await self._work.get(model, key)
        except _ENDING as error:
            self._ended_by(error)
            raise

    async def find(self, select: Select[E]) -> list[E]:
        """See `Reader`."""
        if self._scopes.ready is not self._scope:
            await self._scopes.turn(self._scope)
        try:
            return await self._work.find(select)
        except _ENDING as error:
            self._ended_by(error)
            raise
