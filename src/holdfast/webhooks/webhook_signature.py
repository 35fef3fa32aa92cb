"""Secrets and signatures of webhooks, in the form of Standard Webhooks 1.0 (HMAC-SHA256)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets

from holdfast.errors import InvalidValueError

_PREFIX = "whsec_"
_BYTES = 32


def new_secret() -> str:
    """Return a new secret of 256 random bits, as `whsec_` and base64."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(_BYTES)).decode()


def webhook_signature(secret: str, *, message: str, timestamp: int, body: bytes) -> str:
    """Return the signature, as in `v1,AbC...`, of *body* sent as *message* at *timestamp*.

    The timestamp is in seconds since 1970. A receiver computes the same of the headers
    `webhook-id` and `webhook-timestamp` and the bytes that came, compares it in constant time with
    each of those in `webhook-signature`, and refuses a timestamp that is minutes off. Raises
    InvalidValueError for a secret that is none.
    """
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (ValueError, binascii.Error):
        raise InvalidValueError("Webhook", "secret", "expected whsec_ and base64") from None
    signed = f"{message}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
