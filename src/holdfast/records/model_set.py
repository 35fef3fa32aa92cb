"""The models of a store's entities, checked for fitting together."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import cache
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Protocol, TypeVar

from holdfast.errors import ConfigurationError
from holdfast.records.eager_loading import reference
from holdfast.records.entities.model import Model, model_of
from holdfast.records.entities.relation import Many

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from holdfast.records.values.field_spec import FieldSpec

E = TypeVar("E")

ADAPTERS = "holdfast.class_adapters"
"""The group of entry points by which distributions name adapters of classes.

An entry is named after the package of the library that it adapts, and leads to an `AdaptClass`.
"""


class AdaptClass(Protocol):
    """Makes the model of a class of some other library."""

    def __call__(self, entity: type[E], /) -> Model[E] | None:
        """Return the model of *entity*; None when it is not a class of that library.

        Raises ConfigurationError for one that Holdfast's rules can't be kept for.
        """
        ...


def models_of(entities: Iterable[type]) -> tuple[Model[object], ...]:
    """Return the models of *entities*, each once, behind each those of its search.

    Raises ConfigurationError when they don't fit together in one store.
    """
    found: dict[Model[object], None] = {}
    for entity in listed(entities):
        model: Model[object] = _entity_model(entity)
        found[model] = None
        if model.search is not None:
            found[model.search.documents] = None
    models = tuple(found)
    _check_models(models)
    return models


def listed(entities: Iterable[type]) -> Iterable[type]:
    """Return *entities*. Raises ConfigurationError for a class alone, and for what is no list."""
    if isinstance(entities, type) or not isinstance(entities, Iterable):
        raise ConfigurationError(
            f"entities={entities!r}: expected a list of classes, as in [Video, Review]"
        )
    return entities


def _entity_model(entity: type[E]) -> Model[E]:
    """Return the model of *entity*, an `Entity` or a class that an installed adapter knows."""
    if "__holdfast__" not in getattr(entity, "__dict__", {}):
        for adapter in _adapters():
            if adapter.name in sys.modules:  # else no class of that library can be there
                adapt: AdaptClass = adapter.load()
                model = adapt(entity)
                if model is not None:
                    return model
    return model_of(entity)


@cache
def _adapters() -> tuple[EntryPoint, ...]:
    from importlib.metadata import entry_points  # noqa: PLC0415 - slow, and for adapted classes only

    return tuple(entry_points(group=ADAPTERS))


def _check_models(models: tuple[Model[object], ...]) -> None:
    tables: dict[str, str] = {}
    for model in models:
        table = model.table.lower()  # SQLite and MariaDB can't tell Foo and foo apart
        if table in tables:
            raise ConfigurationError(
                f"{model.name} and {tables[table]} both live in the table {model.table!r}"
            )
        tables[table] = model.name
    for model in models:
        for spec in model.references:
            assert spec.reference is not None
            target: Model[object] = model_of(spec.reference.target())
            if target not in models:
                raise ConfigurationError(
                    f"{model.name}.{spec.name} refers to {target.name}, "
                    "which the store was not opened with; add it to the entities"
                )
            if len(target.keys) > 1:
                raise ConfigurationError(
                    f"{model.name}.{spec.name} refers to {target.name}, whose key is composite "
                    f"({', '.join(target.key_names)}): a reference is one field; give "
                    f"{target.name} a key of its own and a unique of these"
                )
            cascades = spec.reference.on_delete == "cascade"
            if cascades and target.deleted_at and not (model.deleted_at or model.indexed_words):
                raise ConfigurationError(
                    f"{model.name}.{spec.name}: {target.name} is deleted by a mark, and what goes "
                    f"with it must be too: give {model.name} a deleted_at() field"
                )
            if target.key.type.kind is not spec.type.kind:
                raise ConfigurationError(
                    f"{model.name}.{spec.name} is of type {spec.type.kind.value}, "
                    f"but the key of {target.name} is of type {target.key.type.kind.value}"
                )
        for relation in model.relations.values():
            target = model_of(relation.target)
            if target not in models:
                raise ConfigurationError(
                    f"{relation!r} leads to {target.name}, which the store was not opened with"
                )
            link = relation.link if isinstance(relation, Many) else None
            if link is None:
                reference(target if isinstance(relation, Many) else model, relation)
            elif model_of(link.entity) not in models:
                raise ConfigurationError(
                    f"{relation!r} goes through {link.entity.__name__}, "
                    "which the store was not opened with; add it to the entities"
                )


def dependents_first(
    models: Iterable[Model[object]],
) -> tuple[list[Model[object]], list[tuple[Model[object], FieldSpec]]]:
    """Return *models* so that each comes before those it points at, and what stands in the way.

    That is fields by which models point at one another in a circle: with them null, the order
    holds. A model that points at itself is in nobody's way.
    """
    known = list(models)
    in_the_way: list[tuple[Model[object], FieldSpec]] = []
    while True:
        broken = {spec for _, spec in in_the_way}
        targets = {
            model: {
                target
                for spec in model.references
                if spec not in broken and (target := _target(spec)) is not model
            }
            for model in known
        }
        try:
            return list(TopologicalSorter(targets).static_order())[::-1], in_the_way
        except CycleError as circle:
            members = circle.args[1]
            found = [
                (model, spec)
                for model in members
                for spec in model.references
                if spec.type.nullable and spec not in broken and _target(spec) in members
            ]
            if not found:  # no row could ever have been added to any of them
                names = ", ".join(sorted({model.name for model in members}))
                raise ConfigurationError(
                    f"{names} point at one another by references that may not be null"
                ) from None
            in_the_way += found


def _target(spec: FieldSpec) -> Model[object]:
    assert spec.reference is not None
    return model_of(spec.reference.target())
