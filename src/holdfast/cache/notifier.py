"""Opens notifiers: what passes the notifications of a store on through a cache's Redis.

Only PostgreSQL tells other processes by itself; see `Store.notify_by`.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from holdfast.cache.cache_url import parse_cache_url
from holdfast.errors import ConfigurationError
from holdfast.extras import needs_extra
from holdfast.opening import Opening

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from holdfast.cache.drivers.redis.redis_notifier import RedisNotifier
    from holdfast.cache.options import CacheOptions


def open_notifier(url: str, *, options: CacheOptions | None = None) -> Opening[RedisNotifier]:
    """Return a context manager that opens a notifier, for `Store.notify_by`.

    *url* is that of a cache in Redis, whose option `prefix` keeps its channels apart. It connects
    when it is first needed, and again after a loss: a server that is away keeps nothing from being
    opened or written. Raises ConfigurationError for a URL that means nothing, or is no Redis's.
    """
    return Opening(_opened(unopened_notifier(url, options, blocking=False)), "notifier")


def unopened_notifier(url: str, options: CacheOptions | None, *, blocking: bool) -> RedisNotifier:
    """Return the notifier of `open_notifier`; *blocking* is for code without an event loop."""
    parsed = parse_cache_url(url, options)
    if parsed.scheme == "memory":
        raise ConfigurationError(
            "notifications go to other processes through Redis; memory:// is in this one alone"
        )
    with needs_extra("redis", "notifications through Redis"):
        from holdfast.cache.drivers.redis.connect import (  # noqa: PLC0415 - an extra
            redis_notifier,
        )
    return redis_notifier(parsed, blocking=blocking)


@asynccontextmanager
async def _opened(notifier: RedisNotifier) -> AsyncIterator[RedisNotifier]:
    try:
        yield notifier
    finally:
        notifier.close()
