"""Figures over rows, by the values that they share: what `aggregate` means, said in Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, assert_never, cast

from holdfast.records.evaluate import mean, plus, reader

if TYPE_CHECKING:
    from collections.abc import Iterable

    from holdfast.records.driver import AggregateQuery, Values
    from holdfast.records.evaluate import Follow
    from holdfast.records.model import Row
    from holdfast.records.query import Aggregate

E = TypeVar("E")


def aggregate_rows(rows: Iterable[Row], query: AggregateQuery[E], follow: Follow) -> list[Values]:
    """Return a tuple for each group of *rows*, which all fit the query, in the groups' order."""
    groups: dict[Values, list[Row]] = {} if query.by else {(): []}
    readers = [reader(column, follow) for column in query.by]
    for row in rows:
        groups.setdefault(tuple(read(row) for read in readers), []).append(row)
    return [
        (*group, *(_figure(figure, groups[group]) for figure in query.aggregates))
        for group in sorted(groups, key=_nulls_last)
    ]


def _figure(figure: Aggregate, rows: list[Row]) -> object:
    if figure.operand is None:
        return len(rows)
    at = figure.operand.spec.position
    values = [row[at] for row in rows if row[at] is not None]
    match figure.function:
        case "count":
            return len(values)
        case "min":
            return min(cast("list[int]", values), default=None)
        case "max":
            return max(cast("list[int]", values), default=None)
        case "sum":
            return _total(values) if values else None
        case "avg":
            return mean(_total(values), len(values)) if values else None
        case _:
            assert_never(figure.function)


def _total(values: list[object]) -> object:
    total = values[0]
    for value in values[1:]:
        total = plus(total, value)
    return total


def _nulls_last(group: Values) -> tuple[tuple[bool, object], ...]:
    return tuple((value is None, 0 if value is None else value) for value in group)
