"""Reading from one primary so that it tells when what was read changes."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, cast

from holdfast.cache.driver import NEAR
from holdfast.cache.drivers.redis.driver import MARK_LIFE, RedisDriver, read_values
from holdfast.cache.drivers.redis.scripts import MARK

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from holdfast.cache.drivers.redis.link import PrimaryLink
    from holdfast.cache.drivers.redis.wire import Command


class TrackedRedisDriver(RedisDriver):
    """A RedisDriver that hears of changes: what a near cache is built on."""

    def __init__(
        self, link: PrimaryLink, *, prefix: str, pause: Callable[[float], Awaitable[None]]
    ) -> None:
        super().__init__(link, prefix=prefix, pause=pause)
        self._primary = link
        self._mark_again = -math.inf

    def watch(self, told: Callable[[Sequence[str] | None], None]) -> None:
        """From the next connection on, give *told* the names that changed, or None for all."""
        start = len(self._prefix)

        def stripped(names: Sequence[bytes] | None) -> None:
            told(None if names is None else [name.decode()[start:] for name in names])

        self._primary.watch(stripped)

    @property
    def alive(self) -> bool:
        return self._primary.alive

    @property
    def tells_apart(self) -> bool:
        return self._primary.tells_apart

    async def hear(self) -> None:
        await self._primary.hear()

    async def read(
        self, names: Sequence[str], *, lease: int
    ) -> tuple[list[bytes | None], list[int], bool]:
        now = time.monotonic()
        if now >= self._mark_again:
            await self._run(MARK, [self._prefix + NEAR], (lease, MARK_LIFE))
            self._mark_again = now + MARK_LIFE / 2000
        full = [self._prefix + name for name in names]
        one = len(full) == 1  # GET tells what is foreign
        commands: list[Command] = [("GET" if one else "MGET", *full)]
        commands += [("PTTL", name) for name in full]
        commands.append(("GET", self._prefix + NEAR))
        found, *lefts, mark = await self._link.ask(commands)
        values = read_values([found]) if one else cast("list[bytes | None]", found)
        marked = isinstance(mark, bytes) and mark.isdigit() and int(mark) >= lease
        if not marked:
            self._mark_again = -math.inf
        return values, cast("list[int]", lefts), marked
