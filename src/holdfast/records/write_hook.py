"""The contract of write hooks: who is told of each changed row, inside its transaction."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from holdfast.records.driver import ChangeRecord

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from holdfast.records.entities.model import Model, Row
    from holdfast.records.store import Store


__all__ = [
    "ChangeRecord",
    "RowChange",
    "StatementHook",
    "StoreEvent",
    "WriteHook",
    "WriteVerb",
]


class WriteVerb(StrEnum):
    """What changed a row: a repository's verb, those for one and many rows alike, or a reference.

    `add_many` is ADD, `upsert_many` UPSERT, `take` UPDATE_WHERE, `delete_many` and `delete_where`
    DELETE.
    """

    ADD = "add"
    UPDATE = "update"
    PATCH = "patch"
    UPSERT = "upsert"
    UPDATE_WHERE = "update_where"
    DELETE = "delete"
    CASCADE = "cascade"
    """The row that it points at was deleted: it went too, or its reference became null.

    Or that one was marked as deleted, or restored, and it with it.
    """
    SOFT_DELETE = "soft_delete"
    """The row was marked as deleted, and is there still: a deletion where there is deleted_at()."""
    RESTORE = "restore"


@dataclass(frozen=True, slots=True)
class RowChange:
    """One row as a write found it and left it, in row values as the store returns them.

    *before* is None for a row that was added, *after* for one that was removed. The row was locked
    between the two, so that the *after* of one change is the *before* of the row's next.
    """

    model: Model[object]
    verb: WriteVerb
    before: Row | None
    after: Row | None

    @property
    def entity(self) -> type:
        """The class of the row's entity."""
        return self.model.entity

    @property
    def key(self) -> object:
        """The row's key, as a row value; of a composite key a tuple of them."""
        row = self.before if self.after is None else self.after
        assert row is not None
        return self.model.key_of(row)

    @property
    def changed(self) -> tuple[str, ...]:
        """The names of the fields whose values differ; all of them for a new or removed row."""
        before, after = self.before, self.after
        return tuple(
            spec.name
            for spec in self.model.fields
            if before is None or after is None or before[spec.position] != after[spec.position]
        )


@dataclass(frozen=True, slots=True)
class StoreEvent:
    """Something that happened and is no change of a row: a promotion, a login, a cancellation.

    *name* says what, as in `model.promoted`; *entity* and *key* whom it happened to. *details* is
    JSON.
    """

    name: str
    entity: str
    key: str
    details: Mapping[str, object] = field(default_factory=dict)


@runtime_checkable
class StatementHook(Protocol):
    """A `WriteHook` that keeps a row for each changed one, which the store may insert by itself.

    Where a store can, it inserts the record in the statement of an `update` or a `patch`, and
    `WriteHook.changed` is not called for it.
    """

    def record_of(
        self, store: Store, model: Model[object], verb: WriteVerb, key: object
    ) -> ChangeRecord:
        """Return the record of a change of the row under *key*, without what changed."""
        ...


class WriteHook(Protocol):
    """Is told of what a store's repositories write: given to `open_store(..., hooks=[...])`.

    Both methods are awaited inside the transaction of the write, before it can commit; what they
    write through repositories of the store is a part of it. Who acts is told by
    `holdfast.acting.acting`. What they raise escapes from the write, and the transaction around it
    can only be undone then: a write that was not recorded is none. On a blocking store they must
    not wait for an event loop.
    """

    @property
    def entities(self) -> Sequence[type]:
        """What the hook keeps in the store itself, beside the entities that it was opened with."""
        ...

    def watches(self, model: Model[object]) -> bool:
        """Return whether the hook is told of changes of *model*; asked once, at the opening."""
        ...

    async def changed(self, store: Store, changes: Sequence[RowChange]) -> None:
        """Take note of the *changes* that one call made to rows that the hook watches."""
        ...

    async def happened(self, store: Store, event: StoreEvent) -> None:
        """Take note of *event*."""
        ...
