"""Builds the driver of the Redis servers that a cache's URL names."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from holdfast.cache.drivers.redis.async_connection import dial
from holdfast.cache.drivers.redis.blocking_connection import dial_blocking
from holdfast.cache.drivers.redis.cluster import ClusterConnector, at_once, in_turn
from holdfast.cache.drivers.redis.connector import PrimaryConnector
from holdfast.cache.drivers.redis.driver import RedisDriver
from holdfast.cache.drivers.redis.login import RedisLogin, primary_by_sentinel
from holdfast.cache.drivers.redis.redis_connection import Endpoint
from holdfast.cache.drivers.redis.tracking_driver import TrackingRedisDriver
from holdfast.cache.near.copies import NearCopies
from holdfast.cache.near.driver import NearDriver
from holdfast.errors import ConfigurationError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable

    from holdfast.cache.cache_url import CacheURL
    from holdfast.cache.driver import SharedDriver
    from holdfast.cache.monitor import CacheCounters


def redis_driver(
    url: CacheURL,
    counters: CacheCounters,
    *,
    blocking: bool,
    pause: Callable[[float], Awaitable[None]],
) -> SharedDriver:
    """Return the driver of *url*, not connected yet.

    *blocking* is for code without an event loop; *pause* waits for so many seconds. Raises
    ConfigurationError for a file of certificates that holds none. No I/O beside that file.
    """
    connect = dial_blocking if blocking else dial
    timeout = url.options.timeout
    tls = _tls(url.options.ca) if url.scheme == "rediss" else None
    servers = tuple(Endpoint(host, port, tls, timeout) for host, port in url.hosts)
    login = RedisLogin(url.user, url.password, url.database)
    prefix = url.options.prefix
    if url.scheme == "redis+cluster":
        together = in_turn if blocking else at_once
        cluster = ClusterConnector(servers, connect, login=login, together=together)
        return RedisDriver(cluster, prefix=prefix, pause=pause)

    async def find() -> Endpoint:
        if not url.primary:
            return servers[0]
        host, port = await primary_by_sentinel(servers, url.primary, connect)
        return Endpoint(host, port, tls, timeout)

    connector = PrimaryConnector(find, connect, login=login)
    if not url.options.near:
        return RedisDriver(connector, prefix=prefix, pause=pause)
    remote = TrackingRedisDriver(connector, prefix=prefix, pause=pause)
    copies = NearCopies(
        entries=url.options.near_entries,
        size=url.options.near_bytes,
        largest=url.options.near_largest,
        clock=time.monotonic,
    )
    near = NearDriver(remote, copies, counters, validity=url.options.near, clock=time.monotonic)
    remote.listen(near.on_invalidate)
    return near


def _tls(ca: str) -> ssl.SSLContext:
    import ssl  # noqa: PLC0415 - slow to import, and only TLS needs it

    try:
        return ssl.create_default_context(cafile=ca or None)
    except (OSError, ValueError) as error:  # a NUL in the name is a ValueError
        raise ConfigurationError(f"ca={ca!r} holds no certificates: {error}") from None
