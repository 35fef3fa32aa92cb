"""URLs of caches: what stores they name, and with which options."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit

from holdfast.backend_url import options_for, parse_url
from holdfast.cache.driver import CacheCapability
from holdfast.cache.options import CacheOptions
from holdfast.errors import ConfigurationError

_TRACKING = frozenset({CacheCapability.NEAR_COPIES})
_SCHEMES = {
    "memory": frozenset[CacheCapability](),
    "redis": _TRACKING,
    "rediss": _TRACKING,
    "redis+sentinel": _TRACKING,
    "redis+cluster": frozenset[CacheCapability](),
}
"""The schemes, each with the capabilities that an option may ask of it."""
_PORT, _SENTINEL_PORT = 6379, 26379


@dataclass(frozen=True, slots=True)
class CacheURL:
    """A checked URL: a store's addresses and who logs in; ``memory://`` has neither."""

    scheme: str
    options: CacheOptions
    hosts: tuple[tuple[str, int], ...] = ()
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    database: int = 0
    primary: str = ""


def parse_cache_url(url: str, given: CacheOptions | None) -> CacheURL:
    """Return what *url* names, its parameters over the options *given*. No I/O.

    Raises ConfigurationError for a URL or options that mean nothing; none shows the password.
    """
    if not isinstance(url, str):
        raise ConfigurationError(f"the cache's URL: expected text, got {type(url).__name__}")
    location = parse_url(url, tuple(_SCHEMES))
    shown = location.redacted
    options = options_for(location, CacheOptions(), given)
    if "#" in url:
        raise ConfigurationError(f"{shown!r}: write '#' as %23")
    parts = urlsplit(url)
    if options.ca and location.scheme != "rediss":
        raise ConfigurationError(
            f"{shown!r}: ca is for TLS, which rediss:// alone speaks; {location.scheme}:// is plain"
        )
    if options.near and CacheCapability.NEAR_COPIES not in _SCHEMES[location.scheme]:
        raise ConfigurationError(
            f"{shown!r}: near copies are kept of one Redis server, directly or by Sentinel; "
            f"{location.scheme}:// has none"
        )
    if location.scheme == "memory":
        if parts.netloc or parts.path:
            raise ConfigurationError(
                f"{shown!r}: expected memory:// alone; each opening is a new cache"
            )
        return CacheURL("memory", options)
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
    return CacheURL(location.scheme, options, hosts, user, password, database, primary)


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
