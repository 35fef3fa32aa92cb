"""Which references of a link entity a relation goes by: found in its model, once it is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.errors import ConfigurationError
from holdfast.records.entities.link_entity import LinkEnds
from holdfast.records.entities.model import Model, model_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.records.entities.link_entity import LinkPath
    from holdfast.records.entities.relation import Relation
    from holdfast.records.values.field_spec import FieldSpec


def link_ends(relation: Relation, path: LinkPath, entity: Callable[[], type]) -> LinkEnds:
    """Return the ends of the link *entity* by which *relation* goes, as *path* says.

    Raises ConfigurationError where they are not there, or more than one could be meant, or rows
    could link the same two twice.
    """
    model: Model[object] = model_of(entity())
    near = _reference(relation, model, relation.owner, ("via", path.via), but=path.to)
    far = _reference(relation, model, relation.target, ("to", path.to), but=near.name)
    pair = {near.name, far.name}
    if not any(set(unique) == pair for unique in (model.key_names, *model.uniques)):
        raise ConfigurationError(
            f"{relation!r} goes through {model.name}, which could link the same two twice: make "
            f"({near.name}, {far.name}) its key, or a unique of it"
        )
    return LinkEnds(model.entity, near, far)


def _reference(
    relation: Relation,
    model: Model[object],
    entity: type,
    said: tuple[str, str | None],
    *,
    but: str | None,
) -> FieldSpec:
    """Return the reference of *model* to *entity*: the one that was *said*, or the only one."""
    word, name = said
    found = [
        spec
        for spec in model.references
        if spec.reference is not None
        and spec.reference.target() is entity
        and spec.name != but
        and name in (None, spec.name)
    ]
    if len(found) == 1:
        return found[0]
    names = [spec.name for spec in found]
    raise ConfigurationError(
        f"{relation!r} goes through {model.name}, which has "
        + (f"{', '.join(names)}" if names else f"no such reference {name or ''}".rstrip())
        + f" to {entity.__name__}: say {word}= with the reference that is meant"
    )
