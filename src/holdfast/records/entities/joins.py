"""Where a join leads: the fields at its two ends, found in the models there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.records.entities.model import Model, model_of
from holdfast.records.expressions.predicates import Subquery

if TYPE_CHECKING:
    from holdfast.records.expressions.operands import Join
    from holdfast.records.values.field_spec import FieldSpec


def local_field(join: Join) -> FieldSpec:
    """Return the field of the row that *join* starts at: its key, or the reference."""
    source: Model[object] = model_of(join.source)
    return source.key if join.many else source.by_name[join.via]


def remote_field(join: Join | Subquery[object]) -> FieldSpec:
    """Return the field that has the same value in the rows that *join* leads to."""
    if isinstance(join, Subquery):
        return join.column.spec
    target: Model[object] = model_of(join.target)
    return target.by_name[join.via] if join.many else target.key


def deleted_field(join: Join | Subquery[object]) -> FieldSpec | None:
    """Return the field that is null in the rows that *join* leads to; None: it leads to all."""
    target: Model[object] = model_of(join.target)
    return target.deleted_at
