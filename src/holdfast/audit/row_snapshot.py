"""What a row was: the row as it is, with what was recorded since undone, the latest first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from holdfast.audit.captured_value import UNKNOWN, recovered
from holdfast.audit.entry_leaf import commitments_of
from holdfast.errors import InvalidValueError
from holdfast.records import WriteVerb
from holdfast.records.rows.hydration import from_own_rows

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from holdfast.audit.audit_entry import AuditEntry
    from holdfast.records import Store
    from holdfast.records.entities.model import Model, Row

E = TypeVar("E")
_REMOVING = (WriteVerb.DELETE, WriteVerb.CASCADE)


@dataclass(frozen=True, slots=True)
class RowSnapshot(Generic[E]):
    """The row of an entity as it was at a time, as far as the audit holds it.

    *row* has its row values, UNKNOWN for what was hashed, redacted, left out or erased, and
    *values* the same by field, as an entity has them.
    """

    model: Model[E]
    at: datetime
    row: Row
    values: Mapping[str, object]

    @property
    def unknown(self) -> tuple[str, ...]:
        """The fields that the audit does not hold."""
        return tuple(name for name, value in self.values.items() if value is UNKNOWN)

    def entity(self) -> E:
        """Return the row as an entity. Raises InvalidValueError where a field is unknown."""
        for name in self.unknown:
            raise InvalidValueError(self.model.name, name, "is not held by the audit")
        return from_own_rows(self.model)([self.row])[0]


async def row_now(store: Store, model: Model[E], key: object) -> Row | None:
    """Return the row values under the row value *key*, None when there is no row.

    One that is marked as deleted is there.
    """
    repository = store.repository(model.entity)
    if model.living is None:
        found = await repository.get(key)
    else:
        found = await repository.with_deleted().get(key)
    if found is None:
        return None
    if model.adapter is None:
        return model.stored_row(found)
    values = model.adapter.instances.values(found, now=store.now(), fresh=True)
    return tuple(spec.to_row(model.name, values[spec.name]) for spec in model.fields)


def undone(model: Model[E], state: Row | None, entry: AuditEntry) -> Row | None:
    """Return what the row was before *entry*, whose change left it as *state*."""
    hidden = commitments_of(entry)
    created, removed = _turned(model, entry, hidden)
    if created:
        return None
    if removed:
        values: list[object] = [None] * len(model.fields)
    else:
        values = [UNKNOWN] * len(model.fields) if state is None else list(state)
    for spec in model.fields:
        change = entry.changes.get(spec.name)
        if spec.declaration.audit == "skip" or f"changes.{spec.name}" in hidden:
            values[spec.position] = UNKNOWN
        elif change is not None:
            values[spec.position] = recovered(spec, cast("list[object]", change)[0])
    return tuple(values)


def row_snapshot(model: Model[E], row: Row, at: datetime) -> RowSnapshot[E]:
    """Return *row* as what it was at the time *at*."""
    values: dict[str, object] = {}
    for spec in model.fields:
        value, load = row[spec.position], spec.type.load
        known = value is not None and value is not UNKNOWN
        values[spec.name] = load(value) if known and load is not None else value
    return RowSnapshot(model, at, row, values)


def _turned(model: Model[E], entry: AuditEntry, hidden: Mapping[str, str]) -> tuple[bool, bool]:
    """Return whether *entry* added the row, and whether it removed it: then its key changed."""
    for name in model.key_names:
        if f"changes.{name}" in hidden:
            removed = entry.verb in _REMOVING
            return not removed, removed
        if name in entry.changes:
            before, after = cast("list[object]", entry.changes[name])
            return before is None, after is None
    return False, False
