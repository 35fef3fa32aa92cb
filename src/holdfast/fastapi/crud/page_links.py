"""`Link` headers (RFC 8288) to the pages beside a page."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode

if TYPE_CHECKING:
    from holdfast.fastapi.exchange import Exchange


def add_links(exchange: Exchange, following: str | None, preceding: str | None) -> None:
    """Let the answer of *exchange* name the pages at the cursors *following* and *preceding*.

    The addresses are relative to the request's own: what is before a proxy is not known here.
    """
    links = [
        f'<?{_query(exchange, cursor)}>; rel="{relation}"'
        for relation, cursor in (("next", following), ("prev", preceding))
        if cursor is not None
    ]
    if links:
        exchange.headers.append((b"link", ", ".join(links).encode("ascii")))


def _query(exchange: Exchange, cursor: str) -> str:
    query: bytes = exchange.scope["query_string"]
    asked = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    kept = [(name, value) for name, value in asked if name != "cursor"]
    return urlencode([*kept, ("cursor", cursor)])
