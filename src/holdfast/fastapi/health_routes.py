"""The routes by which an orchestrator learns whether a process lives and can serve."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse

from holdfast.health import Health, HealthState, worst_state

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from fastapi import FastAPI

    from holdfast.fastapi.exchange import Resources


def add_health_routes(app: FastAPI, resources: Resources) -> None:
    """Add `/livez`, which answers while the process does, and `/readyz`, which asks the backends.

    `/readyz` answers 503 while the store or the bucket is down, or nothing is open; a cache that is
    down makes it degraded, and 200. It tells states and latencies in seconds; why something is
    down, which may name hosts, it does not tell.
    """

    async def livez() -> JSONResponse:
        return JSONResponse({"status": "up"}, headers=_UNCACHED)

    async def readyz() -> JSONResponse:
        parts = await health_of(resources)
        state = worst_state(parts) if parts else HealthState.DOWN
        told = {
            name: {"status": part.state.value, "latency": round(part.latency, 6)}
            for name, part in parts.items()
        }
        return JSONResponse(
            {"status": state.value, "parts": told},
            503 if state is HealthState.DOWN else 200,
            _UNCACHED,
        )

    for path, endpoint in (("/livez", livez), ("/readyz", readyz)):
        app.add_api_route(
            path, endpoint, methods=["GET"], include_in_schema=False, response_model=None
        )


_UNCACHED = {"Cache-Control": "no-store"}


async def health_of(resources: Resources) -> dict[str, Health]:
    """Return the health of what *resources* has open, asked all at once, by name."""
    asked: dict[str, Awaitable[Health]] = {}
    if resources.opened_store is not None:
        asked["store"] = resources.opened_store.health()
    if resources.opened_bucket is not None:
        asked["bucket"] = resources.opened_bucket.health()
    if resources.opened_cache is not None:
        asked["cache"] = resources.opened_cache.health()
    return dict(zip(asked, await asyncio.gather(*asked.values()), strict=True))
