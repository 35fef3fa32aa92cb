"""The write hook that records: an entry for each change, in the transaction of the change."""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, cast

from holdfast.acting import acting
from holdfast.audit.audit_entry import (
    AUDIT_ENTITIES,
    KEY_LENGTH,
    NAME_LENGTH,
    REASON_LENGTH,
    REQUEST_LENGTH,
    AuditEntry,
)
from holdfast.audit.captured_value import LARGEST, captured_changes, key_text
from holdfast.errors import ConfigurationError, InvalidValueError
from holdfast.records.entities.model import model_of
from holdfast.records.write_hook import ChangeRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from holdfast.records import RowChange, Store, StoreEvent, WriteVerb
    from holdfast.records.entities.model import Model

_EVENT = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)+")
SALT_BYTES = 16
_MODEL = model_of(AuditEntry)
_CHANGES = "changes"
_ANY = cast("Model[object]", _MODEL)


class AuditHook:
    """Records what is written of `audited` entities, and of classes that *also* names.

    Give it to `open_store(..., hooks=[AuditHook()])`; the entries lie in the same store. *also* is
    for classes of another library, which can't say `audited=True`.
    """

    entities: Sequence[type] = AUDIT_ENTITIES

    def __init__(self, *, also: Iterable[type] = ()) -> None:
        self._also = frozenset(also)
        for kept in self._also & {*AUDIT_ENTITIES}:
            raise ConfigurationError(f"{kept.__name__} is the audit's own; it is not audited")

    def watches(self, model: Model[object]) -> bool:
        """See `WriteHook`."""
        return model.audited or model.entity in self._also

    async def changed(self, store: Store, changes: Sequence[RowChange]) -> None:
        """See `WriteHook`."""
        made: list[AuditEntry] = []
        for change in changes:
            fields = captured_changes(change.model, change.before, change.after)
            if fields:
                key = key_text(change.model, change.key)
                made.append(_entry(store, change.verb.value, (change.model.name, key), fields))
        entries = store.repository(AuditEntry)
        if len(made) == 1:
            await entries.add(made[0])
        elif made:
            await entries.add_many(made)

    def record_of(
        self, store: Store, model: Model[object], verb: WriteVerb, key: object
    ) -> ChangeRecord:
        """See `StatementHook`."""
        entry = _entry(store, verb.value, (model.name, key_text(model, key)), {})
        row = _MODEL.row(entry, version=1, now=entry.at)
        return ChangeRecord(model, _ANY, row, _CHANGES, LARGEST)

    async def happened(self, store: Store, event: StoreEvent) -> None:
        """See `WriteHook`. Raises InvalidValueError for an event with a name of another form."""
        if not _EVENT.fullmatch(event.name):
            raise InvalidValueError(
                "AuditEntry", "verb", f"{event.name!r}: an event is called as in model.promoted"
            )
        entry = _entry(store, event.name, (event.entity, event.key), event.details)
        await store.repository(AuditEntry).add(entry)


def is_recorded(store: Store) -> bool:
    """Return whether *store* was opened with the audit's entities."""
    return model_of(AuditEntry) in store.models


def _entry(
    store: Store, verb: str, row: tuple[str, str], changes: Mapping[str, object]
) -> AuditEntry:
    who = acting()
    entity, key = row
    return AuditEntry(
        at=store.now(),
        verb=verb,
        entity=entity[:NAME_LENGTH],
        key=key[:KEY_LENGTH],
        actor=_cut(who.actor, NAME_LENGTH),
        reason=_cut(who.reason, REASON_LENGTH),
        request=_cut(who.request, REQUEST_LENGTH),
        changes=dict(changes),
        salt=secrets.token_bytes(SALT_BYTES),
    )


def _cut(text: str | None, length: int) -> str | None:
    return None if text is None else text[:length]
