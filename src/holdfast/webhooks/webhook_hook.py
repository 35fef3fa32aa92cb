"""The write hook that makes events into deliveries: jobs, enqueued in the event's transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from holdfast.jobs import EnqueueOptions, Job, Jobs
from holdfast.uuid7 import uuid7
from holdfast.webhooks.webhook_entities import WEBHOOK_ENTITIES, Webhook

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from uuid import UUID

    from holdfast.records import RowChange, Store, StoreEvent
    from holdfast.records.entities.model import Model

TASK = "webhook.deliver"
BODY_BYTES = 64 * 1024
"""How long the body of a request may be; details that would make it longer are left out."""
_ATTEMPTS = 20  # with the backoff of jobs, over five to ten hours
_OPTIONS = EnqueueOptions(max_attempts=_ATTEMPTS, priority=10)  # before what takes minutes


class WebhookHook:
    """Enqueues a delivery for each active webhook that wants an event, in its transaction.

    Give it to `open_store(..., hooks=[WebhookHook()])`; webhooks and jobs lie in the same store.
    What is undone is never sent, and what is committed is not forgotten. Changes of rows are no
    events, and are not told.
    """

    entities: Sequence[type] = (*WEBHOOK_ENTITIES, Job)

    def watches(self, model: Model[object]) -> bool:  # noqa: ARG002
        """See `WriteHook`."""
        return False

    async def changed(self, store: Store, changes: Sequence[RowChange]) -> None:
        """See `WriteHook`."""

    async def happened(self, store: Store, event: StoreEvent) -> None:
        """See `WriteHook`."""
        active = await store.repository(Webhook).find(Webhook.active == True)  # noqa: E712
        wanting = [each.id for each in active if wants(each.events, event.name)]
        if wanting:
            await enqueue_deliveries(store, wanting, event)


def wants(patterns: Iterable[str], name: str) -> bool:
    """Return whether one of *patterns* fits the event *name*: the name, `model.*` or `*`."""
    return any(
        pattern in (name, "*") or (pattern.endswith(".*") and name.startswith(pattern[:-1]))
        for pattern in patterns
    )


async def enqueue_deliveries(
    store: Store, webhooks: Iterable[UUID], event: StoreEvent
) -> Sequence[Job]:
    """Enqueue the delivery of *event* to *webhooks*, as one message, and return the jobs."""
    jobs, message = Jobs(store), f"msg_{uuid7().hex}"
    body = event_body(event, store)
    return [
        (
            await jobs.enqueue(
                TASK,
                {"webhook": str(each), "message": message, "event": event.name, "body": body},
                options=_OPTIONS,
            )
        ).job
        for each in webhooks
    ]


def event_body(event: StoreEvent, store: Store) -> str:
    """Return what is sent of *event*: the same bytes in each attempt, for they are signed."""
    data = {"entity": event.entity, "key": event.key, "details": dict(event.details)}
    whole = {"type": event.name, "timestamp": store.now().isoformat(), "data": data}
    body = orjson.dumps(whole)
    if len(body) > BODY_BYTES:
        whole["data"] = {**data, "details": None, "details_left_out": True}
        body = orjson.dumps(whole)
    return body.decode()
