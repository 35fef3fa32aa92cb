"""Whether a request is a page's of this server, which decides whether it may write."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from starlette.datastructures import Headers

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""The methods that write nothing, whichever page they come from."""


def is_own_page(headers: Headers, origins: AbstractSet[str]) -> bool:
    """Return whether a request comes from no page of another origin, as its browser says.

    *origins* (`https://console.example`) are taken for one's own.
    """
    sent = headers.getlist("origin")
    if not sent:
        return headers.get("sec-fetch-site", "none") in ("none", "same-origin")
    if len(sent) > 1:
        return False
    origin = sent[0].lower()
    return origin in origins or urlsplit(origin).netloc == headers.get("host", "").lower()
