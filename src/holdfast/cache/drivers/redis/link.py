"""Who answers commands: the connection to one primary, made anew when it is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast

import hiredis

from holdfast.cache.drivers.redis.session import kill, log_in, refusal
from holdfast.cache.drivers.redis.tracking import track
from holdfast.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from holdfast.cache.drivers.redis.session import Dial, Login, Session
    from holdfast.cache.drivers.redis.tracking import Told
    from holdfast.cache.drivers.redis.wire import Command, Endpoint, Reply, Wire

BATCH = 500


class Link(Protocol):
    """Answers commands about names, whatever servers they live on."""

    one_place: bool
    """Tells whether one command may name many."""

    async def connect(self) -> str:
        """Connect anew and return what names this life of the data; see `RedisDriver.connect`."""
        ...

    async def ask(self, commands: Sequence[Command]) -> list[Reply]:
        """Return the answers by position.

        Two refusals are answers: NOSCRIPT for a script that a server does not know, WRONGTYPE for
        something of another type than the command is for. Raises what another refusal means, and
        UnavailableError; any of the commands was carried out then, or none.
        """
        ...

    def scan(self, match: str) -> AsyncIterator[list[bytes]]:
        """Yield the names that fit Redis's glob *match*, in batches; some come more than once."""
        ...

    def close(self) -> None:
        """Let go of the connections. Idempotent."""
        ...


class PrimaryLink:
    """One connection at a time, to the server that *find* finds."""

    one_place = True

    def __init__(
        self, find: Callable[[], Awaitable[Endpoint]], dial: Dial, *, login: Login
    ) -> None:
        self._find = find
        self._dial = dial
        self._login = login
        self._told: Told | None = None
        self._messages: Wire | None = None
        self._session: Session | None = None
        self._former: list[tuple[str, int]] = []

    def watch(self, told: Told) -> None:
        """From the next connection on, let *told* hear of what changes."""
        self._told = told

    async def connect(self) -> str:
        self.close()
        endpoint = await self._find()
        wire = await self._dial(endpoint)
        try:
            session = await log_in(wire, endpoint, self._login)
            await kill(session, [number for run, number in self._former if run == session.run])
            messages = None
            if self._told is not None:
                messages = await track(
                    session, endpoint, self._told, dial=self._dial, login=self._login
                )
        except BaseException:
            wire.close()
            raise
        self._former = []
        self._messages = messages
        self._session = session
        return session.run

    @property
    def alive(self) -> bool:
        session, messages = self._session, self._messages
        return session is not None and session.wire.alive and (messages is None or messages.alive)

    @property
    def tells_apart(self) -> bool:
        """Tells whether changes are told on a connection of their own."""
        return self._messages is not None

    async def hear(self) -> None:
        """Return when every change up to now was told. Raises UnavailableError."""
        if self._messages is not None:
            await self._messages.ask([("PING",)])

    def close(self) -> None:
        if self._messages is not None:
            self._messages.close()
            self._messages = None
        if self._session is not None:
            self._session.wire.close()
            self._former.append((self._session.run, self._session.number))
            self._session = None

    async def ask(self, commands: Sequence[Command]) -> list[Reply]:
        session = self._session
        if session is None:
            raise UnavailableError("redis: not connected")
        replies = await session.wire.ask(commands)
        for reply in replies:
            if type(reply) is hiredis.ReplyError and not expected(reply):
                raise self._meaning(session, reply)
        return replies

    async def scan(self, match: str) -> AsyncIterator[list[bytes]]:
        cursor = b"0"
        while True:
            (reply,) = await self.ask([("SCAN", cursor, "MATCH", match, "COUNT", BATCH)])
            cursor, found = cast("tuple[bytes, list[bytes]]", reply)
            yield found
            if cursor == b"0":
                return

    def _meaning(self, session: Session, reply: hiredis.ReplyError) -> Exception:
        error = refusal(reply)
        if isinstance(error, UnavailableError):
            session.wire.close()  # it may have become a replica: look for the primary anew
        return error


def expected(reply: Reply) -> bool:
    """Tell whether *reply* is a refusal that whoever asked makes sense of."""
    return unknown_script(reply) or foreign(reply)


def unknown_script(reply: Reply) -> bool:
    return isinstance(reply, hiredis.ReplyError) and str(reply).startswith("NOSCRIPT")


def foreign(reply: Reply) -> bool:
    """Tell whether *reply* says that what is there is of a type that no cache stores."""
    return isinstance(reply, hiredis.ReplyError) and str(reply).startswith("WRONGTYPE")
