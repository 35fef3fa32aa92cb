"""Webhooks: what happened is told to URLs, signed, through the transactional outbox of the jobs."""

from holdfast.webhooks.receiver import ReceiverNetworks
from holdfast.webhooks.webhook_entities import WEBHOOK_ENTITIES, Webhook, WebhookDelivery
from holdfast.webhooks.webhook_hook import WebhookHook
from holdfast.webhooks.webhook_request import WebhookSender
from holdfast.webhooks.webhook_signature import webhook_signature
from holdfast.webhooks.webhooks import Subscribed, Webhooks

__all__ = [
    "WEBHOOK_ENTITIES",
    "ReceiverNetworks",
    "Subscribed",
    "Webhook",
    "WebhookDelivery",
    "WebhookHook",
    "WebhookSender",
    "Webhooks",
    "webhook_signature",
]
