"""The requests to an OpenID provider: bounded in time and bytes, by TLS, and never redirected."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import ssl
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx

from holdfast.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping

SECONDS = 10.0
"""How long a request may take, with all of its answer."""
ANSWER_BYTES = 512 * 1024
"""How long an answer may be."""
_HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity"}


@dataclass(frozen=True, slots=True)
class ProviderAnswer:
    """An answer of a provider: its *status*, and the JSON object in it, empty where it has none."""

    status: int
    content: Mapping[str, object]


async def asked(
    url: str,
    *,
    form: Mapping[str, str] | None = None,
    basic: tuple[str, str] | None = None,
) -> ProviderAnswer:
    """Return what is answered at *url*: to a GET, or to a POST of *form*, as the client *basic*.

    Raises UnavailableError where nothing is, too late or too much.
    """
    try:
        async with (
            asyncio.timeout(SECONDS),
            _client(await asyncio.to_thread(_system_tls)) as client,
        ):
            request = client.build_request(
                "GET" if form is None else "POST", url, data=form, headers=_HEADERS
            )
            answer = await client.send(request, auth=basic, stream=True)
            content = bytearray()
            async for chunk in answer.aiter_raw():
                content += chunk
                if len(content) > ANSWER_BYTES:
                    raise UnavailableError(f"{url} answers with more than {ANSWER_BYTES} bytes")
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError) as error:
        said = str(error) or type(error).__name__
        raise UnavailableError(f"{url} does not answer: {said}") from error
    return ProviderAnswer(answer.status_code, _object(bytes(content)))


def is_safe(url: str, *, clear: bool) -> bool:
    """Return whether *url* may be asked, or a browser sent there.

    It has to be https; where *clear*, http to this machine is fine too.
    """
    if not url.isascii() or not url.isprintable() or any(each in url for each in ' "<>\\#'):
        return False
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        return False
    if not host or "@" in parts.netloc:
        return False
    return parts.scheme == "https" or (clear and parts.scheme == "http" and _is_loopback(host))


def _client(tls: ssl.SSLContext) -> httpx.AsyncClient:
    return httpx.AsyncClient(verify=tls, timeout=SECONDS, follow_redirects=False, trust_env=False)


@cache
def _system_tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _object(content: bytes) -> Mapping[str, object]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
