"""The entities of webhooks: who is told of which events, and the log of what was sent."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from holdfast.records import Entity, Field, created_at, field, key, version
from holdfast.uuid7 import uuid7

URL_LENGTH = 2_000
ERROR_LENGTH = 500


class Webhook(Entity, table="webhooks", indexes=[("active",)]):
    """A URL that is told of *events* while it is *active*. Only `Webhooks` writes it.

    The secret is stored as it is, since it signs; after a rotation the one before it signs too,
    until *former_until*.
    """

    id: Field[UUID] = key(default_factory=uuid7)
    url: Field[str] = field(max_length=URL_LENGTH)
    events: Field[list[str]]
    secret: Field[str] = field(max_length=100, audit="redact")
    former_secret: Field[str | None] = field(default=None, max_length=100, audit="redact")
    former_until: Field[datetime | None] = field(default=None)
    active: Field[bool] = field(default=True)
    created_at: Field[datetime] = created_at()
    version: Field[int] = version()


class WebhookDelivery(Entity, table="webhook_deliveries", indexes=[("webhook_id", "id"), ("at",)]):
    """One attempt to tell a webhook of an event, and what came of it.

    *message* is the same in all attempts at one event; *seconds* is how long this one took.
    *status* is that of the answer, None where none came: then *error* says why.
    """

    id: Field[UUID] = key(default_factory=uuid7)
    webhook_id: Field[UUID]
    message: Field[str] = field(max_length=100)
    event: Field[str] = field(max_length=200)
    attempt: Field[int]
    at: Field[datetime]
    seconds: Field[float]
    status: Field[int | None] = field(default=None)
    error: Field[str | None] = field(default=None, max_length=ERROR_LENGTH)


WEBHOOK_ENTITIES = (Webhook, WebhookDelivery)
"""The entities that a store of webhooks is opened with."""
