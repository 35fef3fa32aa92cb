"""Rows that a link entity leads to, read with the links that lead there in one query."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.errors import InvalidQueryError
from holdfast.records.driver_requests import Groups, Select
from holdfast.records.entities.model import Model, model_of
from holdfast.records.expressions.operands import Column, RelatedColumn
from holdfast.records.expressions.predicates import (
    Everything,
    In,
    IsNull,
    Not,
    Order,
    Related,
    all_of,
)
from holdfast.records.rows.hydration import from_own_rows
from holdfast.records.validation import condition, count, total_order

if TYPE_CHECKING:
    from holdfast.records.driver import Reader
    from holdfast.records.entities.link_entity import LinkEnds
    from holdfast.records.entities.relation import RelatedRows
    from holdfast.records.expressions.operands import Join
    from holdfast.records.expressions.predicates import Predicate


async def linked_rows(
    reader: Reader, link: LinkEnds, step: Join, keys: set[object], rows: RelatedRows
) -> tuple[dict[object, list[object]], list[object]]:
    """Return by each of *keys* the entities that are linked with it, and all of them, each once.

    *step* leads from a link to what it is linked with. Those of *rows* are wanted, along its order.
    """
    target: Model[object] = model_of(step.target)
    links: Model[object] = model_of(link.entity)
    near, far = Column(links.name, link.near), Column(links.name, link.far)
    where = _behind(step, condition(target, rows.where))
    order = total_order(links, _order_behind(far, step, total_order(target, rows.order)))
    limit = count("limit", rows.limit)
    if link.far.type.nullable:
        where = all_of((Not(IsNull(far)), where))
    if links.living is not None:
        where = all_of((links.living, where))
    groups: dict[object, list[object]] = {key: [] for key in keys}
    if not keys:
        return groups, []
    if limit is None:
        select = Select(links, all_of((In(near, tuple(keys)), where)), order)
    else:
        select = Select(links, where, order, limit, groups=Groups(near, tuple(keys)))
    columns = [RelatedColumn((step,), Column(target.name, spec)) for spec in target.fields]
    found = await reader.values(select, (near, *columns))
    by_key = {target.key_of(row[1:]): row[1:] for row in found}
    entities = dict(zip(by_key, from_own_rows(target)(by_key.values()), strict=True))
    for row in found:
        groups[row[0]].append(entities[target.key_of(row[1:])])
    return groups, list(entities.values())


def _behind(step: Join, where: Predicate) -> Predicate:
    return where if isinstance(where, Everything) else Related(step, where)


def _order_behind(far: Column, step: Join, order: tuple[Order, ...]) -> tuple[Order, ...]:
    """Return *order*, of the rows that *step* leads to by *far*, as one of the links."""
    found: list[Order] = []
    for by in order:
        match by.operand:
            case Column(spec=spec) if spec is model_of(step.target).key:
                operand: Column | RelatedColumn = far
            case Column() as column:
                operand = RelatedColumn((step,), column)
            case RelatedColumn(joins, column):
                operand = RelatedColumn((step, *joins), column)
            case other:
                raise InvalidQueryError(
                    f"rows behind a link are ordered by fields, and not by {other!r}"
                )
        found.append(Order(operand, by.descending, by.first))
    return tuple(found)
