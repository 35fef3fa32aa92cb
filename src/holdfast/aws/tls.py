"""Verified TLS."""

from __future__ import annotations

import ssl
from functools import cache

from holdfast.errors import ConfigurationError


@cache
def verifying(ca_bundle: str | None) -> ssl.SSLContext:
    """Return a context that verifies certificate and host name, by *ca_bundle* or the system's.

    Raises ConfigurationError when the bundle can't be read.
    """
    try:
        return ssl.create_default_context(cafile=ca_bundle)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"the CA bundle {ca_bundle!r} can't be used: {error}") from None
