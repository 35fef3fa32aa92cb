"""HTTP proxies: which one the environment names for an endpoint, and the tunnel through one."""

from __future__ import annotations

import base64
import ipaddress
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from holdfast.aws.endpoint import HTTPProxy
from holdfast.backend_url import redacted
from holdfast.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.aws.endpoint import HTTPEndpoint
    from holdfast.aws.network import NetworkConnection

_LONGEST_HEAD = 64 * 1024
_ACCEPTED = 200
_DEFAULT_PORT = 80


def proxy_for(endpoint: HTTPEndpoint, environment: Mapping[str, str]) -> HTTPProxy | None:
    """Return the proxy that *environment* names for *endpoint*, None for a direct connection.

    ``HTTPS_PROXY`` or ``HTTP_PROXY`` by the endpoint's scheme, else ``ALL_PROXY``; the names in
    lower case count first. ``NO_PROXY`` lists what is reached directly: hosts with all below
    them, addresses, networks such as 10.0.0.0/8, each with a port or without, or ``*``. Raises
    ConfigurationError for a proxy that is not spoken to by plain HTTP.
    """
    names = ["https_proxy"] if endpoint.secure else ["http_proxy"]
    url = ""
    for name in (*names, "all_proxy"):
        url = environment.get(name, "")
        if not url and not (name == "http_proxy" and "REQUEST_METHOD" in environment):
            url = environment.get(name.upper(), "")  # in a CGI it is a header of the client's
        if url:
            break
    if not url or _is_direct(endpoint, environment):
        return None
    return _parsed(url)


async def open_tunnel(
    connection: NetworkConnection, endpoint: HTTPEndpoint, proxy: HTTPProxy, seconds: float
) -> None:
    """Have *proxy*, to which *connection* leads, pass on all that follows to *endpoint*.

    Raises ConnectionError when it refuses, OSError, TimeoutError.
    """
    host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    place = f"{host}:{endpoint.port}"
    lines = [f"CONNECT {place} HTTP/1.1", f"host: {place}"]
    lines += [f"{name}: {text}" for name, text in proxy.headers().items()]
    await connection.send("\r\n".join([*lines, "", ""]).encode(), seconds)
    head = b""
    while b"\r\n\r\n" not in head:
        data = await connection.receive(seconds)
        head += data
        if not data or len(head) > _LONGEST_HEAD:
            raise ConnectionError(f"the proxy {proxy.host}:{proxy.port} gives no answer")
    status = head.partition(b"\r\n")[0].split(b" ")
    if len(status) < 2 or status[1] != b"%d" % _ACCEPTED:
        said = head.partition(b"\r\n")[0].decode("ascii", "replace")[:100]
        raise ConnectionError(f"the proxy {proxy.host}:{proxy.port} refuses {place}: {said!r}")


def _parsed(url: str) -> HTTPProxy:
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        host, port = parts.hostname, parts.port
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
    except ValueError:
        host, port, user, password = None, None, "", ""
        parts = urlsplit("http:")
    if parts.scheme != "http" or not host or parts.path not in ("", "/"):
        raise ConfigurationError(
            f"the environment names the proxy {redacted(url)!r}, expected http://host:port; "
            "to go past it, add the server's host to NO_PROXY"
        )
    authorization = None
    if user:
        login = base64.b64encode(f"{user}:{password}".encode()).decode()
        authorization = f"Basic {login}"
    return HTTPProxy(host, port or _DEFAULT_PORT, authorization)


def _is_direct(endpoint: HTTPEndpoint, environment: Mapping[str, str]) -> bool:
    listed = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    return any(_names(entry, endpoint) for entry in listed.replace(",", " ").split())


def _names(entry: str, endpoint: HTTPEndpoint) -> bool:
    """Return whether *entry* of NO_PROXY stands for *endpoint*."""
    if entry == "*":
        return True
    name, port = _split(entry.lower())
    if port is not None and port != endpoint.port:
        return False
    host = endpoint.host.lower().rstrip(".")
    with suppress(ValueError):
        address = ipaddress.ip_address(host)
        with suppress(ValueError):
            return address in ipaddress.ip_network(name, strict=False)
        return False
    name = name.removeprefix("*").removeprefix(".").rstrip(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))


def _split(entry: str) -> tuple[str, int | None]:
    """Return the host or network in *entry*, and its port if it has one."""
    if entry.startswith("["):
        host, _, rest = entry[1:].partition("]")
        digits = rest.removeprefix(":")
    elif entry.count(":") == 1:
        host, _, digits = entry.partition(":")
    else:
        return entry, None
    return host, int(digits) if digits.isascii() and digits.isdigit() and digits[5:] == "" else None
