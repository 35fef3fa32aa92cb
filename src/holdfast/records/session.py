"""Sessions made of blocking verbs: how a driver that works in plain functions is awaited."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from holdfast.errors import ConflictError
    from holdfast.records.driver import AggregateQuery, Select, Update, Values
    from holdfast.records.model import Model, Row
    from holdfast.records.query import Column, Predicate

E = TypeVar("E")
T = TypeVar("T")


class Verbs(Protocol):
    """`Reader` and `Writer` (see `driver.py`) as plain functions."""

    def get(self, model: Model[E], key: object) -> E | None: ...
    def find(self, select: Select[E]) -> list[E]: ...
    def values(self, select: Select[E], columns: tuple[Column, ...]) -> list[Values]: ...
    def aggregate(self, query: AggregateQuery[E]) -> list[Values]: ...
    def insert(
        self, model: Model[E], rows: Sequence[Row], *, atomic: bool
    ) -> list[Row | ConflictError]: ...
    def replace(self, model: Model[E], row: Row, expected: int | None) -> E | None: ...
    def patch(self, update: Update[E]) -> E | None: ...
    def update(self, update: Update[E]) -> int: ...
    def upsert(
        self, model: Model[E], rows: Sequence[Row], on: tuple[str, ...]
    ) -> list[tuple[E, bool]]: ...
    def delete(self, model: Model[E], where: Predicate) -> int: ...


V = TypeVar("V", bound=Verbs)


class VerbSession(Generic[V]):
    """A session whose subclass says where reads and writes run."""

    async def read(self, work: Callable[[V], T]) -> T:
        raise NotImplementedError

    async def write(self, work: Callable[[V], T]) -> T:
        raise NotImplementedError

    async def write_one(self, work: Callable[[V], T]) -> T:
        """Do *work*, which changes rows with one statement at the most."""
        return await self.write(work)

    async def get(self, model: Model[E], key: object) -> E | None:
        return await self.read(lambda verbs: verbs.get(model, key))

    async def find(self, select: Select[E]) -> list[E]:
        return await self.read(lambda verbs: verbs.find(select))

    async def values(self, select: Select[E], columns: tuple[Column, ...]) -> list[Values]:
        return await self.read(lambda verbs: verbs.values(select, columns))

    async def aggregate(self, query: AggregateQuery[E]) -> list[Values]:
        return await self.read(lambda verbs: verbs.aggregate(query))

    async def insert(
        self, model: Model[E], rows: Sequence[Row], *, atomic: bool
    ) -> list[Row | ConflictError]:
        write = self.write_one if atomic and len(rows) == 1 else self.write
        return await write(lambda verbs: verbs.insert(model, rows, atomic=atomic))

    async def replace(self, model: Model[E], row: Row, expected: int | None) -> E | None:
        return await self.write_one(lambda verbs: verbs.replace(model, row, expected))

    async def patch(self, update: Update[E]) -> E | None:
        return await self.write_one(lambda verbs: verbs.patch(update))

    async def update(self, update: Update[E]) -> int:
        return await self.write_one(lambda verbs: verbs.update(update))

    async def upsert(
        self, model: Model[E], rows: Sequence[Row], on: tuple[str, ...]
    ) -> list[tuple[E, bool]]:
        return await self.write(lambda verbs: verbs.upsert(model, rows, on))

    async def delete(self, model: Model[E], where: Predicate) -> int:
        return await self.write_one(lambda verbs: verbs.delete(model, where))
