"""Two connections to one server: what is small does not wait behind what is large.

Requests go over the first connection, in order. While it is busy with a large request or answer,
others go over a second one, which is made when it is first needed. Concurrent requests have no
order among them, so it does not matter over which they go; but one whose caller was cancelled may
still be on its way, and nothing that its caller asks later may overtake it: then all of them wait.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.cache.driver import NotAskedError
from holdfast.cache.drivers.redis.redis_connection import asked_before
from holdfast.errors import HoldfastError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from holdfast.cache.drivers.redis.redis_connection import Command, RedisConnection
    from holdfast.cache.drivers.redis.replies import Reply


class RedisLanes:
    """Commands over *first*, and while that is busy over a connection that *open_second* makes."""

    one_server = True

    def __init__(
        self, first: RedisConnection, open_second: Callable[[], Awaitable[RedisConnection]]
    ) -> None:
        self._first = first
        self._open_second = open_second
        self._second: RedisConnection | None = None

    async def ask(self, commands: Sequence[Command]) -> list[Reply]:
        """Return the answers by position; see `RedisCommands.ask`."""
        if self._first.busy:
            second = await self._beside()
            if second is not None:
                try:
                    return await second.ask(commands)
                except NotAskedError:  # it idled for too long
                    self._second = None
        return await self._first.ask(commands)

    async def scan(self, match: str) -> AsyncIterator[list[bytes]]:
        """Yield the server's names that fit *match*, in batches, over the first connection."""
        async for found in self._first.scan(match):
            yield found

    async def _beside(self) -> RedisConnection | None:
        """Return the second connection, None when there can't be one now."""
        if self._second is None or not self._second.alive:
            try:
                with asked_before():
                    self._second = await self._open_second()
            except HoldfastError:  # then what is small waits
                return None
        return None if self._second.busy else self._second
