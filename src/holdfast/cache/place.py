"""URLs of caches, and the drivers of the servers that they name."""

from __future__ import annotations

import ssl
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote, urlsplit

from holdfast.backend_url import options_for, parse_url
from holdfast.cache.near import NearDriver
from holdfast.cache.nearstore import NearStore
from holdfast.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from holdfast.cache.drivers.redis import Endpoint
    from holdfast.cache.fallback import Remote
    from holdfast.cache.health import Statistics
    from holdfast.cache.near import Telling
    from holdfast.cache.options import CacheOptions

_SCHEMES = ("memory", "redis", "rediss", "redis+sentinel", "redis+cluster")
_PORT, _SENTINEL_PORT = 6379, 26379


@dataclass(frozen=True, slots=True)
class Place:
    """A checked URL: a store's addresses and who logs in; in memory there is none."""

    scheme: str
    options: CacheOptions
    hosts: tuple[tuple[str, int], ...] = ()
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    database: int = 0
    primary: str = ""


def place_of(url: str, defaults: CacheOptions) -> Place:
    """Return what *url* names, its parameters over *defaults*. Raises ConfigurationError. No I/O.

    No error shows the password.
    """
    if not isinstance(url, str):
        raise ConfigurationError(f"the cache's URL: expected text, got {type(url).__name__}")
    location = parse_url(url, _SCHEMES)
    shown = location.redacted
    options = options_for(location, defaults)
    if "#" in url:
        raise ConfigurationError(f"{shown!r}: write '#' as %23")
    parts = urlsplit(url)
    if options.ca and location.scheme != "rediss":
        raise ConfigurationError(
            f"{shown!r}: ca is for TLS, which rediss:// alone speaks; {location.scheme}:// is plain"
        )
    if options.near and location.scheme in {"memory", "redis+cluster"}:
        raise ConfigurationError(
            f"{shown!r}: near copies are kept of one Redis server, directly or by Sentinel; "
            f"{location.scheme}:// has none"
        )
    if location.scheme == "memory":
        if parts.netloc or parts.path:
            raise ConfigurationError(
                f"{shown!r}: expected memory:// alone; each opening is a new cache"
            )
        return Place("memory", options)
    segments = [unquote(segment) for segment in parts.path.split("/")[1:] if segment]
    primary = ""
    if location.scheme == "redis+sentinel":
        if not segments:
            raise ConfigurationError(
                f"{shown!r}: expected redis+sentinel://host:port,host:port/name"
            )
        primary = segments.pop(0)
    user, password = _credentials(parts)
    database = _database(segments, shown)
    several = location.scheme in {"redis+sentinel", "redis+cluster"}
    if location.scheme == "redis+cluster" and database:
        raise ConfigurationError(f"{shown!r}: a Redis Cluster has database 0 alone")
    port = _SENTINEL_PORT if primary else _PORT
    hosts = _hosts(parts.netloc.rpartition("@")[2], shown, port=port, several=several)
    return Place(location.scheme, options, hosts, user, password, database, primary)


def redis_driver(
    place: Place,
    statistics: Statistics,
    *,
    blocking: bool,
    pause: Callable[[float], Awaitable[None]],
) -> Remote:
    """Return the driver of *place*, not connected yet. Raises ConfigurationError."""
    try:
        from holdfast.cache.drivers import redis  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"a cache in Redis needs {error.name}: pip install 'holdfast[redis]'"
        ) from error
    dial = redis.connect_blocking if blocking else redis.connect
    timeout = place.options.timeout
    tls = _tls(place.options.ca) if place.scheme == "rediss" else None
    servers = tuple(redis.Endpoint(host, port, tls, timeout) for host, port in place.hosts)

    login = redis.Login(place.user, place.password, place.database)
    prefix = place.options.prefix
    if place.scheme == "redis+cluster":
        together = redis.in_turn if blocking else redis.at_once
        cluster = redis.ClusterLink(servers, dial, login=login, together=together)
        return redis.RedisDriver(cluster, prefix=prefix, pause=pause)

    async def find() -> Endpoint:
        if not place.primary:
            return servers[0]
        host, port = await redis.primary_by_sentinel(servers, place.primary, dial)
        return redis.Endpoint(host, port, tls, timeout)

    link = redis.PrimaryLink(find, dial, login=login)
    if not place.options.near:
        return redis.RedisDriver(link, prefix=prefix, pause=pause)
    tracked = redis.TrackedRedisDriver(link, prefix=prefix, pause=pause)
    near = _near(tracked, place.options, statistics)
    tracked.watch(near.told)
    return near


def _near(remote: Telling, options: CacheOptions, statistics: Statistics) -> NearDriver:
    store = NearStore(
        entries=options.near_entries,
        size=options.near_bytes,
        largest=options.near_largest,
        clock=time.monotonic,
    )
    return NearDriver(remote, store, statistics, lease=options.near, clock=time.monotonic)


def _tls(ca: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca or None)
    except (OSError, ValueError) as error:  # a NUL in the name is a ValueError
        raise ConfigurationError(f"ca={ca!r} holds no certificates: {error}") from None


def _credentials(parts: SplitResult) -> tuple[str | None, str | None]:
    user = unquote(parts.username) if parts.username else None
    password = unquote(parts.password) if parts.password is not None else None
    if user is not None and password is None:
        raise ConfigurationError(
            "the cache's URL has a user and no password; expected user:password@host, "
            "or :password@host for the default user"
        )
    return user, password


def _hosts(named: str, shown: str, *, port: int, several: bool) -> tuple[tuple[str, int], ...]:
    pieces = named.split(",") if named else ["localhost"]
    if len(pieces) > 1 and not several:
        raise ConfigurationError(f"{shown!r}: expected one host")
    hosts: list[tuple[str, int]] = []
    for piece in pieces:
        try:
            one = urlsplit(f"//{piece}")
            given = one.port
        except ValueError as error:
            raise ConfigurationError(f"{shown!r}: {error}") from None
        if not one.hostname:
            raise ConfigurationError(f"{shown!r}: expected host or host:port, got {piece!r}")
        hosts.append((one.hostname, given or port))
    return tuple(hosts)


def _database(segments: list[str], shown: str) -> int:
    if not segments:
        return 0
    if len(segments) > 1 or not segments[0].isdecimal() or len(segments[0]) > 5:
        raise ConfigurationError(
            f"{shown!r}: expected the number of a database after the host, as in /0"
        )
    return int(segments[0])
