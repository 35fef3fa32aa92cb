"""The domain of webhooks: its entities, hook, service, handler, routes and upkeep."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, cast

from holdfast.domain import Domain
from holdfast.webhooks.receiver import ReceiverNetworks
from holdfast.webhooks.webhook_entities import WEBHOOK_ENTITIES, Webhook
from holdfast.webhooks.webhook_hook import TASK, WebhookHook
from holdfast.webhooks.webhook_request import WebhookSender
from holdfast.webhooks.webhooks import Webhooks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from fastapi import APIRouter

    from holdfast.domain import DomainParts
    from holdfast.jobs import Handler
    from holdfast.records import WriteHook


def _hooks(audited: tuple[type, ...]) -> Sequence[WriteHook]:  # noqa: ARG001 - the audit's
    return (WebhookHook(),)


def _service(parts: DomainParts) -> AbstractAsyncContextManager[object]:
    names = cast("Sequence[str]", parts.section("webhooks").get("networks", ()))
    sender = WebhookSender(ReceiverNetworks.of(names))
    return nullcontext(Webhooks(parts.store, sender))


def _handlers(parts: DomainParts) -> Mapping[str, Handler]:
    return {TASK: parts.service(Webhooks).deliver}


def _routes(parts: DomainParts) -> APIRouter:
    from holdfast.webhooks.webhook_routes import webhook_routes  # noqa: PLC0415 - an extra

    return webhook_routes(parts.service(Webhooks))


async def _upkeep(parts: DomainParts) -> None:
    await parts.service(Webhooks).remove_old_deliveries()


WEBHOOKS = Domain(
    name="webhooks",
    requires=("jobs",),
    entities=WEBHOOK_ENTITIES,
    audited=(Webhook,),
    private=WEBHOOK_ENTITIES,
    hooks=_hooks,
    service=_service,
    handlers=_handlers,
    routes=_routes,
    upkeep=_upkeep,
)
"""Webhooks: URLs that are told of events, signed."""
