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
from holdfast.cache.drivers.redis.redis_notifier import RedisNotifier
from holdfast.cache.drivers.redis.tracking_driver import TrackingRedisDriver
from holdfast.cache.near.copies import NearCopies
from holdfast.cache.near.driver import NearDriver
from holdfast.errors import ConfigurationError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable, Sequence

    from holdfast.cache.cache_url import CacheURL
    from holdfast.cache.driver import SharedDriver
    from holdfast.cache.drivers.redis.redis_connection import Dial
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
    prefix = url.options.prefix
    if url.scheme == "redis+cluster":
        together = in_turn if blocking else at_once
        cluster = ClusterConnector(_servers(url), connect, login=_login(url), together=together)
        return RedisDriver(cluster, prefix=prefix, pause=pause)
    connector = connector_of(url, connect)
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


def connector_of(url: CacheURL, connect: Dial = dial) -> PrimaryConnector:
    """Return what connects to the one server that *url* names, itself or through Sentinels."""
    return PrimaryConnector(_primary_of(url, connect), connect, login=_login(url))


def redis_notifier(url: CacheURL, *, blocking: bool) -> RedisNotifier:
    """Return what passes notifications on by the servers of *url*, not connected yet.

    Any node of a cluster tells all others. Raises ConfigurationError as `redis_driver` does.
    """
    connect = dial_blocking if blocking else dial
    cluster = url.scheme == "redis+cluster"
    servers, primary = _servers(url), _primary_of(url, connect)

    async def find() -> Sequence[Endpoint]:
        return servers if cluster else (await primary(),)

    login, prefix = _login(url), url.options.prefix
    return RedisNotifier(find, connect, login=login, prefix=prefix, any_role=cluster)


def _primary_of(url: CacheURL, connect: Dial) -> Callable[[], Awaitable[Endpoint]]:
    servers = _servers(url)

    async def find() -> Endpoint:
        if not url.primary:
            return servers[0]
        host, port = await primary_by_sentinel(servers, url.primary, connect)
        return Endpoint(host, port, servers[0].tls, url.options.timeout)

    return find


def _servers(url: CacheURL) -> tuple[Endpoint, ...]:
    tls = _tls(url.options.ca) if url.scheme == "rediss" else None
    return tuple(Endpoint(host, port, tls, url.options.timeout) for host, port in url.hosts)


def _login(url: CacheURL) -> RedisLogin:
    return RedisLogin(url.user, url.password, url.database)


def _tls(ca: str) -> ssl.SSLContext:
    import ssl  # noqa: PLC0415 - slow to import, and only TLS needs it

    try:
        return ssl.create_default_context(cafile=ca or None)
    except (OSError, ValueError) as error:  # a NUL in the name is a ValueError
        raise ConfigurationError(f"ca={ca!r} holds no certificates: {error}") from None
