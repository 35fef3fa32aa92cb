"""A Redis that another program keeps its queues in: what is read of it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

from holdfast.cache.cache_url import parse_cache_url
from holdfast.errors import ConfigurationError
from holdfast.extras import needs_extra

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from holdfast.cache.drivers.redis.redis_connection import RedisCommands
    from holdfast.cache.drivers.redis.replies import Reply

_SCHEMES = ("redis", "rediss")


class RedisSource:
    """The lists, sorted sets, hashes and values of a Redis, read piece by piece."""

    def __init__(self, commands: RedisCommands) -> None:
        self._commands = commands

    async def list_items(self, name: str, *, piece: int) -> list[bytes]:
        """Return all items of a list, from the left; none of a list that is not there."""
        items: list[bytes] = []
        while True:
            found = await self._ask("LRANGE", name, len(items), len(items) + piece - 1)
            items += cast("list[bytes]", found)
            if len(cast("list[bytes]", found)) < piece:
                return items

    async def scored_members(self, name: str, *, piece: int) -> list[tuple[bytes, float]]:
        """Return all members of a sorted set with their scores, the lowest first."""
        members: list[tuple[bytes, float]] = []
        while True:
            at = len(members)
            found = cast(
                "list[bytes]",
                await self._ask("ZRANGE", name, at, at + piece - 1, "WITHSCORES"),
            )
            members += zip(found[::2], map(float, found[1::2]), strict=True)
            if len(found) < 2 * piece:
                return members

    async def hash_values(self, name: str, *, piece: int) -> AsyncIterator[bytes]:
        """Yield the values of a hash; one that is written meanwhile may come twice."""
        cursor = b"0"
        while True:
            cursor, found = cast(
                "tuple[bytes, list[bytes]]", await self._ask("HSCAN", name, cursor, "COUNT", piece)
            )
            for value in found[1::2]:
                yield value
            if int(cursor) == 0:
                return

    async def values(self, names: Sequence[bytes]) -> list[bytes | None]:
        """Return the values under *names*, None where there is none."""
        return cast("list[bytes | None]", await self._ask("MGET", *names)) if names else []

    async def _ask(self, *command: str | bytes | int) -> Reply:
        (reply,) = await self._commands.ask([command])
        return reply


@asynccontextmanager
async def redis_source(url: str) -> AsyncIterator[RedisSource]:
    """Connect to the Redis at *url* (`redis://` or `rediss://`) for the block, and only read.

    Raises ConfigurationError for another URL, and UnavailableError.
    """
    location = parse_cache_url(url, None)
    if location.scheme not in _SCHEMES:
        raise ConfigurationError(f"expected redis:// or rediss://, got {location.scheme}://")
    with needs_extra("redis", "reading queues of Redis"):
        from holdfast.cache.drivers.redis.connect import (  # noqa: PLC0415 - its library is an extra
            connector_of,
        )
    connector = connector_of(location)
    try:
        yield RedisSource((await connector.connect()).commands)
    finally:
        connector.close()
