"""The blocking twin of the audit's log: the same names without `await`, on a blocking store."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from holdfast.audit.audit_log import AuditLog as AsyncAuditLog
from holdfast.blocking import BlockingTwin, blocking, documented_by

if TYPE_CHECKING:
    from datetime import datetime

    from holdfast.audit.row_snapshot import RowSnapshot
    from holdfast.sync import Store

E = TypeVar("E")


class AuditLog(BlockingTwin[AsyncAuditLog]):
    """The entries of a blocking store that was opened with an `AuditHook`.

    Each call is one on the store: it takes part in the transaction around it.
    """

    def __init__(self, store: Store) -> None:
        self.asynchronous = AsyncAuditLog(store.asynchronous)

    record = blocking(AsyncAuditLog.record)
    get = blocking(AsyncAuditLog.get)
    history = blocking(AsyncAuditLog.history)
    search = blocking(AsyncAuditLog.search)
    diff = blocking(AsyncAuditLog.diff)

    @documented_by(AsyncAuditLog.as_of)
    def as_of(self, entity: type[E], key: object, at: datetime) -> RowSnapshot[E] | None:
        return self.step(self.asynchronous.as_of(entity, key, at))

    @documented_by(AsyncAuditLog.restore)
    def restore(self, entity: type[E], key: object, at: datetime) -> E:
        return self.step(self.asynchronous.restore(entity, key, at))
