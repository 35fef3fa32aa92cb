"""The first rows of each group: how their keys are found, which is not alike on all databases.

A window function reads and numbers every row of every group. Where a subquery can be made for each
group it reads the few that are wanted, if an index has them in order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from holdfast.records.drivers.sql.statements.dialect import GroupKeys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.records.drivers.sql.statements.dialect import Expression, GroupLimit

_NONE_LEFT_OUT: Expression = sa.literal_column("0")
"""Said, or SQLAlchemy says it on SQLite by a parameter of its own."""


def keys_by_subquery(
    groups: GroupLimit, given: sa.FromClause, keys: Sequence[Expression]
) -> GroupKeys:
    """Return the keys by a subquery in the condition, for each value of *given*."""
    found = _keys_of_one(groups, given.c.value).correlate(given)
    key = keys[0] if len(keys) == 1 else sa.tuple_(*keys)
    return GroupKeys(given, key.in_(found))


def keys_by_lateral(
    groups: GroupLimit, given: sa.FromClause, keys: Sequence[Expression]
) -> GroupKeys:
    """Return the keys by a lateral join, for each value of *given*."""
    found = _keys_of_one(groups, given.c.value).lateral("holdfast found")
    return GroupKeys(given.join(found, sa.true()), _same(keys, found))


def keys_by_number(groups: GroupLimit, among: Expression, keys: Sequence[Expression]) -> GroupKeys:
    """Return the keys by numbering the rows of all groups, whose values are *among* the given."""
    place = sa.func.row_number().over(partition_by=groups.value, order_by=groups.order)
    numbered = sa.select(*_labelled(groups), place.label("place")).select_from(groups.rows)
    found = numbered.where(among, groups.condition).subquery("holdfast found")
    return GroupKeys(found, sa.and_(_same(keys, found), found.c.place <= groups.limit))


def _labelled(groups: GroupLimit) -> list[sa.Label[Any]]:
    return [key.label(f"key{at}") for at, key in enumerate(groups.keys)]


def _same(keys: Sequence[Expression], found: sa.FromClause) -> Expression:
    return sa.and_(*(key == found.c[f"key{at}"] for at, key in enumerate(keys)))


def _keys_of_one(groups: GroupLimit, value: Expression) -> sa.Select[Any]:
    found: sa.Select[Any] = sa.select(*_labelled(groups)).select_from(groups.rows)
    found = found.where(groups.value == value, groups.condition)
    return found.order_by(*groups.order).limit(groups.limit).offset(_NONE_LEFT_OUT)
