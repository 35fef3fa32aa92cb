"""A second connection to one server: what is small does not wait behind what is large.

Requests go over the first connection, in order. While it is busy with a large request or answer,
others go over a second one, which is made when it is first needed. Concurrent requests have no
order among them, so it does not matter over which they go; but one whose caller was cancelled may
still be on its way, and nothing that its caller asks later may overtake it: then all of them wait.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.cache.driver import NotAskedError
from holdfast.errors import HoldfastError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from holdfast.cache.drivers.redis.redis_connection import Command, RedisConnection
    from holdfast.cache.drivers.redis.replies import Reply


class SecondLane:
    """The connection beside a busy one, which *open_second* makes when it is needed."""

    def __init__(self, open_second: Callable[[], Awaitable[RedisConnection]]) -> None:
        self._open_second = open_second
        self._second: RedisConnection | None = None

    async def ask(self, commands: Sequence[Command]) -> list[Reply] | None:
        """Return the answers as `RedisCommands.ask` does, None when it can't be asked now."""
        if self._second is None or not self._second.alive:
            try:
                self._second = await self._open_second()
            except HoldfastError:  # then what is small waits
                return None
        if self._second.busy:
            return None
        try:
            return await self._second.ask(commands)
        except NotAskedError:  # it idled for too long
            self._second = None
            return None
