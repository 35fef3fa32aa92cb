"""Endpoints and proxies: where requests go, and the TLS that verifies them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from holdfast.backend_url import redacted
from holdfast.errors import ConfigurationError

if TYPE_CHECKING:
    import ssl


@dataclass(frozen=True, slots=True)
class HTTPEndpoint:
    """Scheme, host and port of a server."""

    secure: bool
    host: str
    port: int

    @property
    def authority(self) -> str:
        """The value of the header ``Host``."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """Scheme, host and port, without a path."""
        return f"{'https' if self.secure else 'http'}://{self.authority}"


@dataclass(frozen=True, slots=True)
class HTTPProxy:
    """Where a proxy listens, and what it is told of who asks; that is not shown."""

    host: str
    port: int
    authorization: str | None = field(default=None, repr=False)

    def headers(self) -> dict[str, str]:
        """Return the headers that are for the proxy alone."""
        return {} if self.authorization is None else {"proxy-authorization": self.authorization}


def endpoint_of(url: str) -> HTTPEndpoint:
    """Return the endpoint that *url*, ``http://host:port`` or ``https://host``, names.

    Raises ConfigurationError for anything else, also for a path, a user or a query.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # its text may quote a password
        raise ConfigurationError(
            f"{redacted(url)!r} is not the URL of an endpoint: its host or port can't be read"
        ) from None
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or not parts.hostname.isascii()
        or parts.path not in ("", "/")
        or parts.query
        or parts.fragment
        or "@" in parts.netloc
    ):
        raise ConfigurationError(
            f"{redacted(url)!r}: expected an endpoint like https://host:port, no more"
        )
    secure = parts.scheme == "https"
    return HTTPEndpoint(secure, parts.hostname, port or (443 if secure else 80))


@cache
def verified_tls(ca_bundle: str | None) -> ssl.SSLContext:
    """Return a context that verifies certificate and host name, by *ca_bundle* or the system's.

    Raises ConfigurationError when the bundle can't be read.
    """
    import ssl  # noqa: PLC0415 - only a secure endpoint needs it

    try:
        return ssl.create_default_context(cafile=ca_bundle)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"the CA bundle {ca_bundle!r} can't be used: {error}") from None
