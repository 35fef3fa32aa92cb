"""The routes of a platform as a whole: its health, and its figures for Prometheus."""

from fastapi import APIRouter, Response
from pydantic import BaseModel

from holdfast.access import Role
from holdfast.access.gate import allow
from holdfast.health import Health, HealthState
from holdfast.platform import Platform

_EXPOSITION = "text/plain; version=1.0.0; charset=utf-8; escaping=underscores"


class HealthOut(BaseModel):
    """How a part is; *latency* is in seconds, *detail* says what is wrong."""

    state: HealthState
    latency: float
    detail: str
    parts: dict[str, "HealthOut"]


def platform_routes(platform: Platform) -> APIRouter:
    """Return the routes of *platform*."""
    router = APIRouter(tags=["platform"], dependencies=[allow(Role.VIEWER)])
    figures = platform.metrics()

    @router.get("/health")
    async def health() -> HealthOut:
        """Tell how every part is, and what is wrong with it. `/readyz` needs no key."""
        return _shown(await platform.health())

    @router.get("/metrics", response_class=Response)
    async def metrics() -> Response:
        """Give the figures of every part as Prometheus reads them."""
        return Response(await figures.exposition(), media_type=_EXPOSITION)

    return router


def _shown(health: Health) -> HealthOut:
    return HealthOut(
        state=health.state,
        latency=health.latency,
        detail=health.detail,
        parts={name: _shown(part) for name, part in health.parts.items()},
    )
