"""Fetching relations: one query per relation and level, whatever the number of entities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from holdfast.errors import InvalidQueryError
from holdfast.records.driver import Select
from holdfast.records.model import Model, model_of
from holdfast.records.operands import Column
from holdfast.records.query import In, Order
from holdfast.records.relation import Many, Relation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.records.driver import Reader
    from holdfast.records.field_spec import FieldSpec
    from holdfast.records.query import Predicate


async def load_relations(
    reader: Reader, model: Model[Any], entities: Sequence[object], relations: Sequence[object]
) -> None:
    """Set *relations*, and what is nested in them, on *entities*."""
    wanted = relations if model.adapter is None else model.adapter.arguments.relations(relations)
    for relation in wanted:
        if not isinstance(relation, Relation):
            raise InvalidQueryError(f"load= takes relations such as Project.videos: {relation!r}")
        if relation.owner is not model.entity:
            raise InvalidQueryError(f"{relation!r} is not a relation of {model.name}")
        target: Model[object] = model_of(relation.target)
        if isinstance(relation, Many):
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
    found = await _fetch(reader, target, target.key, keys)
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
    keys = {entity.__dict__[model.key.name] for entity in entities}
    found = await _fetch(reader, target, via, keys)
    groups: dict[object, list[object]] = {key: [] for key in keys}
    for entity in found:
        groups[entity.__dict__[via.name]].append(entity)
    for entity in entities:
        _attach(model, entity, relation, groups[entity.__dict__[model.key.name]])
    return found


def _attach(model: Model[object], entity: object, relation: Relation, found: object) -> None:
    if model.adapter is None:
        entity.__dict__[relation.name] = found
    else:
        model.adapter.instances.attach(entity, relation, found)


async def _fetch(
    reader: Reader, target: Model[object], by: FieldSpec, keys: set[object]
) -> list[object]:
    if not keys:
        return []
    order = (Order(Column(target.name, target.key)),)
    # A set's order would make another statement text of the same query; the text is the same here.
    these: Predicate = In(Column(target.name, by), tuple(keys))
    if target.living is not None:
        these &= target.living
    return await reader.find(Select(target, these, order))


def reference(model: Model[object], relation: Relation) -> FieldSpec:
    """Return the reference field that *relation* goes by. Raises InvalidQueryError."""
    spec = model.by_name.get(relation.via)
    if spec is None or spec.reference is None:
        raise InvalidQueryError(
            f"{relation!r} goes via {model.name}.{relation.via}, which is not a ref() field"
        )
    return spec
