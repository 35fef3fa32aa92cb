"""The relationships of a mapped class as relations, and loader options as what to load."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.orm.strategy_options import _AbstractLoad as AbstractLoad  # its only name
from sqlalchemy.sql import operators

from holdfast.errors import ConfigurationError, InvalidQueryError, UntranslatableError
from holdfast.records.entities.link_entity import LinkPath
from holdfast.records.entities.link_resolution import link_ends
from holdfast.records.entities.model import Model, model_of
from holdfast.records.entities.relation import Many, One, Relation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


ByColumns: TypeAlias = "dict[tuple[int, int, int], Relation]"
"""Relations by the hashes of a column here, one there, and the table there.

What SQLAlchemy has put notes on has the hash of the column or table itself.
"""
_LOADED = ("selectin", "joined", "subquery", "immediate")
_LEFT = ("select", "raise", "raise_on_sql", "noload", True, False)


class UnsupportedRelationship(Relation):
    """A relationship that has no common meaning: it is refused when it is asked for."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__("")
        self.name = name
        self.why = why


def relations_of(
    mapper: orm.Mapper[Any],
    names: dict[sa.Column[Any], str],
    entity_of: Callable[[type], type],
) -> dict[str, Relation]:
    """Return the relations that *mapper*'s relationships are, by name."""
    found: dict[str, Relation] = {}
    for relationship in mapper.relationships:
        found[relationship.key] = _relation(mapper, relationship, names, entity_of)
    return {
        name: each for name, each in found.items() if not isinstance(each, UnsupportedRelationship)
    }


def relations_by_columns(mapper: orm.Mapper[Any]) -> ByColumns:
    """Return the relations of *mapper*'s class by the columns that they make equal."""
    found: ByColumns = {}
    for name, relation in model_of(mapper.class_).relations.items():
        if isinstance(relation, Many) and relation.path is not None:
            continue
        local, remote = _pair(mapper.relationships[name])
        found.setdefault((hash(local), hash(remote), hash(remote.table)), relation)
    return found


def why_not(mapper: orm.Mapper[Any], name: str) -> str:
    """Return why the relationship *name* is not a relation of the model."""
    return (
        _unsupported(mapper.relationships[name]) or "it leads by a column that is not a reference"
    )


def _relation(
    mapper: orm.Mapper[Any],
    relationship: orm.RelationshipProperty[Any],
    names: dict[sa.Column[Any], str],
    entity_of: Callable[[type], type],
) -> Relation:
    name = relationship.key

    def resolve() -> type:
        return entity_of(relationship.mapper.class_)

    if relationship.info.get("holdfast") == "through":
        link, path = _link_path(relationship)
        bound = Many[object]("", path=path).bind(mapper.class_, name, resolve)
        return bound.linked(partial(link_ends, bound, path, lambda: entity_of(link)))
    reason = _unsupported(relationship)
    if reason:
        return UnsupportedRelationship(name, reason)
    local, remote = _pair(relationship)

    if relationship.direction is orm.interfaces.MANYTOONE:
        return One[object](names[local]).bind(mapper.class_, name, resolve)
    via = relationship.mapper.get_property_by_column(remote).key
    return Many[object](via).bind(mapper.class_, name, resolve)


def _link_path(relationship: orm.RelationshipProperty[Any]) -> tuple[type, LinkPath]:
    """Return the class that is mapped to *relationship*'s secondary table, and the way through it.

    Raises ConfigurationError where there is none, or its joins are more than keys.
    """
    mappers = [
        each
        for each in relationship.mapper.registry.mappers
        if each.local_table is relationship.secondary
    ]
    here, there = relationship.synchronize_pairs, relationship.secondary_synchronize_pairs or []
    ordered = bool(relationship.order_by)
    if len(mappers) != 1 or len(here) != 1 or len(there) != 1 or ordered:
        raise ConfigurationError(
            f'{relationship}: info={{"holdfast": "through"}} is for a secondary table that a class '
            "is mapped to, with one column for each key, and without order_by"
        )
    (link,) = mappers
    ((_, via),), ((_, to),) = here, there
    names = [link.get_property_by_column(each).key for each in (via, to)]
    return link.class_, LinkPath(link.class_, *names)


def reference_of(relationship: orm.RelationshipProperty[Any]) -> tuple[str, str] | None:
    """Return the attributes here and there that *relationship* goes by; None if it is no reference.

    Of one to another that is its reference field and the key there, of one to many the key here
    and the reference field there.
    """
    if relationship.secondary is not None or not _is_plain(relationship):
        return None
    local, remote = _pair(relationship)
    return (
        relationship.parent.get_property_by_column(local).key,
        relationship.mapper.get_property_by_column(remote).key,
    )


def _pair(relationship: orm.RelationshipProperty[Any]) -> tuple[Any, Any]:
    pairs: list[tuple[Any, Any]] = list(relationship.local_remote_pairs or ())
    return pairs[0]


def _unsupported(relationship: orm.RelationshipProperty[Any]) -> str:
    """Return why *relationship* is neither a reference nor the other end of one; '' if it is."""
    if relationship.secondary is not None:
        return (
            "it goes by a table between; ask by the relationships of that table's class, or use "
            "orm_session()"
        )
    if relationship.viewonly and not _is_plain(relationship):
        return "its join is written by hand; use orm_session()"
    if not _is_plain(relationship):
        return "its join is more than a column equal to a key; use orm_session()"
    if relationship.order_by:
        return "it has an order_by, and relations come in the order of the key; sort what is loaded"
    return ""


def _is_plain(relationship: orm.RelationshipProperty[Any]) -> bool:
    pairs = relationship.local_remote_pairs or ()
    join = relationship.primaryjoin
    if len(pairs) != 1 or not isinstance(join, sa.BinaryExpression):
        return False
    local, remote = _pair(relationship)
    key = remote if relationship.direction is orm.interfaces.MANYTOONE else local
    whole = len(key.table.primary_key.columns) == 1
    return join.operator is operators.eq and bool(key.primary_key) and whole


def wanted_relations(
    model: Model[Any], mapper: orm.Mapper[Any], wanted: Sequence[object]
) -> tuple[Relation, ...]:
    """Return what *wanted* asks to be loaded: relationships, loader options, and relations.

    A path of several is loaded step by step, in one query each, whatever the strategy.
    """
    tree: dict[str, dict[str, Any]] = {}
    plain: list[Relation] = []
    for each in wanted:
        if isinstance(each, Relation):
            plain.append(each)
        elif isinstance(each, AbstractLoad):
            for steps in _paths(model, each):
                _grow(tree, steps)
        elif isinstance(each, orm.QueryableAttribute):
            _grow(tree, [each.key])
            if each.class_ is not mapper.class_:
                raise InvalidQueryError(f"{each} is not a relation of {model.name}")
        else:
            raise InvalidQueryError(
                f"load= takes relationships such as {model.name}.name, or loader options such as "
                f"selectinload(...): {each!r}"
            )
    return (*plain, *_of_tree(model, mapper, tree))


def _grow(tree: dict[str, dict[str, Any]], steps: Sequence[str]) -> None:
    for step in steps:
        tree = tree.setdefault(step, {})


def _of_tree(
    model: Model[Any], mapper: orm.Mapper[Any], tree: dict[str, dict[str, Any]]
) -> list[Relation]:
    found: list[Relation] = []
    for name, deeper in tree.items():
        if name not in mapper.relationships:
            raise InvalidQueryError(f"{model.name}.{name} is not a relationship")
        relation = model.relations.get(name)
        if relation is None:
            why = why_not(mapper, name)
            raise UntranslatableError(model.name, f"the relationship {name!r}", why)
        if deeper:
            relation.target  # noqa: B018 - its model is made by this, if it was not yet
            target = mapper.relationships[name].mapper
            nested = _of_tree(target.class_.__holdfast__, target, deeper)
            relation = relation.deeper(tuple(nested))
        found.append(relation)
    return found


def _paths(model: Model[Any], option: AbstractLoad) -> list[list[str]]:
    """Return the paths of names that a loader option wants loaded."""
    paths: list[list[str]] = []
    for element in cast("Any", option).context:
        strategy = dict(element.strategy or ())
        lazy = strategy.get("lazy")
        steps = [step for step in element.path if isinstance(step, orm.RelationshipProperty)]
        if "lazy" in strategy and lazy in _LEFT:
            continue
        if lazy not in _LOADED or element._extra_criteria:  # noqa: SLF001 - kept nowhere else
            word = f"lazy={lazy!r} with criteria" if lazy in _LOADED else f"{strategy or option!r}"
            raise UntranslatableError(
                model.name,
                f"the loader option {word}",
                "whole rows are loaded, and relations by selectinload or joinedload without more",
            )
        if not steps:
            raise InvalidQueryError(f"the loader option {option!r} names no relationship")
        if steps[0].parent.class_ is not model.entity:
            raise InvalidQueryError(f"{steps[0]} is not a relation of {model.name}")
        paths.append([step.key for step in steps])
    return paths
