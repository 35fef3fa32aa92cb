"""Reads from one primary so that it tells when what was read changes."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, cast

from holdfast.cache.driver import NEAR, CacheCapability
from holdfast.cache.drivers.redis.driver import MARK_DIGITS, MARK_LIFE, RedisDriver, read_values
from holdfast.cache.drivers.redis.scripts import MARK

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from holdfast.cache.drivers.redis.connector import PrimaryConnector
    from holdfast.cache.drivers.redis.redis_connection import Command


class TrackingRedisDriver(RedisDriver):
    """A RedisDriver that hears of changes: what near copies are built on."""

    def __init__(
        self,
        connector: PrimaryConnector,
        *,
        prefix: str,
        pause: Callable[[float], Awaitable[None]],
    ) -> None:
        super().__init__(connector, prefix=prefix, pause=pause)
        self._primary = connector
        self._mark_again = -math.inf

    @property
    def capabilities(self) -> frozenset[CacheCapability]:
        """What `RedisDriver` can, and telling of changes."""
        return super().capabilities | {CacheCapability.NEAR_COPIES}

    def listen(self, on_invalidate: Callable[[Sequence[str] | None], None]) -> None:
        """Let *on_invalidate* have the names that change, None for all, from `connect` on."""
        start = len(self._prefix)

        def stripped(names: Sequence[bytes] | None) -> None:
            on_invalidate(None if names is None else [name.decode()[start:] for name in names])

        self._primary.listen(stripped)

    @property
    def alive(self) -> bool:
        """False once the connection is known to be lost."""
        return self._primary.alive

    @property
    def separate_messages(self) -> bool:
        """Whether changes are told on a connection of their own, as in RESP2."""
        return self._primary.separate_messages

    async def sync_invalidations(self) -> None:
        """Return when every change up to now was told. Raises UnavailableError."""
        await self._primary.sync_invalidations()

    async def read_tracked(
        self, names: Sequence[str], *, validity: int
    ) -> tuple[list[bytes | None], list[int], bool]:
        """Read *names*, their times left, and the mark in one message; marks again when due."""
        now = time.monotonic()
        if now >= self._mark_again:
            await self._run(MARK, [self._prefix + NEAR], (validity, MARK_LIFE))
            self._mark_again = now + MARK_LIFE / 2000
        full = [self._prefix + name for name in names]
        one = len(full) == 1  # GET tells what is foreign
        commands: list[Command] = [("GET" if one else "MGET", *full)]
        commands += [("PTTL", name) for name in full]
        commands.append(("GET", self._prefix + NEAR))
        found, *lefts, mark = await self._commands.ask(commands)
        values = read_values([found]) if one else cast("list[bytes | None]", found)
        known = isinstance(mark, bytes) and mark.isdigit() and len(mark) <= MARK_DIGITS
        marked = known and int(cast("bytes", mark)) >= validity
        if not marked:
            self._mark_again = -math.inf
        return values, cast("list[int]", lefts), marked
