"""The verbs on one connection to a server, awaited; under a blocking driver they never suspend."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, TypeVar

from holdfast.errors import ConflictError
from holdfast.records.drivers.sql.conflict_lookup import overflow
from holdfast.records.drivers.sql.server_reader import ServerSession

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from holdfast.records.driver import AggregateQuery, Select, Update, Values
    from holdfast.records.drivers.sql.dialect import Codec
    from holdfast.records.model import Model, Row
    from holdfast.records.query import Column, Predicate

E = TypeVar("E")
T = TypeVar("T")
Part: TypeAlias = "tuple[Sequence[Row], Sequence[Sequence[object]]]"
"""Rows, and the same encoded."""


class ServerExecutor(ServerSession):
    """Reads and writes through one connection. What writes natively differs by database."""

    conflicts: tuple[str, ...] = ("duplicate", "foreign key")
    """The meanings of a failure that one of the rows is to blame for."""

    # --- reading ----------------------------------------------------------------------------

    async def get(self, model: Model[E], key: object) -> E | None:
        prepared = self.catalogue.writes(model)
        found = await self.fetch(model, prepared.get.sql, (prepared.key(key),))
        return prepared.hydrate(found)[0] if found else None

    async def find(self, select: Select[E]) -> list[E]:
        sql, values = self.catalogue.statements.select(select)
        found = await self.fetch(select.model, sql, values)
        return self.catalogue.writes(select.model).hydrate(found)

    async def values(self, select: Select[E], columns: tuple[Column, ...]) -> list[Values]:
        statements = self.catalogue.statements
        sql, values = statements.select(select, columns)
        decoders = [statements.dialect.decoder(column.spec) for column in columns]
        return _decoded(await self.fetch(select.model, sql, values), decoders)

    async def aggregate(self, query: AggregateQuery[E]) -> list[Values]:
        statements = self.catalogue.statements
        sql, values = statements.aggregate(query)
        decoders = [statements.dialect.decoder(column.spec) for column in query.by]
        decoders += [statements.dialect.figure_decoder(figure) for figure in query.aggregates]
        return _decoded(await self.fetch(query.model, sql, values), decoders)

    # --- writing ----------------------------------------------------------------------------

    async def insert(
        self, model: Model[E], rows: Sequence[Row], *, atomic: bool
    ) -> list[Row | ConflictError]:
        if len(rows) == 1:
            return [await self.insert_one(model, rows[0], None, atomic=atomic)]

        async def one_by_one() -> list[Row | ConflictError]:
            return [
                await self.insert_one(model, row, index, atomic=atomic)
                for index, row in enumerate(rows)
            ]

        at = model.key.position
        if len({row[at] is None for row in rows}) > 1:  # keys given and keys to number
            return await self.written(one_by_one, several=True)
        parts = self.parts(model, rows)

        async def at_once() -> list[Row | ConflictError]:
            return [row for part in parts for row in await self.insert_many(model, *part)]

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
            if self.kind(error) not in self.conflicts:
                raise self.classified(error, model) from error
        return await self.written(one_by_one, several=True)

    def parts(self, model: Model[E], rows: Sequence[Row]) -> Sequence[Part]:
        """Return *rows* in parts of which each fits into a statement."""
        encode = self.catalogue.writes(model).encode
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
            refused = await self.refused_row(model, error, row, index)
            if atomic or not isinstance(refused, ConflictError):
                raise refused from error
            return refused

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
        raise NotImplementedError

    async def patch(self, update: Update[E]) -> E | None:
        raise NotImplementedError

    async def upsert(
        self, model: Model[E], rows: Sequence[Row], on: tuple[str, ...]
    ) -> list[tuple[E, bool]]:
        raise NotImplementedError

    async def update(self, update: Update[E]) -> int:
        sql, values = self.catalogue.statements.update(update, returning=False)

        async def work() -> int:
            try:
                return await self._execute(sql, values)
            except Exception as error:
                raise await self.refused_update(update, error) from error

        return await self.written(work, several=False)

    async def delete(self, model: Model[E], where: Predicate) -> int:
        sql, values = self.catalogue.statements.delete(model, where)

        async def work() -> int:
            try:
                return await self._execute(sql, values)
            except Exception as error:
                raise await self.refused_deletion(model, where, error) from error

        return await self.written(work, several=False)

    # --- what went wrong --------------------------------------------------------------------

    async def refused_row(
        self, model: Model[E], error: Exception, row: Row, index: int | None
    ) -> Exception:
        """Return what kept *row* out."""
        raise NotImplementedError

    async def refused_update(self, update: Update[E], error: Exception) -> Exception:
        if self.kind(error) == "overflow":
            return overflow(update)
        return await self.refused_change(update, error)

    async def refused_change(self, update: Update[E], error: Exception) -> Exception:
        raise NotImplementedError

    async def refused_deletion(
        self, model: Model[E], where: Predicate, error: Exception
    ) -> Exception:
        raise NotImplementedError


def _decoded(found: Sequence[Sequence[object]], decoders: Sequence[Codec]) -> list[Values]:
    return [
        tuple(
            value if decode is None or value is None else decode(value)
            for value, decode in zip(row, decoders, strict=True)
        )
        for row in found
    ]
