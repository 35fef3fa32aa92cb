"""Fetching relations: one query per relation and level, whatever the number of entities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from holdfast.errors import InvalidQueryError
from holdfast.records.driver_requests import Groups, Select
from holdfast.records.entities.model import Model, model_of
from holdfast.records.entities.relation import ALL_ROWS, Many, RelatedRows, Relation
from holdfast.records.expressions.operands import Column
from holdfast.records.expressions.predicates import In, all_of
from holdfast.records.linked_rows import linked_rows
from holdfast.records.rows.row_rules import identities
from holdfast.records.validation import condition, count, total_order

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.records.driver import Reader
    from holdfast.records.entities.link_entity import LinkEnds
    from holdfast.records.values.field_spec import FieldSpec


async def load_relations(
    reader: Reader, model: Model[Any], entities: Sequence[object], relations: Sequence[object]
) -> None:
    """Set *relations*, and what is nested in them, on *entities*."""
    wanted = relations if model.adapter is None else model.adapter.arguments.relations(relations)
    seen: dict[str, RelatedRows] = {}
    for relation in wanted:
        if not isinstance(relation, Relation):
            raise InvalidQueryError(f"load= takes relations such as Project.videos: {relation!r}")
        if relation.owner is not model.entity:
            raise InvalidQueryError(f"{relation!r} is not a relation of {model.name}")
        if seen.setdefault(relation.name, relation.rows) != relation.rows:
            raise InvalidQueryError(
                f"load= asks for two parts of {relation!r}, which has room for one: join them by |"
            )
        target: Model[object] = model_of(relation.target)
        link = relation.link if isinstance(relation, Many) else None
        if link is not None:
            found = await _load_linked(reader, model, entities, relation, link)
        elif isinstance(relation, Many):
            found = await _load_many(reader, model, target, entities, relation)
        else:
            found = await _load_one(reader, model, target, entities, relation)
        if relation.nested and found:
            await load_relations(reader, target, found, relation.nested)


async def _load_one(
    reader: Reader,
    model: Model[object],
    target: Model[object],
    entities: Sequence[object],
    relation: Relation,
) -> list[object]:
    via = reference(model, relation)
    keys = {entity.__dict__[via.name] for entity in entities} - {None}
    found = await _fetch(reader, target, Column(target.name, target.key), keys, ALL_ROWS)
    by_key = {entity.__dict__[target.key.name]: entity for entity in found}
    for entity in entities:
        _attach(model, entity, relation, by_key.get(entity.__dict__[via.name]))
    return found


async def _load_many(
    reader: Reader,
    model: Model[object],
    target: Model[object],
    entities: Sequence[object],
    relation: Relation,
) -> list[object]:
    via = reference(target, relation)
    keys = [entity.__dict__[model.key.name] for entity in entities]
    names = identities([keys])
    wanted = {*dict(zip(names, keys, strict=True)).values()}
    found = await _fetch(reader, target, Column(target.name, via), wanted, relation.rows)
    groups: dict[object, list[object]] = {name: [] for name in names}
    named = identities([[entity.__dict__[via.name] for entity in found]])
    for name, entity in zip(named, found, strict=True):
        groups[name].append(entity)
    for name, entity in zip(names, entities, strict=True):
        _attach(model, entity, relation, groups[name])
    return found


async def _load_linked(
    reader: Reader,
    model: Model[object],
    entities: Sequence[object],
    relation: Relation,
    link: LinkEnds,
) -> list[object]:
    name = model.key.name
    keys = {entity.__dict__[name] for entity in entities}
    groups, found = await linked_rows(reader, link, relation.joins[-1], keys, relation.rows)
    for entity in entities:
        _attach(model, entity, relation, groups[entity.__dict__[name]])
    return found


def _attach(model: Model[object], entity: object, relation: Relation, found: object) -> None:
    if model.adapter is None:
        entity.__dict__[relation.name] = found
    else:
        model.adapter.instances.attach(entity, relation, found)


async def _fetch(
    reader: Reader, target: Model[object], by: Column, keys: set[object], rows: RelatedRows
) -> list[object]:
    """Return those of *rows* that have one of *keys* in *by*, along the order of *rows*."""
    where, order = condition(target, rows.where), total_order(target, rows.order)
    limit = count("limit", rows.limit)
    if not keys:
        return []
    # A set's order would make another statement text of the same query; the text is the same here.
    values = tuple(keys)
    if limit is None:
        return await reader.find(Select(target, all_of((In(by, values), where)), order))
    return await reader.find(Select(target, where, order, limit, groups=Groups(by, values)))


def reference(model: Model[object], relation: Relation) -> FieldSpec:
    """Return the reference field that *relation* goes by. Raises InvalidQueryError."""
    spec = model.by_name.get(relation.via)
    if spec is None or spec.reference is None:
        raise InvalidQueryError(
            f"{relation!r} goes via {model.name}.{relation.via}, which is not a ref() field"
        )
    return spec
