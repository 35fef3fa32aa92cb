"""Webhooks: subscribed, rotated, paused, removed, delivered to, and the log of that."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from holdfast.errors import (
    InvalidValueError,
    NotFoundError,
    PermanentError,
    UnavailableError,
)
from holdfast.records import StoreEvent
from holdfast.webhooks.receiver import Receiver
from holdfast.webhooks.webhook_entities import ERROR_LENGTH, Webhook, WebhookDelivery
from holdfast.webhooks.webhook_hook import enqueue_deliveries
from holdfast.webhooks.webhook_request import WebhookSender
from holdfast.webhooks.webhook_signature import new_secret, webhook_signature

if TYPE_CHECKING:
    from collections.abc import Iterable

    from holdfast.jobs import Context, Job
    from holdfast.records import Page, Store

_EVENT = re.compile(r"\*|[a-z][a-z0-9_]*(\.[a-z0-9_]+)*(\.\*)?")
_MOST_EVENTS = 100
_GRACE = timedelta(hours=24)
_KEPT = timedelta(days=30)
_GONE = 410


@dataclass(frozen=True, slots=True)
class Subscribed:
    """A webhook with its *secret*, for its receiver."""

    webhook: Webhook
    secret: str

    def __repr__(self) -> str:
        return f"Subscribed(webhook={self.webhook.id})"


class Webhooks:
    """The webhooks of a store that was opened with a `WebhookHook`.

    Each call but `deliver` is one of the store, and takes part in the transaction around it.
    """

    def __init__(self, store: Store, sender: WebhookSender | None = None) -> None:
        self.store = store
        self._sender = WebhookSender() if sender is None else sender
        self._webhooks = store.repository(Webhook)
        self._deliveries = store.repository(WebhookDelivery)

    # --- who is told ------------------------------------------------------------------------

    async def subscribe(self, url: str, events: Iterable[str]) -> Subscribed:
        """Have *url* told of *events*: names such as `model.promoted`, `model.*`, or `*`.

        Raises InvalidValueError, also for a URL that says itself that it can't be reached: one of
        http beyond this machine, or an address in a network that is not allowed.
        """
        self._check_url(url)
        secret = new_secret()
        webhook = Webhook(url=url, events=_checked_events(events), secret=secret)
        return Subscribed(await self._webhooks.add(webhook), secret)

    async def list(self) -> list[Webhook]:
        """Return all webhooks, newest first, paused ones included."""
        return await self._webhooks.find(order_by=Webhook.id.desc())

    async def get(self, webhook_id: UUID) -> Webhook:
        """Return a webhook. Raises NotFoundError."""
        return await self._webhooks.get_one(webhook_id)

    async def set_active(self, webhook_id: UUID, *, active: bool) -> Webhook:
        """Pause a webhook, or go on with it. Raises NotFoundError.

        One that is paused is told nothing: neither of what happens meanwhile nor of what waits.
        """
        return await self._webhooks.patch(webhook_id, Webhook.active.to(active))

    async def rotate(self, webhook_id: UUID, *, grace: timedelta = _GRACE) -> Subscribed:
        """Give a webhook another secret; the one before it signs too, for *grace* yet.

        Raises NotFoundError, InvalidValueError for a *grace* below 0, and PreconditionFailedError
        when it was rotated at the same moment.
        """
        if grace < timedelta(0):
            raise InvalidValueError("Webhook", "grace", f"is {grace}; expected 0 or more")
        webhook = await self._webhooks.get_one(webhook_id)
        secret = new_secret()
        changed = await self._webhooks.patch(
            webhook_id,
            Webhook.former_secret.to(webhook.secret),
            Webhook.former_until.to(self.store.now() + grace),
            Webhook.secret.to(secret),
            when=Webhook.secret == webhook.secret,
        )
        return Subscribed(changed, secret)

    async def remove(self, webhook_id: UUID) -> None:
        """Remove a webhook and its log of deliveries, at once. Raises NotFoundError."""
        async with self.store.transaction():
            if not await self._webhooks.delete(webhook_id):
                raise NotFoundError("Webhook", webhook_id)
            await self._deliveries.delete_where(WebhookDelivery.webhook_id == webhook_id)

    # --- what it is told --------------------------------------------------------------------

    async def ping(self, webhook_id: UUID) -> Job:
        """Enqueue the event `webhook.ping` for this webhook alone, and return its job.

        Raises NotFoundError.
        """
        webhook = await self._webhooks.get_one(webhook_id)
        event = StoreEvent("webhook.ping", "Webhook", str(webhook.id))
        (job,) = await enqueue_deliveries(self.store, [webhook.id], event)
        return job

    async def deliver(self, context: Context) -> dict[str, object]:
        """Do the job of one delivery: the handler of the task `webhook.deliver`.

        Each attempt is logged. Raises UnavailableError for one that may be made again, and
        PermanentError for one that may not: to an address that is not permitted, or answered by
        410, which also pauses the webhook. A webhook that is gone or paused is told nothing.
        """
        payload = context.job.payload
        webhook = await self._webhooks.get(UUID(str(payload["webhook"])))
        if webhook is None or not webhook.active:
            return {"sent": False}
        message, event = str(payload["message"]), str(payload["event"])
        began, failure = time.perf_counter(), None
        at, status = self.store.now(), None
        try:
            status = await self._post(webhook, message, str(payload["body"]).encode())
        except (OSError, PermanentError) as error:
            failure = error
        await self._deliveries.add(
            WebhookDelivery(
                webhook_id=webhook.id,
                message=message,
                event=event,
                attempt=context.job.attempts,
                at=at,
                seconds=time.perf_counter() - began,
                status=status,
                error=None if failure is None else _told(failure),
            )
        )
        if isinstance(failure, PermanentError):
            raise failure
        if failure is not None:
            raise UnavailableError(f"the webhook {webhook.id}: {_told(failure)}") from failure
        if status == _GONE:
            await self._paused(webhook.id)
            raise PermanentError(f"the webhook {webhook.id} answered 410: it was paused")
        if status is None or not 200 <= status < 300:
            raise UnavailableError(f"the webhook {webhook.id} answered {status}")
        return {"sent": True, "status": status}

    async def deliveries(
        self, webhook_id: UUID, *, size: int = 50, cursor: str | None = None
    ) -> Page[WebhookDelivery]:
        """Return a page of the attempts for a webhook, the latest first. Raises NotFoundError."""
        await self._webhooks.get_one(webhook_id)
        return await self._deliveries.page(
            WebhookDelivery.webhook_id == webhook_id,
            order_by=WebhookDelivery.id.desc(),
            size=size,
            cursor=cursor,
        )

    async def remove_old_deliveries(self, older_than: timedelta = _KEPT) -> int:
        """Remove what the log has of attempts longer ago than that; return how many."""
        return await self._deliveries.delete_where(
            WebhookDelivery.at < self.store.now() - older_than
        )

    # --- parts ------------------------------------------------------------------------------

    def _check_url(self, url: str) -> None:
        receiver = Receiver.of(url)
        networks, address = self._sender.networks, receiver.address
        if address is not None:
            try:
                networks.check(receiver, address)
            except PermanentError as error:
                raise InvalidValueError("Webhook", "url", str(error)) from None
        if not receiver.secure and not networks.allowed:
            raise InvalidValueError("Webhook", "url", "expected https://")

    async def _post(self, webhook: Webhook, message: str, body: bytes) -> int:
        now = self.store.now()
        timestamp = int(now.timestamp())
        keys = [webhook.secret]
        if webhook.former_secret and webhook.former_until and now < webhook.former_until:
            keys.append(webhook.former_secret)
        signatures = [
            webhook_signature(each, message=message, timestamp=timestamp, body=body)
            for each in keys
        ]
        headers = {
            "user-agent": "holdfast",
            "webhook-id": message,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": " ".join(signatures),
        }
        return await self._sender.post(Receiver.of(webhook.url), headers, body)

    async def _paused(self, webhook_id: UUID) -> None:
        try:
            await self.set_active(webhook_id, active=False)
        except NotFoundError:
            return  # it was removed meanwhile, which is as good


def _checked_events(events: Iterable[str]) -> list[str]:
    wanted = sorted(set(events))
    if not 1 <= len(wanted) <= _MOST_EVENTS:
        raise InvalidValueError("Webhook", "events", f"expected 1 to {_MOST_EVENTS} names")
    for each in wanted:
        if len(each) > 200 or not _EVENT.fullmatch(each):
            raise InvalidValueError(
                "Webhook", "events", f"{each!r}: expected names such as model.promoted, model.*, *"
            )
    return wanted


def _told(failure: Exception) -> str:
    """Return what the log says of *failure*; of an answer's content there is nothing in it."""
    if isinstance(failure, TimeoutError) and not str(failure):
        return "no answer in time"
    return f"{type(failure).__name__}: {failure}"[:ERROR_LENGTH]
