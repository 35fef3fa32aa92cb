"""Where requests go."""

from __future__ import annotations

from dataclasses import dataclass
from urllib import request
from urllib.parse import urlsplit

from holdfast.backend_url import redacted
from holdfast.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port of a server."""

    secure: bool
    host: str
    port: int

    @property
    def authority(self) -> str:
        """The value of the header ``Host``."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"


def origin_of(url: str) -> Origin:
    """Return the origin that *url*, ``http://host:port`` or ``https://host``, names.

    Raises ConfigurationError for anything else, also for a path, a user or a query.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # its text may quote a password
        raise ConfigurationError(
            f"{redacted(url)!r} is no URL of an endpoint: its host or port can't be read"
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
    return Origin(secure, parts.hostname, port or (443 if secure else 80))


def refuse_proxy(origin: Origin) -> None:
    """Raise ConfigurationError when the environment sends *origin* through a proxy.

    Holdfast speaks to servers directly; going past a proxy in silence would be a surprise.
    """
    proxies = request.getproxies_environment()
    proxy = proxies.get("https" if origin.secure else "http") or proxies.get("all")
    if proxy and not request.proxy_bypass(origin.host):
        raise ConfigurationError(
            f"the environment names a proxy for {origin.host}, and Holdfast goes through none; "
            f"add {origin.host} to NO_PROXY"
        )
