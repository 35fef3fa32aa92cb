"""Where calls read and write: each its own transaction, or all of them one."""

from __future__ import annotations

import random
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar, cast

from holdfast.errors import ConflictError
from holdfast.records.driver_requests import Update
from holdfast.records.drivers.dynamodb.clash_retries import clashed
from holdfast.records.drivers.dynamodb.commit_request import commit
from holdfast.records.drivers.dynamodb.dynamodb_executor import DynamoDBExecutor, DynamoDBReading
from holdfast.records.drivers.dynamodb.item_reader import LARGEST_WRITE
from holdfast.records.drivers.dynamodb.native_writes import (
    NotNative,
    native_delete,
    native_insert,
    native_patch,
    native_replace,
)
from holdfast.records.drivers.dynamodb.numbering import numbered
from holdfast.records.drivers.dynamodb.row_batches import find_batch, find_behind
from holdfast.records.drivers.dynamodb.unit_of_work import Clash, UnitOfWork, too_many
from holdfast.records.expressions.predicates import all_of
from holdfast.records.rows.row_key import has_key
from holdfast.records.rows.row_rules import duplicate
from holdfast.records.transactions.session import VerbSession
from holdfast.records.write_order import at_its_place

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from holdfast.offload import Lock
    from holdfast.records.driver_requests import Select, Taking
    from holdfast.records.drivers.dynamodb.clash_retries import ClashRetries
    from holdfast.records.drivers.dynamodb.item_reader import ItemReader
    from holdfast.records.entities.model import Model, Row
    from holdfast.records.expressions.predicates import Predicate

E = TypeVar("E")
T = TypeVar("T")
P = ParamSpec("P")

_SPREAD = 16  # times the rows that are wanted, among which who was too late looks for others


class DynamoDBSession(VerbSession[DynamoDBExecutor]):
    """Each call is a transaction of its own; of one row and no other item, one plain request."""

    executor = DynamoDBExecutor
    keeps_verbs = True

    def __init__(self, reader: ItemReader, retries: ClashRetries) -> None:
        self._reader = reader
        self._retries = retries

    async def read(
        self,
        verb: Callable[Concatenate[DynamoDBExecutor, P], Awaitable[T]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Return what *verb* returns, of the rows as the store has them."""
        reading = DynamoDBReading(self._reader)
        return await verb(cast("DynamoDBExecutor", reading), *args, **kwargs)

    async def find_batch(self, select: Select[E], place: object) -> tuple[list[E], object]:
        """See `BatchReader`."""
        return await find_batch(self._reader, select, place)

    async def find_behind(self, select: Select[E], key: object) -> list[E]:
        """See `BatchReader`."""
        return await find_behind(self._reader, select, key)

    async def write(
        self,
        verb: Callable[Concatenate[DynamoDBExecutor, P], Awaitable[T]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Return what *verb* returns, written."""

        async def work(unit: UnitOfWork) -> T:
            return await verb(DynamoDBExecutor(self._reader, unit), *args, **kwargs)

        return await self._retries.attempt(work)

    async def insert(
        self, model: Model[E], rows: Sequence[Row], *, atomic: bool
    ) -> list[Row | ConflictError]:
        """See `Writer`: rows are sent unread, and looked at when the service refuses some."""
        known = cast("Model[object]", model)
        if atomic and len(rows) > LARGEST_WRITE:
            raise too_many()
        numbers = await numbered(self._reader, known, rows)
        if atomic or len(rows) == 1:
            return await self._added(known, numbers, atomic=atomic)
        results: list[Row | ConflictError] = []
        size = max(1, LARGEST_WRITE // (1 + len(model.all_uniques) + len(model.references)))
        for at in range(0, len(numbers), size):
            part = await self._added(known, numbers[at : at + size], atomic=False)
            places = range(at, at + size)
            results += [
                at_its_place(each, places) if isinstance(each, ConflictError) else each
                for each in part
            ]
        return results

    async def replace(self, model: Model[E], row: Row, expected: int | None) -> E | None:
        """See `Writer`."""
        with suppress(NotNative):
            return await native_replace(self._reader, model, row, expected)
        return await self.write(DynamoDBExecutor.replace, model, row, expected)

    async def patch(self, update: Update[E]) -> E | None:
        """See `Writer`."""
        with suppress(NotNative):
            return await native_patch(self._reader, update)
        return await self.write(DynamoDBExecutor.patch, update)

    async def take(self, taking: Taking[E]) -> list[E]:
        """See `TakingWriter`: each row by a write of its own, which others may be quicker with."""
        return [entity for each in taking.each() for entity in await self._take(each)]

    async def _take(self, taking: Taking[E]) -> list[E]:
        update = taking.update
        model = cast("Model[object]", update.model)
        found: list[E] = []
        tried: set[object] = set()
        finder = DynamoDBReading(self._reader).finder

        async def taken(key: object) -> E | None:
            where = all_of((has_key(model, key), update.where))
            return await self.patch(Update(update.model, where, update.changes))

        while (wanted := taking.limit - len(found)) > 0:
            others = len(tried) > len(found)  # were quicker: go out of each other's way
            ahead = wanted * _SPREAD if others else wanted
            select = replace(taking.select(None), limit=len(tried) + ahead)
            keys = [model.key_of(row) for row in await finder.rows(select)]
            new = [key for key in keys if key not in tried]
            if not new:
                break
            if others:
                random.shuffle(new)
            new = new[:wanted]
            tried.update(new)
            outcomes = await self._reader.at_once([partial(taken, key) for key in new])
            found += [entity for entity in outcomes if entity is not None]
        return found

    async def delete(self, model: Model[E], where: Predicate) -> int:
        """See `Writer`."""
        with suppress(NotNative):
            return await native_delete(self._reader, model, where)
        return await self.write(DynamoDBExecutor.delete, model, where)

    async def _added(
        self, model: Model[object], rows: Sequence[Row], *, atomic: bool
    ) -> list[Row | ConflictError]:
        if len(rows) == 1:
            with suppress(NotNative):
                if await native_insert(self._reader, model, rows[0]):
                    return [rows[0]]
                conflict = duplicate(model, model.key_unique)
                if atomic:
                    raise conflict
                return [conflict]
        # Where rows expire, a guard that is there may be nobody's.
        assumes = self._reader.layout(model).expires is None
        unit = UnitOfWork(self._reader, assumes=assumes)
        try:
            added = await DynamoDBExecutor(self._reader, unit).add(model, rows, atomic=True)
            await commit(unit)
        except ConflictError as conflict:
            if len(rows) == 1:
                if atomic:
                    raise
                return [conflict]
        except Clash:
            self._retries.clashes += 1
        else:
            return added

        async def work(careful: UnitOfWork) -> list[Row | ConflictError]:
            executor = DynamoDBExecutor(self._reader, careful)
            return await executor.add(model, rows, atomic=atomic)

        return await self._retries.attempt(work)


class DynamoDBTransaction(VerbSession[DynamoDBExecutor]):
    """All calls are one unit of work, which is written when it commits."""

    executor = DynamoDBExecutor

    def __init__(self, unit: UnitOfWork, turns: Lock) -> None:
        self._unit = unit
        self._turns = turns
        self._marks: list[int] = []
        self._clash: Clash | None = None

    async def read(
        self,
        verb: Callable[Concatenate[DynamoDBExecutor, P], Awaitable[T]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Return what *verb* returns, of the rows as this transaction sees them."""
        async with self._turn():
            executor = DynamoDBExecutor(self._unit.reader, self._unit)
            return await verb(executor, *args, **kwargs)

    async def write(
        self,
        verb: Callable[Concatenate[DynamoDBExecutor, P], Awaitable[T]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Return what *verb* returns, gathered in this transaction."""
        async with self._turn():
            mark = self._unit.mark()
            executor = DynamoDBExecutor(self._unit.reader, self._unit)
            try:
                return await verb(executor, *args, **kwargs)
            except BaseException:
                self._unit.undo(mark)
                raise

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Keep other calls out. Raises SerializationError, from the first clash to the end."""
        await self._turns.acquire()
        try:
            if self._clash is not None:
                raise clashed(self._clash)
            yield
        except Clash as clash:
            self._clash = clash
            raise clashed(clash) from clash
        finally:
            self._turns.release()

    async def commit(self) -> None:
        """See `DriverTransaction`. Raises SerializationError, and then nothing was written."""
        async with self._turn():
            await commit(self._unit)

    async def rollback(self) -> None:
        """See `DriverTransaction`: nothing was written."""

    async def savepoint(self) -> None:
        """See `DriverTransaction`."""
        async with self._turn():
            self._marks.append(self._unit.mark())

    async def release(self) -> None:
        """See `DriverTransaction`."""
        self._marks.pop()

    async def rollback_to(self) -> None:
        """See `DriverTransaction`."""
        self._unit.undo(self._marks.pop())
