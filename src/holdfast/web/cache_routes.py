"""The routes of a platform's cache: its figures, its keys, and the end of what it holds."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field, model_validator

from holdfast.access import Role
from holdfast.access.gate import allow
from holdfast.cache import Cache

_MOST_KEYS = 1000


class CacheFigures(BaseModel):
    """What the cache did in this process since it was opened."""

    counters: dict[str, float]
    gauges: dict[str, float]


class InvalidationAsked(BaseModel):
    """What is to go: *keys*, what has one of *tags*, what fits *pattern*."""

    model_config = ConfigDict(extra="forbid")

    keys: list[Annotated[str, Field(min_length=1, max_length=1024)]] = Field(
        default_factory=list, max_length=_MOST_KEYS
    )
    tags: list[Annotated[str, Field(min_length=1, max_length=1024)]] = Field(
        default_factory=list, max_length=_MOST_KEYS
    )
    pattern: str | None = Field(default=None, min_length=1, max_length=1024)

    @model_validator(mode="after")
    def _something(self) -> "InvalidationAsked":
        if not self.keys and not self.tags and self.pattern is None:
            raise ValueError("expected keys, tags or a pattern")
        return self


class CacheOutcome(BaseModel):
    """`applied` everywhere, or `pending`: in this process yet, and elsewhere when Redis is back."""

    outcome: str


def cache_routes(cache: Cache[object]) -> APIRouter:
    """Return the routes of *cache*."""
    router = APIRouter(tags=["cache"], prefix="/cache")

    @router.get("/stats", dependencies=[allow(Role.VIEWER)])
    async def stats() -> CacheFigures:
        """Tell hits, misses and what else was counted."""
        found = cache.stats()
        return CacheFigures(counters=dict(found.counters), gauges=dict(found.gauges))

    @router.get("/keys", dependencies=[allow(Role.ADMIN)])
    async def keys(
        pattern: Annotated[str, Query(min_length=1, max_length=1024)] = "*",
    ) -> list[str]:
        """List keys that fit a pattern, at most 1,000 of them."""
        return sorted(await cache.keys(pattern))[:_MOST_KEYS]

    @router.post("/invalidation", dependencies=[allow(Role.ADMIN)])
    async def invalidate(asked: InvalidationAsked) -> CacheOutcome:
        """Remove entries, for all processes."""
        outcome = await cache.invalidate(keys=asked.keys, tags=asked.tags, pattern=asked.pattern)
        return CacheOutcome(outcome=outcome.value)

    return router
