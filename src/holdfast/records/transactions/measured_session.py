"""A session whose verbs are counted, timed and put into spans, where somebody asks for that."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.errors import ConflictError
    from holdfast.records.driver import (
        BatchReader,
        ChangeRecord,
        NumberGiver,
        RecordingWriter,
        Session,
        TakingWriter,
        Values,
    )
    from holdfast.records.driver_requests import AggregateQuery, Select, Taking, Update
    from holdfast.records.entities.model import Model, Row
    from holdfast.records.expressions.operands import ValueColumn
    from holdfast.records.expressions.predicates import Predicate
    from holdfast.records.values.field_spec import FieldSpec
    from holdfast.stats import OperationRecorder

E = TypeVar("E")


class MeasuredSession:
    """Passes each verb on to *session*, and tells *recorder* of it by its name and its table."""

    __slots__ = ("_session", "_timed")

    def __init__(self, session: Session, recorder: OperationRecorder) -> None:
        self._session = session
        self._timed = recorder.timed

    async def get(self, model: Model[E], key: object) -> E | None:
        """See `Reader`."""
        call = self._session.get(model, key)
        return await self._timed("get", call, on=model.table)

    async def find(self, select: Select[E]) -> list[E]:
        """See `Reader`."""
        return await self._timed("find", self._session.find(select), on=select.model.table)

    async def find_batch(self, select: Select[E], place: object) -> tuple[list[E], object]:
        """See `BatchReader`."""
        call = cast("BatchReader", self._session).find_batch(select, place)
        return await self._timed("find", call, on=select.model.table)

    async def find_behind(self, select: Select[E], key: object) -> list[E]:
        """See `BatchReader`."""
        call = cast("BatchReader", self._session).find_behind(select, key)
        return await self._timed("find", call, on=select.model.table)

    async def values(self, select: Select[E], columns: tuple[ValueColumn, ...]) -> list[Values]:
        """See `Reader`."""
        call = self._session.values(select, columns)
        return await self._timed("values", call, on=select.model.table)

    async def aggregate(self, query: AggregateQuery[E]) -> list[Values]:
        """See `Reader`."""
        return await self._timed("aggregate", self._session.aggregate(query), on=query.model.table)

    async def insert(
        self, model: Model[E], rows: Sequence[Row], *, atomic: bool
    ) -> list[Row | ConflictError]:
        """See `Writer`."""
        call = self._session.insert(model, rows, atomic=atomic)
        return await self._timed("insert", call, on=model.table)

    async def replace(self, model: Model[E], row: Row, expected: int | None) -> E | None:
        """See `Writer`."""
        call = self._session.replace(model, row, expected)
        return await self._timed("replace", call, on=model.table)

    async def patch(self, update: Update[E]) -> E | None:
        """See `Writer`."""
        call = self._session.patch(update)
        return await self._timed("patch", call, on=update.model.table)

    async def update(self, update: Update[E]) -> int:
        """See `Writer`."""
        return await self._timed("update", self._session.update(update), on=update.model.table)

    async def upsert(
        self, model: Model[E], rows: Sequence[Row], on: tuple[str, ...]
    ) -> list[tuple[E, bool]]:
        """See `Writer`."""
        return await self._timed("upsert", self._session.upsert(model, rows, on), on=model.table)

    async def delete(self, model: Model[E], where: Predicate) -> int:
        """See `Writer`."""
        return await self._timed("delete", self._session.delete(model, where), on=model.table)

    async def numbers(self, model: Model[E], spec: FieldSpec, count: int) -> list[int]:
        """See `NumberGiver`."""
        call = cast("NumberGiver", self._session).numbers(model, spec, count)
        return await self._timed("numbers", call, on=model.table)

    async def take(self, taking: Taking[E]) -> list[E]:
        """See `TakingWriter`."""
        call = cast("TakingWriter", self._session).take(taking)
        return await self._timed("take", call, on=taking.update.model.table)

    async def replace_recorded(
        self, model: Model[E], row: Row, expected: int | None, record: ChangeRecord
    ) -> E | None:
        """See `RecordingWriter`."""
        writer = cast("RecordingWriter", self._session)
        call = writer.replace_recorded(model, row, expected, record)
        return await self._timed("replace", call, on=model.table)

    async def patch_recorded(self, update: Update[E], record: ChangeRecord) -> E | None:
        """See `RecordingWriter`."""
        writer = cast("RecordingWriter", self._session)
        call = writer.patch_recorded(update, record)
        return await self._timed("patch", call, on=update.model.table)
