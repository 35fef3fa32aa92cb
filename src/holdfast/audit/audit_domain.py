"""The domain of the audit: its entities, hook, service, handler and routes."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

from holdfast.audit.audit_entry import AUDIT_ENTITIES
from holdfast.audit.audit_hook import AuditHook
from holdfast.audit.log_keeper import LogKeeper
from holdfast.domain import Domain

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from fastapi import APIRouter

    from holdfast.domain import DomainParts
    from holdfast.records import WriteHook


def _hooks(audited: tuple[type, ...]) -> Sequence[WriteHook]:
    return (AuditHook(also=audited),)


def _service(parts: DomainParts) -> AbstractAsyncContextManager[object]:
    return nullcontext(LogKeeper.of(parts))


def _handlers(parts: DomainParts) -> Mapping[str, Callable[[object], Awaitable[object]]]:
    keeper = parts.service(LogKeeper)

    async def sequence(_context: object) -> dict[str, object]:
        return {"sequenced": await keeper.sequence()}

    return {"audit.sequence": sequence}


async def _each_minute(parts: DomainParts) -> None:
    await parts.service(LogKeeper).sequence()


def _routes(parts: DomainParts) -> APIRouter:
    from holdfast.audit.audit_routes import audit_routes  # noqa: PLC0415 - FastAPI is an extra

    return audit_routes(parts.service(LogKeeper))


AUDIT = Domain(
    name="audit",
    entities=AUDIT_ENTITIES,
    private=AUDIT_ENTITIES,
    hooks=_hooks,
    service=_service,
    handlers=_handlers,
    routes=_routes,
    each_minute=_each_minute,
)
"""Audit: who changed what, when and why, in a log that can be proved."""
