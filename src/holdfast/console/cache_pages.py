"""The cache: how often it answers, its keys within a bound, and the end of what it holds."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query
from starlette.requests import Request
from starlette.responses import Response

from holdfast.access import Role
from holdfast.access.gate import AskedBy, allow
from holdfast.console.console_site import ConsoleSite
from holdfast.console.page import PageHead, moved, page
from holdfast.console.visits.forgery_check import FormSent
from holdfast.console.visits.visit import Notice

_MOST_KEYS = 200
_MOST_VALUE = 4000  # characters


def cache_page_routes(site: ConsoleSite) -> APIRouter:
    """Return the routes of the pages of the cache."""
    router = APIRouter()
    cache = site.platform.cache

    @router.get("/cache", dependencies=[allow(Role.VIEWER)])
    async def overview(
        request: Request,
        caller: AskedBy,
        pattern: Annotated[str, Query(max_length=1024)] = "",
        key: Annotated[str, Query(max_length=1024)] = "",
    ) -> Response:
        """Show figures; to administrators the keys that fit a pattern, and one value, too."""
        is_admin = caller.role.includes(Role.ADMIN)
        if (pattern or key) and not is_admin:
            caller.require(Role.ADMIN)
        stats = cache.stats()
        gauges = dict(sorted(stats.gauges.items()))
        since = gauges.pop("since", None)
        hits, misses = stats.counters.get("hits", 0), stats.counters.get("misses", 0)
        keys = await cache.keys(pattern) if pattern else []
        value = await cache.get(key) if key else None
        text = repr(value)
        context = {
            "backend": cache.backend,
            "counters": dict(sorted(stats.counters.items())),
            "gauges": gauges,
            "since": None if since is None else datetime.fromtimestamp(since, UTC),
            "rate": hits / (hits + misses) if hits + misses else None,
            "is_admin": is_admin,
            "pattern": pattern,
            "keys": keys[:_MOST_KEYS],
            "more": max(len(keys) - _MOST_KEYS, 0),
            "key": key,
            "value": text[:_MOST_VALUE],
            "cut": len(text) > _MOST_VALUE,
            "ttl": await cache.ttl(key) if key else None,
        }
        return page(request, "cache.html", PageHead("Cache", "cache"), context)

    @router.post("/cache/invalidation", dependencies=[allow(Role.ADMIN)])
    async def invalidate(request: Request, form: FormSent) -> Response:
        """Remove keys, what has a tag, or what fits a pattern, for all processes."""
        given = {name: form.text(name).strip() for name in ("key", "tag", "pattern")}
        if not any(given.values()):
            raise HTTPException(400, "expected a key, a tag or a pattern")
        outcome = await cache.invalidate(
            keys=[given["key"]] if given["key"] else (),
            tags=[given["tag"]] if given["tag"] else (),
            pattern=given["pattern"] or None,
        )
        applied = outcome.value == "applied"
        said = "It is gone, everywhere." if applied else "It is gone here, and elsewhere soon."
        return moved(request, site.url("cache"), Notice(said))

    return router
