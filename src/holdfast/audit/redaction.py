"""Redaction and retention: what is taken out of entries, and entries taken out of the store.

Both leave a record of themselves in the log, by which a verification tells them from tampering.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from holdfast.audit.audit_entry import AuditEntry
from holdfast.audit.entry_leaf import erasing, parts_of
from holdfast.audit.verification import OWN, PRUNE, REDACT
from holdfast.errors import InvalidQueryError
from holdfast.records import StoreCapability

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from holdfast.audit.audit_log import AuditFilter
    from holdfast.records import Store
    from holdfast.records.driver_requests import RowLock
    from holdfast.records.expressions.field_changes import Change

_TOGETHER = 500


async def redact(store: Store, wanted: AuditFilter, *, parts: Collection[str] | None = None) -> int:
    """Erase *parts* of the entries that fit *wanted*; return how many entries were changed.

    A part is `actor`, `key`, `reason`, `request` or `changes.<field>`; without *parts* it is all of
    them. The values are gone from the store; the log verifies as before. Up to 500 entries at a
    time are one transaction, with the record of it, which names them and no value. Raises
    InvalidQueryError when *wanted* says nothing, or inside a transaction.
    """
    if wanted == type(wanted)():
        raise InvalidQueryError("redact without a filter would erase the whole audit; name a row")
    count = after = 0
    while True:
        ids = await store.retrying(partial(_redact, store, wanted, parts, after))
        if not ids:
            return count
        count += sum(1 for _, changed in ids if changed)
        after = ids[-1][0]


async def _redact(
    store: Store, wanted: AuditFilter, parts: Collection[str] | None, after: int
) -> Sequence[tuple[int, bool]]:
    entries = store.repository(AuditEntry)
    found = await entries.find(
        wanted.predicate(),
        (AuditEntry.id > after) & ~AuditEntry.verb.in_(OWN),
        order_by=AuditEntry.id.asc(),
        limit=_TOGETHER,
        lock=_lock(store),
    )
    changed: list[int] = []
    for entry in found:
        gone = {name for name in parts_of(entry) if parts is None or name in parts}
        if gone:
            values = erasing(entry, gone)
            changes: list[Change] = [getattr(AuditEntry, name).to(values[name]) for name in values]
            await entries.patch(entry.id, *changes)
            changed.append(entry.id)
    if changed:
        named = "all" if parts is None else sorted(parts)
        await store.record_event(
            REDACT,
            entity="AuditEntry",
            key=f"{changed[0]}..{changed[-1]}",
            details={"entries": changed, "parts": named},
        )
    return [(entry.id, entry.id in changed) for entry in found]


async def prune(store: Store, before: datetime) -> int:
    """Delete the oldest entries of the log, up to the first one of *before* or later.

    Returns how many went. Their leaves stay, so the log verifies as before; entries without a place
    in it stay too. One transaction, with the record of it.
    """
    async with store.transaction():
        entries = store.repository(AuditEntry)
        first = await entries.first(
            AuditEntry.at >= before,
            ~AuditEntry.position.is_null(),
            order_by=AuditEntry.position.asc(),
        )
        last = await entries.first(
            ~AuditEntry.position.is_null(), order_by=AuditEntry.position.desc()
        )
        end = first.position if first is not None else last and (last.position or 0) + 1
        if not end:
            return 0
        count = await entries.delete_where(AuditEntry.position < end, ~AuditEntry.verb.in_(OWN))
        if count:
            await store.record_event(
                PRUNE, entity="AuditEntry", key=f"..{end}", details={"before_position": end}
            )
        return count


def _lock(store: Store) -> RowLock | None:
    return "update" if StoreCapability.ROW_LOCKS in store.capabilities else None
