"""The routes of webhooks: an administrator subscribes, rotates, pauses, removes, and looks on."""

from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Query
from pydantic import BaseModel, ConfigDict, Field

from holdfast.access import Role
from holdfast.access.gate import allow
from holdfast.fastapi import OutModel, Writing, problem_responses
from holdfast.fastapi.crud.page_cursors import sealed_page, unsealed_cursor
from holdfast.webhooks.webhook_entities import URL_LENGTH, Webhook, WebhookDelivery
from holdfast.webhooks.webhooks import Subscribed, Webhooks


class WebhookOut(
    OutModel[Webhook], hide=[Webhook.secret, Webhook.former_secret, Webhook.former_until]
):
    """A webhook, without its secret."""


class WebhookDeliveryOut(OutModel[WebhookDelivery]):
    """One attempt to tell a webhook of an event, and what came of it."""


class DeliveryPage(BaseModel):
    """A page of deliveries; *next* is the cursor to the one behind it."""

    items: list[WebhookDeliveryOut]
    next: str | None
    previous: str | None


class WebhookAsked(BaseModel):
    """Which URL is to be told of which events: `model.promoted`, `model.*`, or `*`."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(min_length=1, max_length=URL_LENGTH)
    events: list[str] = Field(min_length=1, max_length=100)


class WebhookSubscribed(BaseModel):
    """A webhook and its *secret*, which verifies what it is sent."""

    webhook: WebhookOut
    secret: str


class PingEnqueued(BaseModel):
    """The job that tells a webhook of `webhook.ping`."""

    job_id: UUID


def webhook_routes(webhooks: Webhooks) -> APIRouter:
    """Return the routes of *webhooks*. All are for administrators."""
    router = APIRouter(tags=["webhooks"], prefix="/webhooks", dependencies=[allow(Role.ADMIN)])

    @router.get("")
    async def list_webhooks() -> list[WebhookOut]:
        """List all webhooks, newest first, paused ones too."""
        return [WebhookOut.of(each) for each in await webhooks.list()]

    @router.post("", status_code=201)
    async def subscribe(asked: WebhookAsked, _tx: Writing) -> WebhookSubscribed:
        """Have a URL told of events. The secret is in this answer and in no other."""
        return _subscribed(await webhooks.subscribe(asked.url, asked.events))

    @router.patch("/{webhook_id}", responses=problem_responses(404))
    async def set_active(
        webhook_id: UUID, active: Annotated[bool, Body(embed=True)], _tx: Writing
    ) -> WebhookOut:
        """Pause a webhook, or go on with it; one that is paused is told nothing."""
        return WebhookOut.of(await webhooks.set_active(webhook_id, active=active))

    @router.post("/{webhook_id}/rotation", responses=problem_responses(404))
    async def rotate(
        webhook_id: UUID,
        _tx: Writing,
        grace: Annotated[float, Body(embed=True, ge=0, le=30 * 86_400)] = 86_400,
    ) -> WebhookSubscribed:
        """Give a webhook another secret; the old one signs too, for *grace* seconds yet."""
        return _subscribed(await webhooks.rotate(webhook_id, grace=timedelta(seconds=grace)))

    @router.post("/{webhook_id}/ping", status_code=202, responses=problem_responses(404))
    async def ping(webhook_id: UUID, _tx: Writing) -> PingEnqueued:
        """Tell a webhook of `webhook.ping`, to see whether it is reached."""
        return PingEnqueued(job_id=(await webhooks.ping(webhook_id)).id)

    @router.get("/{webhook_id}/deliveries", responses=problem_responses(404))
    async def deliveries(
        webhook_id: UUID,
        size: Annotated[int, Query(ge=1, le=500)] = 50,
        cursor: Annotated[str | None, Query(max_length=4096)] = None,
    ) -> DeliveryPage:
        """List the attempts to tell a webhook of events, the latest first."""
        found = await webhooks.deliveries(webhook_id, size=size, cursor=unsealed_cursor(cursor))
        page = sealed_page(found)
        return DeliveryPage(
            items=[WebhookDeliveryOut.of(each) for each in page.items],
            next=page.next,
            previous=page.previous,
        )

    @router.delete("/{webhook_id}", status_code=204, responses=problem_responses(404))
    async def remove(webhook_id: UUID, _tx: Writing) -> None:
        """Remove a webhook and its log."""
        await webhooks.remove(webhook_id)

    return router


def _subscribed(found: Subscribed) -> WebhookSubscribed:
    return WebhookSubscribed(webhook=WebhookOut.of(found.webhook), secret=found.secret)
