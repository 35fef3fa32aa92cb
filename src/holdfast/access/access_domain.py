"""The domain of access: the keys by which callers are known, and their routes."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

from holdfast.access.api_key import ApiKey
from holdfast.access.api_keys import ApiKeys
from holdfast.access.login_sessions import LoginSession, LoginSessions, PersonSession
from holdfast.domain import Domain

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from fastapi import APIRouter

    from holdfast.domain import DomainParts


def _service(parts: DomainParts) -> AbstractAsyncContextManager[object]:
    return nullcontext(ApiKeys(parts.store))


def _routes(parts: DomainParts) -> APIRouter:
    from holdfast.access.key_routes import key_routes  # noqa: PLC0415 - FastAPI is an extra

    return key_routes(parts.service(ApiKeys))


async def _upkeep(parts: DomainParts) -> None:
    await LoginSessions(parts.store).purge()


ACCESS = Domain(
    name="access",
    entities=(ApiKey, LoginSession, PersonSession),
    audited=(ApiKey, LoginSession, PersonSession),
    private=(ApiKey, LoginSession, PersonSession),
    service=_service,
    routes=_routes,
    upkeep=_upkeep,
)
"""Access: API keys, issued, rotated and revoked, and the sessions that stand for them."""
