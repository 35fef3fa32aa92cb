"""Entries in a Redis or Valkey server, under a prefix that is this namespace's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import hiredis

from holdfast.cache.driver import HEAD, LEASE, Outcome
from holdfast.cache.drivers.redis.scripts import EXPIRE, INCREMENT, SET_MANY, SWAP
from holdfast.cache.drivers.redis.session import kill, log_in, refusal
from holdfast.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from holdfast.cache.drivers.redis.scripts import Script
    from holdfast.cache.drivers.redis.session import Dial, Login, Session
    from holdfast.cache.drivers.redis.wire import Command, Endpoint, Reply
    from holdfast.cache.pattern import Pattern

_BATCH = 500
_GLOB_SPECIAL = str.maketrans({char: "\\" + char for char in "*?[]\\^-"})


class RedisDriver:
    """One connection at a time; `connect` makes the first and every later one."""

    def __init__(
        self, find: Callable[[], Awaitable[Endpoint]], dial: Dial, *, login: Login, prefix: str
    ) -> None:
        self._find = find
        self._dial = dial
        self._login = login
        self._prefix = prefix + ":"
        self._session: Session | None = None
        self._former: list[tuple[str, int]] = []

    async def connect(self) -> str:
        """Connect anew and return what names this life of the server's data.

        Nothing that earlier connections were asked and did not answer is carried out after this.
        Raises UnavailableError and ConfigurationError.
        """
        self._retire()
        endpoint = await self._find()
        wire = await self._dial(endpoint)
        try:
            session = await log_in(wire, endpoint, self._login)
            await kill(session, [number for run, number in self._former if run == session.run])
        except BaseException:
            wire.close()
            raise
        self._former = []
        self._session = session
        return session.run

    async def close(self) -> None:
        """Let go of the connection. Idempotent."""
        self._retire()

    def _retire(self) -> None:
        if self._session is not None:
            self._session.wire.close()
            self._former.append((self._session.run, self._session.number))
            self._session = None

    async def get_many(self, names: Sequence[str]) -> list[bytes | None]:
        prefix = self._prefix
        if len(names) == 1:
            return cast("list[bytes | None]", await self._ask([("GET", prefix + names[0])]))
        if not names:
            return []
        (values,) = await self._ask([("MGET", *[prefix + name for name in names])])
        return cast("list[bytes | None]", values)

    async def set_many(self, items: Sequence[tuple[str, bytes]], *, ttl: int | None) -> Outcome:
        prefix = self._prefix
        if len(items) == 1:
            ((name, value),) = items
            lasting: Command = () if ttl is None else ("PX", ttl)
            await self._ask([("SET", prefix + name, value, *lasting)])
        elif items and ttl is None:
            flat = [part for name, value in items for part in (prefix + name, value)]
            await self._ask([("MSET", *flat)])
        elif items:
            names = [prefix + name for name, _ in items]
            await self._run(SET_MANY, names, (ttl or 0, *[value for _, value in items]))
        return Outcome.APPLIED

    async def swap(
        self,
        name: str,
        value: bytes | None,
        *,
        over: bytes | None,
        ttl: int | None = None,
        shared: bool = False,  # noqa: ARG002 - it answers for everybody or not at all
    ) -> bool:
        full = self._prefix + name
        if over is not None:
            return await self._run(SWAP, [full], (over, value or b"", ttl or b"")) == 1
        if value is None:
            return await self._ask([("EXISTS", full)]) == [0]
        lasting: Command = () if ttl is None else ("PX", ttl)
        return await self._ask([("SET", full, value, "NX", *lasting)]) != [None]

    async def delete_many(self, names: Sequence[str], *, pattern: Pattern | None = None) -> Outcome:
        await self._unlink(names)
        if pattern is not None:
            async for found in self._find_names(pattern.prefix):
                await self._unlink([name for name in found if pattern.fits(name)])
        return Outcome.APPLIED

    async def increment(self, name: str, by: int, *, ttl: int | None) -> int | None:
        full = self._prefix + name
        try:
            if ttl is None:
                (total,) = await self._ask([("INCRBY", full, by)])
            else:
                total = await self._run(INCREMENT, [full], (by, ttl))
        except hiredis.ReplyError as error:  # both are a plain ERR, so the text must tell
            if "overflow" in str(error):
                raise OverflowError("the sum does not fit in 64 bits") from None
            if "not an integer" in str(error):
                return None
            raise
        return int(cast("int | bytes", total))

    async def expire(self, name: str, ttl: int | None) -> bool:
        return await self._run(EXPIRE, [self._prefix + name], (LEASE, ttl or b"")) == 1

    async def ttl(self, name: str) -> int | None:
        (left,) = cast("list[int]", await self._ask([("PTTL", self._prefix + name)]))
        return None if left == -2 else -1 if left == -1 else max(1, left)

    async def scan(self, prefix: str) -> AsyncIterator[list[tuple[str, bytes]]]:
        async for names in self._find_names(prefix):
            heads = await self._ask(
                [("GETRANGE", self._prefix + name, 0, HEAD - 1) for name in names]
            )
            yield [
                (name, head)
                for name, head in zip(names, cast("list[bytes]", heads), strict=True)
                if head  # gone since
            ]

    async def _find_names(self, prefix: str) -> AsyncIterator[list[str]]:
        match = (self._prefix + prefix).translate(_GLOB_SPECIAL) + "*"
        cursor: Reply = b"0"
        while True:
            scan: Command = ("SCAN", cast("bytes", cursor), "MATCH", match, "COUNT", _BATCH)
            (reply,) = await self._ask([scan])
            cursor, found = cast("tuple[bytes, list[bytes]]", reply)
            yield [name.decode().removeprefix(self._prefix) for name in found]
            if cursor == b"0":
                return

    async def _unlink(self, names: Sequence[str]) -> None:
        if names:
            await self._ask([("UNLINK", *[self._prefix + name for name in names])])

    async def _run(self, script: Script, names: Sequence[str], arguments: Command) -> Reply:
        rest: Command = (len(names), *names, *arguments)
        session = self._ready()
        (reply,) = await session.wire.ask([("EVALSHA", script.digest, *rest)])
        if isinstance(reply, hiredis.ReplyError) and str(reply).startswith("NOSCRIPT"):
            (reply,) = await session.wire.ask([("EVAL", script.source, *rest)])
        return self._checked(session, reply)

    async def _ask(self, commands: Sequence[Command]) -> list[Reply]:
        session = self._ready()
        replies = await session.wire.ask(commands)
        for reply in replies:
            if type(reply) is hiredis.ReplyError:
                self._checked(session, reply)
        return replies

    def _ready(self) -> Session:
        if self._session is None:
            raise UnavailableError("redis: not connected")
        return self._session

    def _checked(self, session: Session, reply: Reply) -> Reply:
        if isinstance(reply, hiredis.ReplyError):
            error = refusal(reply)
            if isinstance(error, UnavailableError):
                session.wire.close()  # it may have become a replica: look for the primary anew
            raise error
        return reply
