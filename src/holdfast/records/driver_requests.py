"""What a driver is asked for, as data: rows that fit, aggregates, changes, transactions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

from holdfast.records.expressions.predicates import Everything, Order, Predicate, all_of

if TYPE_CHECKING:
    from holdfast.records.entities.model import Model
    from holdfast.records.expressions.field_changes import Change
    from holdfast.records.expressions.operands import Aggregate, Column, ValueColumn

E = TypeVar("E")

Isolation = Literal["read committed", "repeatable read", "serializable"]
"""How far a transaction is kept apart from others at the same time."""
RowLock = Literal["update"]
"""How a read holds the rows that it returns, until its transaction ends: as a change would."""


@dataclass(frozen=True, slots=True)
class Groups:
    """The rows that have one of *values* in *column*, those with the same value as a group."""

    column: Column
    values: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Select(Generic[E]):
    """Rows that fit *where*, along *order*, which is total; at most *limit*, after *offset*.

    With *groups*, those of the groups alone, at most *limit* of each; such a select has neither an
    offset nor a lock. With *lock* they are held for the transaction, a "share" of them beside
    others who only share; *skip_locked* leaves out those that others hold, instead of waiting for
    them.

    Holdfast itself asks a store without ROW_LOCKS for "update" too. Where the writers of a store
    take turns there is nothing to do for it; where they meet at their commits, of two transactions
    that hold one row, and write, one fails with SerializationError.
    """

    model: Model[E]
    where: Predicate = Everything()  # noqa: RUF009 - it is frozen
    order: tuple[Order, ...] = ()
    limit: int | None = None
    offset: int = 0
    lock: RowLock | Literal["share"] | None = None
    skip_locked: bool = False
    groups: Groups | None = None


@dataclass(frozen=True, slots=True)
class AggregateQuery(Generic[E]):
    """Aggregates over the rows of *model* that fit *where*, a result row for each value of *by*.

    A result row holds the values of *by*, then the aggregates. Without *by* there is one row.
    Those that fit *having* come along *order*, which is total, at most *limit* after *offset*; both
    are about `GroupValue`s.
    """

    model: Model[E]
    aggregates: tuple[Aggregate, ...]
    where: Predicate = Everything()  # noqa: RUF009 - it is frozen
    by: tuple[ValueColumn, ...] = ()
    having: Predicate = Everything()  # noqa: RUF009 - it is frozen
    order: tuple[Order, ...] = ()
    limit: int | None = None
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Update(Generic[E]):
    """*changes* to every row that fits *where*, all computed of the row as it was before."""

    model: Model[E]
    where: Predicate
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Taking(Generic[E]):
    """*update* of the first *limit* rows along *order*, of those that nobody else holds.

    With *parts*, of the first so many that fit each of their conditions too; none is empty.
    """

    update: Update[E]
    order: tuple[Order, ...]
    limit: int
    parts: tuple[tuple[Predicate, int], ...] = ()

    def each(self) -> list[Taking[E]]:
        """Return it as takings without parts, which together do the same."""
        if not self.parts:
            return [self]
        update = self.update
        return [
            Taking(replace(update, where=all_of((update.where, where))), self.order, limit)
            for where, limit in self.parts
        ]

    def select(self, lock: RowLock | None) -> Select[E]:
        """Return the search for these rows; with *lock* they are held, and held ones left out."""
        return Select(
            self.update.model,
            self.update.where,
            self.order,
            self.limit,
            lock=lock,
            skip_locked=lock is not None,
        )


@dataclass(frozen=True, slots=True)
class TransactionOptions:
    """What a transaction asks for; a backend gives at least this isolation, or refuses."""

    isolation: Isolation | None = None
    read_only: bool = False
    may_lag: bool = False
    """A replica may answer, which may not have yet what others wrote."""
