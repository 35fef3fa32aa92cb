"""Link entities: each row of one links two rows, as relations of many to many go by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.errors import ConfigurationError
from holdfast.records.model import Model, model_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.records.field_spec import FieldSpec


@dataclass(frozen=True, slots=True)
class LinkPath:
    """How a relation goes *through* a link entity, as it was declared.

    *via* is the reference that points at the relation's owner and *to* the one that points at what
    it leads to; None where there is but one that can be meant.
    """

    through: object
    via: str | None = None
    to: str | None = None
    resolve: Callable[[], type] | None = None


@dataclass(frozen=True, slots=True)
class LinkEnds:
    """The two references of the link entity of *model*, of which no two rows have the same pair.

    *near* points at the owner of a relation, *far* at what it leads to.
    """

    model: Model[object]
    near: FieldSpec
    far: FieldSpec

    @property
    def pair(self) -> frozenset[str]:
        """The names of the two."""
        return frozenset({self.near.name, self.far.name})


def link_ends(relation: str, path: LinkPath, owner: type, target: type) -> LinkEnds:
    """Return the ends of the link entity by which *owner*'s *relation* leads to *target*.

    Raises ConfigurationError where they are not there, or more than one could be meant, or rows
    could link the same two twice.
    """
    if path.resolve is None:
        raise ConfigurationError(f"{relation}: the relation belongs to no entity")
    model: Model[object] = model_of(path.resolve())
    near = _reference(relation, model, owner, ("via", path.via), but=path.to)
    far = _reference(relation, model, target, ("to", path.to), but=near.name)
    pair = {near.name, far.name}
    if not any(set(unique) == pair for unique in (model.key_names, *model.uniques)):
        raise ConfigurationError(
            f"{relation} goes through {model.name}, which could link the same two twice: make "
            f"({near.name}, {far.name}) its key, or a unique of it"
        )
    return LinkEnds(model, near, far)


def _reference(
    relation: str,
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
        f"{relation} goes through {model.name}, which has "
        + (f"{', '.join(names)}" if names else f"no such reference {name or ''}".rstrip())
        + f" to {entity.__name__}: say {word}= with the reference that is meant"
    )
