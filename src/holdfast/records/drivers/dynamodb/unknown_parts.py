"""Refuses what the driver was not written for, so that nothing new is ignored without a word."""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import TYPE_CHECKING

from holdfast.errors import UnsupportedError
from holdfast.records.drivers.dynamodb.item_reader import NAME
from holdfast.records.entities.model import model_of
from holdfast.records.entities.table_names import schema_of

if TYPE_CHECKING:
    from holdfast.records.entities.model import Model

_KNOWN: dict[str, frozenset[str]] = {
    "Select": frozenset(
        {"model", "where", "order", "limit", "offset", "lock", "skip_locked", "groups"}
    ),
    "AggregateQuery": frozenset(
        {"model", "aggregates", "where", "by", "having", "order", "limit", "offset"}
    ),
    "Model": frozenset(
        {"entity", "name", "table", "fields", "indexes", "uniques", "relations", "adapter",
         "audited", "constraints", "search", "indexed_words"}
    ),
    "Declaration": frozenset(
        {"role", "default", "default_factory", "bounds", "unique", "target", "on_delete", "audit",
         "unversioned", "search", "server_default"}
    ),
    "Bounds": frozenset({"max_length", "precision", "scale", "least", "most"}),
}  # fmt: skip
_ROLES = frozenset(
    {"plain", "key", "generated", "version", "created_at", "updated_at", "deleted_at"}
)


def refuse_unknown(asked: object) -> None:
    """Raise UnsupportedError when *asked* says more than the driver knows of its kind."""
    kind: type = type(asked)
    for part in _unknown(kind):
        if getattr(asked, part.name) != part.default:
            raise UnsupportedError(f"{part.name!r} of a {kind.__name__}", NAME)


@cache
def _unknown(kind: type) -> tuple[dataclasses.Field[object], ...]:
    known = _KNOWN[kind.__name__]
    return tuple(each for each in dataclasses.fields(kind) if each.name not in known)


def refuse_unknown_model(model: Model[object]) -> None:
    """Raise UnsupportedError when *model* declares what the driver does not know."""
    refuse_unknown(model)
    for spec in model.fields:
        refuse_unknown(spec.declaration)
        refuse_unknown(spec.declaration.bounds)
        if spec.role not in _ROLES:
            raise UnsupportedError(f"fields of the role {spec.role!r}", NAME)


def refuse_shared_targets(model: Model[object], schema: str) -> None:
    """Raise UnsupportedError for references out of the store's *schema* into one that it shares.

    Rows of stores in other schemas may point there too: each reference is counted at its target,
    and such a count would tell of rows that this store does not see.
    """
    for spec in model.references:
        assert spec.reference is not None
        target: Model[object] = model_of(spec.reference.target())
        if schema and schema_of(target.table) and not schema_of(model.table):
            raise UnsupportedError(
                f"the reference {model.name}.{spec.name} out of the store's schema into that of "
                f"{target.name}, which other stores share",
                NAME,
            )
