"""What a repository can be asked for besides entities: values, and aggregates over them."""

from __future__ import annotations

from itertools import chain
from math import isfinite
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from holdfast.errors import InvalidQueryError, InvalidValueError
from holdfast.records import validation
from holdfast.records.driver_requests import Select
from holdfast.records.grouping import Grouping, aggregate_query, distinct_query
from holdfast.records.rows.hydration import loaded
from holdfast.records.rows.result_rows import maker_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from holdfast.records.argument_types import (
        AggregateArgument,
        AnyAggregate,
        AnyGroupOrder,
        AnyValue,
        Condition,
        Ordering,
        ValueArgument,
    )
    from holdfast.records.driver import Session, Values
    from holdfast.records.entities.model import Model as EntityModel
    from holdfast.records.rows.result_rows import PydanticModel

E = TypeVar("E")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
K = TypeVar("K")
R = TypeVar("R")
Model = TypeVar("Model", bound="PydanticModel")


class ValueReads(Generic[E]):
    """The verbs that return values of entities of one kind, and not the entities."""

    model: EntityModel[E]

    @overload
    async def select(
        self,
        *fields: AnyValue[E],
        where: Condition[E] | Sequence[Condition[E]] = (),
        order_by: Ordering[E] | Sequence[Ordering[E]] = (),
        limit: int | None = None,
        offset: int = 0,
        distinct: bool = False,
        into: type[Model],
    ) -> list[Model]: ...
    @overload
    async def select(
        self,
        first: ValueArgument[A, E],
        /,
        *,
        where: Condition[E] | Sequence[Condition[E]] = (),
        order_by: Ordering[E] | Sequence[Ordering[E]] = (),
        limit: int | None = None,
        offset: int = 0,
        distinct: bool = False,
        into: None = None,
    ) -> list[tuple[A]]: ...
    @overload
    async def select(
        self,
        first: ValueArgument[A, E],
        /,
        *,
        where: Condition[E] | Sequence[Condition[E]] = (),
        order_by: Ordering[E] | Sequence[Ordering[E]] = (),
        limit: int | None = None,
        offset: int = 0,
        distinct: bool = False,
        into: Callable[[A], R],
    ) -> list[R]: ...
    @overload
    async def select(
        self,
        first: ValueArgument[A, E],
        second: ValueArgument[B, E],
        /,
        *,
        where: Condition[E] | Sequence[Condition[E]] = (),
        order_by: Ordering[E] | Sequence[Ordering[E]] = (),
        limit: int | None = None,
        offset: int = 0,
        distinct: bool = False,
        into: None = None,
    ) -> list[tuple[A, B]]: ...
    @overload
    async def select(
        self,
        first: ValueArgument[A, E],
        second: ValueArgument[B, E],
        /,
        *,
        where: Condition[E] | Sequence[Condition[E]] = (),
        order_by: Ordering[E] | Sequence[Ordering[E]] = (),
        limit: int | None = None,
        offset: int = 0,
        distinct: bool = False,
        into: Callable[[A, B], R],
    ) -> list[R]: ...
    @overload
    async def select(
        self,
        first: ValueArgument[A, E],
        second: ValueArgument[B, E],
        third: ValueArgument[C, E],
        /,
        *,
        where: Condition[E] | Sequence[Condition[E]] = (),
        order_by: Ordering[E] | Sequence[Ordering[E]] = (),
        limit: int | None = None,
        offset: int = 0,
        distinct: bool = False,
        into: None = None,
    ) -> list[tuple[A, B, C]]: ...
    @overload
    async def select(
        self,
        first: ValueArgument[A, E],
        second: ValueArgument[B, E],
        third: ValueArgument[C, E],
        /,
        *,
        where: Condition[E] | Sequence[Condition[E]] = (),
        order_by: Ordering[E] | Sequence[Ordering[E]] = (),
        limit: int | None = None,
        offset: int = 0,
        distinct: bool = False,
        into: Callable[[A, B, C], R],
    ) -> list[R]: ...
    @overload
    async def select(
        self,
        first: ValueArgument[A, E],
        second: ValueArgument[B, E],
        third: ValueArgument[C, E],
        fourth: ValueArgument[D, E],
        /,
        *,
        where: Condition[E] | Sequence[Condition[E]] = (),
        order_by: Ordering[E] | Sequence[Ordering[E]] = (),
        limit: int | None = None,
        offset: int = 0,
        distinct: bool = False,
        into: None = None,
    ) -> list[tuple[A, B, C, D]]: ...
    @overload
    async def select(
        self,
        first: ValueArgument[A, E],
        second: ValueArgument[B, E],
        third: ValueArgument[C, E],
        fourth: ValueArgument[D, E],
        /,
        *,
        where: Condition[E] | Sequence[Condition[E]] = (),
        order_by: Ordering[E] | Sequence[Ordering[E]] = (),
        limit: int | None = None,
        offset: int = 0,
        distinct: bool = False,
        into: Callable[[A, B, C, D], R],
    ) -> list[R]: ...
    @overload
    async def select(
        self,
        first: AnyValue[E],
        second: AnyValue[E],
        third: AnyValue[E],
        fourth: AnyValue[E],
        fifth: AnyValue[E],
        /,
        *more: AnyValue[E],
        where: Condition[E] | Sequence[Condition[E]] = (),
        order_by: Ordering[E] | Sequence[Ordering[E]] = (),
        limit: int | None = None,
        offset: int = 0,
        distinct: bool = False,
        into: Callable[..., R],
    ) -> list[R]: ...
    @overload
    async def select(
        self,
        *fields: AnyValue[E],
        where: Condition[E] | Sequence[Condition[E]] = (),
        order_by: Ordering[E] | Sequence[Ordering[E]] = (),
        limit: int | None = None,
        offset: int = 0,
        distinct: bool = False,
        into: None = None,
    ) -> list[tuple[object, ...]]: ...
    async def select(
        self,
        *fields: AnyValue[E],
        where: Condition[E] | Sequence[Condition[E]] = (),
        order_by: Ordering[E] | Sequence[Ordering[E]] = (),
        limit: int | None = None,
        offset: int = 0,
        distinct: bool = False,
        into: Callable[..., object] | None = None,
    ) -> Any:
        """Return a tuple of the values of *fields* for each that fits, fetching nothing else.

        A field may be one of what a reference leads to, or an aggregate of a relation:
        `Project.videos.count()`. With *distinct* each different tuple once, along *order_by*, which
        then names some of *fields*, and then by all of them. *into* is called with the values, in
        the order of *fields*, and what it returns takes the place of the tuple: a dataclass, a
        named tuple, a function; a pydantic model takes them by its fields' names, in their order.

        Raises InvalidQueryError when *into* can't be called with as many values, and
        InvalidValueError for a sum of floats that no float can hold.
        """
        wanted = validation.value_columns(self.model, fields)
        if not wanted:
            raise InvalidQueryError("no fields: expected such as Video.id, Video.title")
        make = None if into is None else maker_of(into, [repr(each) for each in wanted])
        if distinct:
            query = distinct_query(
                self.model, wanted, where=where, order_by=order_by, limit=limit, offset=offset
            )
            rows = await self._session.aggregate(query)
        else:
            select = Select(
                self.model,
                validation.condition(self.model, validation.one_or_several(where)),
                validation.total_order(self.model, order_by),
                validation.count("limit", limit),
                validation.count("offset", offset) or 0,
            )
            rows = await self._session.values(select, wanted)
        self._check_finite(rows)
        found = loaded(self.model, rows, [column.spec for column in wanted])
        return found if make is None else [make(row) for row in found]

    @overload
    async def aggregate(
        self,
        first: AggregateArgument[A],
        /,
        *,
        where: Condition[E] | Sequence[Condition[E]] = (),
    ) -> list[tuple[A]]: ...
    @overload
    async def aggregate(
        self,
        first: AggregateArgument[A],
        second: AggregateArgument[B],
        /,
        *,
        where: Condition[E] | Sequence[Condition[E]] = (),
    ) -> list[tuple[A, B]]: ...
    @overload
    async def aggregate(
        self,
        first: AggregateArgument[A],
        second: AggregateArgument[B],
        third: AggregateArgument[C],
        /,
        *,
        where: Condition[E] | Sequence[Condition[E]] = (),
    ) -> list[tuple[A, B, C]]: ...
    @overload
    async def aggregate(
        self,
        first: AggregateArgument[A],
        second: AggregateArgument[B],
        third: AggregateArgument[C],
        fourth: AggregateArgument[D],
        /,
        *,
        where: Condition[E] | Sequence[Condition[E]] = (),
    ) -> list[tuple[A, B, C, D]]: ...
    @overload
    async def aggregate(
        self,
        first: AggregateArgument[A],
        /,
        *,
        where: Condition[E] | Sequence[Condition[E]] = (),
        by: ValueArgument[K, E],
        having: Condition[E] | Sequence[Condition[E]] = (),
        order_by: AnyGroupOrder[E] | Sequence[AnyGroupOrder[E]] = (),
        limit: int | None = None,
    ) -> list[tuple[K, A]]: ...
    @overload
    async def aggregate(
        self,
        first: AggregateArgument[A],
        second: AggregateArgument[B],
        /,
        *,
        where: Condition[E] | Sequence[Condition[E]] = (),
        by: ValueArgument[K, E],
        having: Condition[E] | Sequence[Condition[E]] = (),
        order_by: AnyGroupOrder[E] | Sequence[AnyGroupOrder[E]] = (),
        limit: int | None = None,
    ) -> list[tuple[K, A, B]]: ...
    @overload
    async def aggregate(
        self,
        first: AggregateArgument[A],
        second: AggregateArgument[B],
        third: AggregateArgument[C],
        /,
        *,
        where: Condition[E] | Sequence[Condition[E]] = (),
        by: ValueArgument[K, E],
        having: Condition[E] | Sequence[Condition[E]] = (),
        order_by: AnyGroupOrder[E] | Sequence[AnyGroupOrder[E]] = (),
        limit: int | None = None,
    ) -> list[tuple[K, A, B, C]]: ...
    @overload
    async def aggregate(
        self,
        *aggregates: AnyAggregate,
        where: Condition[E] | Sequence[Condition[E]] = (),
        by: AnyValue[E] | Sequence[AnyValue[E]] = (),
        having: Condition[E] | Sequence[Condition[E]] = (),
        order_by: AnyGroupOrder[E] | Sequence[AnyGroupOrder[E]] = (),
        limit: int | None = None,
    ) -> list[tuple[object, ...]]: ...
    async def aggregate(
        self,
        *aggregates: AnyAggregate,
        where: Condition[E] | Sequence[Condition[E]] = (),
        by: AnyValue[E] | Sequence[AnyValue[E]] = (),
        having: Condition[E] | Sequence[Condition[E]] = (),
        order_by: AnyGroupOrder[E] | Sequence[AnyGroupOrder[E]] = (),
        limit: int | None = None,
    ) -> Any:
        """Return aggregates over what fits, as `Video.duration.sum()` and `count()` say them.

        A row for each value of *by* that is there: first the values, then the aggregates. They come
        along *order_by*, by values and aggregates, then in the order of the values, nulls last;
        those alone that fit *having*, and at most *limit*. Without *by* there is one row. Nulls
        don't count; an aggregate of no values is None, a count 0. Sums of integers, decimals and
        durations are exact; a sum of floats that no float can hold raises InvalidValueError;
        MariaDB and MySQL can't tell. Raises InvalidQueryError, and UnsupportedError for a
        percentile where the backend has none.
        """
        grouping = Grouping(by, having, order_by, limit)
        query, asked = aggregate_query(self.model, aggregates, where, grouping)
        rows = await self._session.aggregate(query)
        self._check_finite(rows)
        kinds = [each.spec for each in (*query.by, *query.aggregates)]
        found = loaded(self.model, rows, kinds)
        return found if asked == len(kinds) else [row[:asked] for row in found]

    def _check_finite(self, rows: Sequence[Values]) -> None:
        for value in chain.from_iterable(rows):
            if isinstance(value, float) and not isfinite(value):
                raise InvalidValueError(self.model.name, "sum", "it is too large for a float")

    @property
    def _session(self) -> Session:
        raise NotImplementedError
