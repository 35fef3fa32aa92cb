"""What a notice offers after a record was deleted: the form that restores it, where that can be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.audit import AuditLog
from holdfast.audit.audit_hook import is_recorded
from holdfast.console.visits.visit import Undo
from holdfast.records.record_values import parsed_key

if TYPE_CHECKING:
    from datetime import datetime

    from holdfast.console.console_site import ConsoleSite
    from holdfast.console.records.record_list import RecordKind
    from holdfast.records import Store
    from holdfast.records.entities.model import Model


async def undo_of_deletion(
    site: ConsoleSite, kind: RecordKind, keys: list[str], before: datetime
) -> Undo | None:
    """Return the form that restores what was deleted after the time *before*.

    None where that would not bring back all: where the audit does not hold every field, or where
    rows that point at the record are deleted or changed with it.
    """
    store, model = site.platform.store, kind.model
    if not is_recorded(store) or not store.hooked.watched(model):
        return None
    if _takes_others_along(store, model):
        return None
    was = await AuditLog(store).as_of(model.entity, parsed_key(model, keys), before)
    if was is None or (model.deleted_at is None and was.unknown):
        return None
    url = site.url(f"records/{kind.path}/restore", {"_key": keys})
    return Undo(url, {"at": before.isoformat()})


def _takes_others_along(store: Store, model: Model[object]) -> bool:
    """Return whether the deletion of a row of *model* deletes or changes rows that point at it."""
    return model.deleted_at is None and any(
        spec.reference is not None
        and spec.reference.on_delete != "restrict"
        and spec.reference.target() is model.entity
        for each in store.models
        for spec in each.fields
    )
