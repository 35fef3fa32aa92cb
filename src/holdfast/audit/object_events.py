"""Writes of objects as events of the audit."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from holdfast.objects.instrumentation import WriteEvent
    from holdfast.records import Store

EXPORTER = "holdfast.audit"
"""As whom the log is copied into a bucket."""
_NAMED = 100  # keys of one write that are listed


def object_events(store: Store) -> Callable[[WriteEvent], Awaitable[None]]:
    """Return what a bucket's `Hooks(audit=...)` takes, to record each write by *store*'s hooks.

    The event is called `object.put`, `object.delete` and so on. Its key is the first key written;
    its details are the keys (the first hundred) with their number, the size in bytes, the version,
    and the error that the write raised. In a transaction of *store* it is a part of that. Copies of
    the log itself, by EXPORTER, are no events: each would make entries to be copied in turn.
    """

    async def record(event: WriteEvent) -> None:
        if event.actor == EXPORTER:
            return
        details: dict[str, object] = {
            "keys": list(event.keys[:_NAMED]),
            "count": len(event.keys),
            "size": event.size,
            "version": event.version,
            "error": event.error,
        }
        if event.actor is not None:
            details["actor"] = event.actor
        key = event.keys[0] if event.keys else ""
        await store.record_event(
            f"object.{event.operation}", entity="Object", key=key, details=details
        )

    return record
