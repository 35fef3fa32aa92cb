"""The first rows of each group: how their keys are found, which is not alike on all databases.

A window function reads and numbers every row of every group. Where a subquery can be made for each
group it reads the few that are wanted, if an index has them in order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from holdfast.records.drivers.sql.dialect import GroupKeys

if TYPE_CHECKING:
    from holdfast.records.drivers.sql.dialect import Expression, GroupLimit

_NONE_LEFT_OUT: Expression = sa.literal_column("0")
"""Said, or SQLAlchemy says it on SQLite by a parameter of its own."""


def keys_by_subquery(groups: GroupLimit, given: sa.FromClause, key: Expression) -> GroupKeys:
    """Return the keys by a subquery in the condition, for each value of *given*."""
    found = _keys_of_one(groups, given.c.value)
    return GroupKeys(given, key.in_(found.correlate(given)))


def keys_by_lateral(groups: GroupLimit, given: sa.FromClause, key: Expression) -> GroupKeys:
    """Return the keys by a lateral join, for each value of *given*."""
    found = _keys_of_one(groups, given.c.value).lateral("holdfast found")
    return GroupKeys(given.join(found, sa.true()), key == found.c.key)


def keys_by_number(groups: GroupLimit, among: Expression, key: Expression) -> GroupKeys:
    """Return the keys by numbering the rows of all groups, whose values are *among* the given."""
    place = sa.func.row_number().over(partition_by=groups.value, order_by=groups.order)
    numbered = sa.select(groups.key.label("key"), place.label("place")).select_from(groups.rows)
    found = numbered.where(among, groups.condition).subquery("holdfast found")
    return GroupKeys(found, sa.and_(key == found.c.key, found.c.place <= groups.limit))


def _keys_of_one(groups: GroupLimit, value: Expression) -> sa.Select[tuple[object]]:
    found = sa.select(groups.key.label("key")).select_from(groups.rows)
    found = found.where(groups.value == value, groups.condition)
    return found.order_by(*groups.order).limit(groups.limit).offset(_NONE_LEFT_OUT)
