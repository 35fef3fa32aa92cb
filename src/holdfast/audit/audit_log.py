"""The audit of a store: what happened, to which row, by whom; and what a row was at some time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar, cast

from holdfast.audit.audit_entry import AuditEntry
from holdfast.audit.audit_hook import is_recorded
from holdfast.audit.captured_value import UNKNOWN, key_of, key_text
from holdfast.audit.row_snapshot import RowSnapshot, row_now, row_snapshot, undone
from holdfast.errors import ConfigurationError, InvalidValueError, NotFoundError
from holdfast.option_checks import check_kind
from holdfast.records import everything
from holdfast.records.entities.model import Model, model_of
from holdfast.records.expressions.field_changes import SetTo
from holdfast.records.expressions.operands import Column

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from holdfast.records import Page, Predicate, Store

E = TypeVar("E")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Which entries are looked for; what is None fits any.

    *entity* is a name, *key* a row's key as text, *field* one that a change named. *since* is
    included, *until* is not.
    """

    entity: str | None = None
    key: str | None = None
    actor: str | None = None
    request: str | None = None
    verb: str | None = None
    field: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def predicate(self) -> Predicate:
        """Return the condition on entries."""
        found = everything()
        for column, wanted in (
            (AuditEntry.entity, self.entity),
            (AuditEntry.key, self.key),
            (AuditEntry.actor, self.actor),
            (AuditEntry.request, self.request),
            (AuditEntry.verb, self.verb),
        ):
            if wanted is not None:
                found &= column == wanted
        if self.field is not None:
            found &= ~AuditEntry.changes[self.field].is_null()
        if self.since is not None:
            found &= AuditEntry.at >= self.since
        if self.until is not None:
            found &= AuditEntry.at < self.until
        return found


_ALL = AuditFilter()


class AuditLog:
    """The entries of a store that was opened with an `AuditHook`.

    Each call is one on the store: it takes part in the transaction around it, and runs on a
    blocking store as well.
    """

    def __init__(self, store: Store) -> None:
        if not is_recorded(store):
            raise ConfigurationError(
                "the store keeps no audit: open it with hooks=[AuditHook()], from holdfast.audit"
            )
        self.store = store
        self._entries = store.repository(AuditEntry)

    async def record(
        self, name: str, *, entity: str, key: str, details: Mapping[str, object] | None = None
    ) -> None:
        """Record that *name*, such as `model.promoted`, happened to what *entity* and *key* say.

        The same as `Store.record_event`, which needs no audit to be there.
        """
        await self.store.record_event(name, entity=entity, key=key, details=details)

    async def get(self, entry_id: int) -> AuditEntry:
        """Return the entry. Raises NotFoundError."""
        return await self._entries.get_one(entry_id)

    async def history(
        self, entity: type | str, key: object, *, size: int = 50, cursor: str | None = None
    ) -> Page[AuditEntry]:
        """Return a page of what happened to the row of *entity* under *key*, the latest first.

        In the order in which the row was changed, whichever clocks wrote the times.
        """
        name, text = self._named(entity, key)
        wanted = AuditFilter(entity=name, key=text)
        return await self.search(wanted, size=size, cursor=cursor)

    async def search(
        self, wanted: AuditFilter = _ALL, *, size: int = 50, cursor: str | None = None
    ) -> Page[AuditEntry]:
        """Return a page of the entries that fit *wanted*, the latest first."""
        check_kind(wanted, AuditFilter, "wanted")
        return await self._entries.page(
            wanted.predicate(), order_by=AuditEntry.id.desc(), size=size, cursor=cursor
        )

    async def as_of(self, entity: type[E], key: object, at: datetime) -> RowSnapshot[E] | None:
        """Return the row as it was at the time *at*; None where there was none.

        It is made of the row as it is, by undoing what was recorded since. Raises
        ConfigurationError for an entity that is not the store's.
        """
        model = self._model(entity)
        async with self.store.transaction(read_only=True, replica=False):
            return await self._as_of(model, key, at)

    async def diff(
        self, entity: type, key: object, since: datetime, until: datetime
    ) -> dict[str, tuple[object, object]]:
        """Return the fields that differ between two times, with both values.

        The values are the entity's; UNKNOWN stands for one that the audit does not hold. A row that
        was not there has None in every field.
        """
        model: Model[object] = self._model(entity)
        async with self.store.transaction(read_only=True, replica=False):
            old, new = await self._as_of(model, key, since), await self._as_of(model, key, until)
        names = [spec.name for spec in model.fields]
        before = dict.fromkeys(names) if old is None else old.values
        after = dict.fromkeys(names) if new is None else new.values
        return {name: (before[name], after[name]) for name in names if before[name] != after[name]}

    async def restore(self, entity: type[E], key: object, at: datetime) -> E:
        """Write the row as it was at the time *at*, and return it as stored: a write as any other.

        A row that is gone is added again, one that is marked as deleted restored; one that is there
        is patched where it differs. Fields that the audit does not hold stay as they are. Raises
        NotFoundError when there was no living row then, and InvalidValueError when a row that is
        gone had fields that the audit does not hold.
        """
        model = self._model(entity)
        repository = self.store.repository(entity)
        async with self.store.transaction():
            wanted = await self._as_of(model, key, at)
            if wanted is None or _is_marked(model, wanted.row):
                raise NotFoundError(model.name, key)
            row_key = key_of(model, key)
            now = await row_now(self.store, model, row_key)
            if now is None:
                if wanted.unknown:
                    raise InvalidValueError(
                        model.name,
                        wanted.unknown[0],
                        "is not held by the audit, and the row is gone",
                    )
                return await repository.add(wanted.entity())
            if _is_marked(model, now):
                await repository.restore(row_key)
            changes = [
                SetTo(Column(model.name, spec), wanted.row[spec.position])
                for spec in model.fields
                if spec.role == "plain"
                and wanted.row[spec.position] is not UNKNOWN
                and wanted.row[spec.position] != now[spec.position]
            ]
            if not changes:
                return await repository.get_one(row_key)
            return await repository.patch(row_key, *changes)

    async def _as_of(self, model: Model[E], key: object, at: datetime) -> RowSnapshot[E] | None:
        row_key = key_of(model, key)
        state = await row_now(self.store, model, row_key)
        text = key_text(model, row_key)
        later = self._entries.stream(
            AuditEntry.entity == model.name,
            AuditEntry.key == text,
            AuditEntry.at > at,
            order_by=AuditEntry.id.desc(),
        )
        async for entry in later:
            if not entry.is_event:
                state = undone(model, state, entry)
        return None if state is None else row_snapshot(model, state, at)

    def _model(self, entity: type[E]) -> Model[E]:
        model = model_of(entity)
        self.store.check_model(model)
        return model

    def _named(self, entity: type | str, key: object) -> tuple[str, str]:
        if isinstance(entity, str):
            known = [model for model in self.store.models if model.name == entity]
            if not known:
                return entity, str(key)  # of an event, or of a class that is gone
            model = known[0]
        else:
            model = self._model(cast("type[object]", entity))
        return model.name, key_text(model, key_of(model, key))


def _is_marked(model: Model[E], row: Sequence[object]) -> bool:
    """Return whether *row* is marked as deleted."""
    marked = model.deleted_at
    return marked is not None and row[marked.position] is not None
