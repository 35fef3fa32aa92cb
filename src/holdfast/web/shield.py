"""What stands before every route: which names are answered to, whose pages may write, and headers.

The headers keep a browser from doing more with an answer than it should.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection

from holdfast.fastapi.page_origin import SAFE_METHODS, is_own_page
from holdfast.fastapi.problems.problem import ProblemError, problem_response

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True, slots=True)
class Shield:
    """Middleware around *app* that answers to the names of *hosts* alone, without their port.

    A page of another origin may not write, unless *origins* (`https://console.example`) has it.
    A header that a route sets itself is left as it is.
    """

    app: ASGIApp
    hosts: AbstractSet[str] = LOOPBACK_NAMES
    origins: AbstractSet[str] = frozenset()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, as ASGI has it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def shielded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._refusal(scope["method"], Headers(scope=scope))
        if refusal is None:
            await self.app(scope, receive, shielded)
        else:
            await problem_response(HTTPConnection(scope), refusal)(scope, receive, shielded)

    def _refusal(self, method: str, headers: Headers) -> ProblemError | None:
        hosts = headers.getlist("host")
        if len(hosts) != 1 or host_name(hosts[0]) not in self.hosts:
            return ProblemError(
                421,
                "this server does not answer to the name in the Host header; "
                "`holdfast serve --allowed-host` adds one",
                kind="unknown-host",
                title="Unknown host",
            )
        if method in SAFE_METHODS or is_own_page(headers, self.origins):
            return None
        return ProblemError(
            403,
            "a page of another origin may not write here; `--allowed-origin` lets it",
            kind="foreign-origin",
            title="Foreign origin",
        )


def host_name(host: str) -> str:
    """Return the name in a Host header without its port, in small letters."""
    name, colon, port = host.lower().rpartition(":")
    return name if colon and port.isdecimal() else host.lower()
