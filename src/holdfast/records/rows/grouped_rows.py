"""What an aggregate query means, said once in Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from holdfast.records.rows.evaluate import aggregate_of, fits, reader, sort

if TYPE_CHECKING:
    from collections.abc import Iterable

    from holdfast.records.driver import Values
    from holdfast.records.driver_requests import AggregateQuery
    from holdfast.records.entities.model import Row
    from holdfast.records.rows.evaluate import Follow

E = TypeVar("E")


def grouped(query: AggregateQuery[E], rows: Iterable[Row], follow: Follow) -> list[Values]:
    """Return the result rows of *query* over *rows*, which are those that fit its condition."""
    groups: dict[Values, list[Row]] = {} if query.by else {(): []}
    readers = [reader(column, follow) for column in query.by]
    for row in rows:
        groups.setdefault(tuple(read(row) for read in readers), []).append(row)
    results: list[Values] = [
        (*group, *(aggregate_of(each, members, follow) for each in query.aggregates))
        for group, members in groups.items()
    ]
    holds = fits(query.having, follow)
    ordered = sort(filter(holds, results), query.order, follow)
    return ordered[query.offset : None if query.limit is None else query.offset + query.limit]
