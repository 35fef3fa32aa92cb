"""Link entities: each row of one links two rows, as relations of many to many go by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from holdfast.records.values.field_spec import FieldSpec


@dataclass(frozen=True, slots=True)
class LinkPath:
    """How a relation goes *through* a link entity, as it was declared.

    *via* is the reference that points at the relation's owner and *to* the one that points at what
    it leads to; None where there is but one that can be meant.
    """

    through: object
    via: str | None = None
    to: str | None = None


@dataclass(frozen=True, slots=True)
class LinkEnds:
    """The two references of a link *entity*, of which no two rows have the same pair.

    *near* points at the owner of a relation, *far* at what it leads to.
    """

    entity: type
    near: FieldSpec
    far: FieldSpec

    @property
    def pair(self) -> frozenset[str]:
        """The names of the two."""
        return frozenset({self.near.name, self.far.name})
