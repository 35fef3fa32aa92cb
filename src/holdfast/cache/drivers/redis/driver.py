"""Entries in a Redis or Valkey server, under a prefix that is this namespace's own."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol, cast

import hiredis

from holdfast.cache.driver import HEAD, LOAD_LOCK, NEAR, CacheCapability, Outcome
from holdfast.cache.drivers.redis.connector import NOT_CONNECTED
from holdfast.cache.drivers.redis.redis_connection import asked_in_part
from holdfast.cache.drivers.redis.replies import is_foreign, is_unknown_script
from holdfast.cache.drivers.redis.scripts import DISCARD_WHILE, EXPIRE, INCREMENT, SWAP, TAKE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from holdfast.cache.driver import Swap
    from holdfast.cache.drivers.redis.connector import Connector
    from holdfast.cache.drivers.redis.redis_connection import Command, RedisCommands
    from holdfast.cache.drivers.redis.replies import Reply
    from holdfast.cache.drivers.redis.scripts import Script
    from holdfast.cache.pattern import Pattern
    from holdfast.cache.token_bucket import TokenBucket

MARK_LIFE = 60_000  # milliseconds that a namespace stays marked as copied
MARK_DIGITS = 4  # of the milliseconds in a mark, a second at most
_CLOCKS_DIFFER = 1.01  # in rate, at most
_GLOB_SPECIAL = str.maketrans({char: "\\" + char for char in "*?[]\\^-"})


class _Ask(Protocol):
    async def __call__(self, commands: Sequence[Command], /) -> list[Reply]: ...


class RedisDriver:
    """Bytes under names, in servers that *connector* connects to: once first, and after a loss."""

    def __init__(
        self, connector: Connector, *, prefix: str, pause: Callable[[float], Awaitable[None]]
    ) -> None:
        self._connector = connector
        self._one_server = connector.one_server
        self._commands: RedisCommands = NOT_CONNECTED
        # The first colon ends a namespace, or one called `a:k` could hold names of one called `a`.
        self._prefix = prefix.replace("%", "%25").replace(":", "%3A") + ":"
        self._pause = pause
        self._copied_until = 0.0  # on the monotonic clock: processes may keep copies until then
        self._copied_for = 0.0

    @property
    def name(self) -> str:
        """`redis`, or `redis+cluster` for one."""
        return "redis" if self._one_server else "redis+cluster"

    @property
    def capabilities(self) -> frozenset[CacheCapability]:
        """Entries shared between processes; on one server batches in one step."""
        shared = frozenset({CacheCapability.SHARED, CacheCapability.TOKEN_BUCKETS})
        return shared | {CacheCapability.ATOMIC_BATCHES} if self._one_server else shared

    async def connect(self) -> str:
        """Connect again and return what names this run of the servers and their data.

        Nothing that earlier connections were asked and did not answer is carried out after this.
        Raises UnavailableError and ConfigurationError.
        """
        self._commands = NOT_CONNECTED
        connected = await self._connector.connect()
        self._commands = connected.commands
        return connected.run

    async def close(self) -> None:
        """Let go of the connections. Idempotent."""
        self._commands = NOT_CONNECTED
        self._connector.close()

    def abandon(self) -> None:
        """Be without connections; see `SharedDriver.abandon`."""
        self._commands = NOT_CONNECTED
        self._connector.abandon()

    async def get_many(self, names: Sequence[str]) -> list[bytes | None]:
        """Return what is stored under *names*, by position, in one message."""
        prefix = self._prefix
        if len(names) == 1:
            return read_values(await self._commands.ask([("GET", prefix + names[0])]))
        if not names:
            return []
        if not self._one_server:
            gets: list[Command] = [("GET", prefix + name) for name in names]
            return read_values(await self._commands.ask(gets))
        (values,) = await self._commands.ask([("MGET", *[prefix + name for name in names])])
        return cast("list[bytes | None]", values)

    async def set_many(self, items: Sequence[tuple[str, bytes]], *, ttl: int | None) -> Outcome:
        """Store all *items*; on one server in one step."""
        prefix = self._prefix
        if len(items) == 1 or not self._one_server:
            lasting: Command = () if ttl is None else ("PX", ttl)
            await self._write([("SET", prefix + name, value, *lasting) for name, value in items])
        elif items and ttl is None:
            flat = [part for name, value in items for part in (prefix + name, value)]
            await self._write([("MSET", *flat)])
        elif items:
            sets: list[Command] = [
                ("SET", prefix + name, value, "PX", ttl or 0) for name, value in items
            ]
            await self._write((("MULTI",), *sets, ("EXEC",)))  # a tenth faster than a script
        return Outcome.APPLIED

    async def swap_many(
        self,
        swaps: Sequence[Swap],
        *,
        ttl: int | None,
        shared: bool = False,  # noqa: ARG002 - it answers for everybody or not at all
    ) -> list[bool]:
        """Do each of *swaps* by itself, in one message, or two where a name is taken."""
        done = await self._swapped(swaps, ttl)
        refused = [
            number
            for number, swap in enumerate(swaps)
            if not done[number] and swap.over is None and swap.value is not None
        ]
        if refused:  # by a value, or by something foreign, which counts as nothing
            again = [swaps[number]._replace(over=b"") for number in refused]
            with asked_in_part():
                outcomes = await self._swapped(again, ttl)
            for number, outcome in zip(refused, outcomes, strict=True):
                done[number] = outcome
        return done

    async def _swapped(self, swaps: Sequence[Swap], ttl: int | None) -> list[bool]:
        asked = [self._swapping(swap, ttl, SWAP.digest) for swap in swaps]
        replies = await self._commands.ask(asked)
        unknown = [number for number, reply in enumerate(replies) if is_unknown_script(reply)]
        if unknown:
            again = [self._swapping(swaps[number], ttl, None) for number in unknown]
            with asked_in_part():
                answers = await self._commands.ask(again)
            for number, reply in zip(unknown, answers, strict=True):
                replies[number] = reply
        return [
            reply == (0 if swap.value is None else b"OK") if swap.over is None else reply == 1
            for swap, reply in zip(swaps, replies, strict=True)
        ]

    def _swapping(self, swap: Swap, ttl: int | None, digest: str | None) -> Command:
        """Return the command of *swap*; without *digest* one that brings its script along."""
        full = self._prefix + swap.name
        if swap.over is not None:
            script = ("EVAL", SWAP.source) if digest is None else ("EVALSHA", digest)
            return (*script, 1, full, swap.over, swap.value or b"", ttl or b"")
        if swap.value is None:
            return ("EXISTS", full)
        lasting: Command = () if ttl is None else ("PX", ttl)
        return ("SET", full, swap.value, "NX", *lasting)

    async def delete_many(self, names: Sequence[str], *, pattern: Pattern | None = None) -> Outcome:
        """Remove *names* in one message, and what *pattern* fits in several."""
        if pattern is not None:
            await self.discard(names, pattern=pattern)
            await self.wait_for_near_expiry()
        elif names:
            await self._write(self._unlinking(names))
        return Outcome.APPLIED

    async def discard(self, names: Sequence[str], *, pattern: Pattern | None = None) -> None:
        """Remove as `delete_many` does, without waiting for those who keep copies."""
        await self._commands.ask(self._unlinking(names))
        if pattern is not None:
            async for found in self._find_names(pattern.prefix):
                fitting = [name for name in found if pattern.fits(name)]
                await self._commands.ask(self._unlinking(fitting))

    async def discard_while(self, name: str, value: bytes | None, names: Sequence[str]) -> bool:
        """Discard *names* while *name* holds *value*, by a script where one server has them all."""
        if not self._one_server:
            (there,) = await self.get_many((name,))
            if (there or b"") != (value or b""):
                return False
            await self.discard(names)
            return True
        full = [self._prefix + each for each in (name, *names)]
        return await self._run(DISCARD_WHILE, full, (value or b"",)) == 1

    async def wait_for_near_expiry(self) -> None:
        """Return when no process serves a near copy of what was discarded before."""
        await self._write(())

    async def increment(self, name: str, by: int, *, ttl: int | None) -> int | None:
        """Add to the number under *name*, in one step."""
        full = self._prefix + name
        try:
            if ttl is None:
                (total,) = await self._commands.ask([("INCRBY", full, by)])
            else:
                total = await self._run(INCREMENT, [full], (by, ttl))
        except hiredis.ReplyError as error:  # both are a plain ERR, so the text must tell
            if "overflow" in str(error):
                raise OverflowError("the sum does not fit in 64 bits") from None
            if "not an integer" in str(error):
                return None
            raise
        return None if is_foreign(total) else int(cast("int | bytes", total))

    async def take(self, name: str, bucket: TokenBucket, count: float) -> float:
        """Take *count* tokens from the *bucket* under *name*, by the server's clock."""
        numbers = [repr(float(number)) for number in (bucket.rate, bucket.burst, count)]
        wait = await self._run(TAKE, [self._prefix + name], tuple(numbers))
        return float(cast("bytes", wait))

    async def expire(self, name: str, ttl: int | None) -> bool:
        """Give the value under *name* a new time to live."""
        arguments = (LOAD_LOCK, ttl or b"")
        return await self._run(EXPIRE, [self._prefix + name], arguments, ask=self._write) == 1

    async def ttl(self, name: str) -> int | None:
        """Return the milliseconds left, -1 for forever, None when nothing is there."""
        (left,) = cast("list[int]", await self._commands.ask([("PTTL", self._prefix + name)]))
        return None if left == -2 else -1 if left == -1 else max(1, left)

    async def scan(self, prefix: str) -> AsyncIterator[list[tuple[str, bytes]]]:
        """Yield names that start with *prefix*, with the first bytes of what is there."""
        async for names in self._find_names(prefix):
            heads = await self._commands.ask(
                [("GETRANGE", self._prefix + name, 0, HEAD - 1) for name in names]
            )
            yield [
                (name, head)
                for name, head in zip(names, read_values(heads), strict=True)
                if head  # else gone since, or foreign
            ]

    async def _find_names(self, prefix: str) -> AsyncIterator[list[str]]:
        match = (self._prefix + prefix).translate(_GLOB_SPECIAL) + "*"
        async for found in self._commands.scan(match):
            yield [name.decode().removeprefix(self._prefix) for name in found]

    def _unlinking(self, names: Sequence[str]) -> list[Command]:
        full = [self._prefix + name for name in names]
        if full and self._one_server:
            return [("UNLINK", *full)]
        return [("UNLINK", name) for name in full]

    async def _write(self, commands: Sequence[Command]) -> list[Reply]:
        """Carry out *commands*, and wait until no process serves what they replaced.

        That the namespace is copied is looked up after them: who copies marks it first, so one
        that marks it later reads later, too.
        """
        if not self._one_server:  # nobody copies from a cluster
            return await self._commands.ask(commands)
        *replies, mark = await self._commands.ask((*commands, ("GET", self._prefix + NEAR)))
        now = time.monotonic()
        if isinstance(mark, bytes) and mark.isdigit() and len(mark) <= MARK_DIGITS:
            self._copied_until = now + MARK_LIFE / 1000
            self._copied_for = int(mark) / 1000
        if now < self._copied_until:
            await self._pause(self._copied_for * _CLOCKS_DIFFER)
        return replies

    async def _run(
        self, script: Script, names: Sequence[str], arguments: Command, *, ask: _Ask | None = None
    ) -> Reply:
        ask = ask or self._commands.ask
        rest: Command = (len(names), *names, *arguments)
        (reply,) = await ask([("EVALSHA", script.digest, *rest)])
        if is_unknown_script(reply):
            (reply,) = await ask([("EVAL", script.source, *rest)])
        return reply


def read_values(replies: Sequence[Reply]) -> list[bytes | None]:
    """Return *replies* with empty bytes for what is foreign, the one refusal of a read."""
    return [
        b"" if type(reply) is hiredis.ReplyError else cast("bytes | None", reply)
        for reply in replies
    ]
