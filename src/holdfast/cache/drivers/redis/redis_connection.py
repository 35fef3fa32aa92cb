"""One connection to a Redis server, shared by everybody: what it does, async and blocking alike."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

import hiredis

from holdfast.cache.driver import NotAskedError
from holdfast.cache.drivers.redis.push_messages import Pushes
from holdfast.cache.drivers.redis.replies import Reply, error_of, is_expected
from holdfast.errors import ConfigurationError, HoldfastError, UnavailableError

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence

    from holdfast.cache.drivers.redis.push_messages import PushListener

Command = tuple[str | bytes | int, ...]

pack = cast("Callable[[Command], bytes]", hiredis.pack_command)  # its stub allows one part

WINDOW = 64 * 1024  # bytes read at once
SCAN_BATCH = 500
IDLE = 0.1  # seconds; a connection that was silent for longer is looked at before it is used
LEAST_RATE = 1024 * 1024
"""Bytes a second that a large request is given time for: what lies in the buffers of a slow line
moves where nobody sees it."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a server listens, and how it is spoken to. *timeout* is in seconds."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None
    timeout: float = 1.0

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class RedisCommands(Protocol):
    """Answers commands about names, whatever servers they live on."""

    @property
    def one_server(self) -> bool:
        """Whether one command may name many."""
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


class AskedBeside(Protocol):
    """What is asked while a connection is busy with something large."""

    def ask(self, commands: Sequence[Command], /) -> Awaitable[list[Reply] | None]:
        """Return the answers by position, None when it can't be asked now."""
        ...


class RedisConnection(ABC):
    """A connection to one server, which answers commands in order."""

    one_server = True

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._lost: str | None = None
        self._pushes: Pushes | None = None
        self.second: AskedBeside | None = None  # for what is asked while this one is busy

    @property
    def alive(self) -> bool:
        """False once the connection is known to be lost."""
        return self._lost is None

    @property
    @abstractmethod
    def busy(self) -> bool:
        """Whether a large request or answer is on its way, all of whose callers wait for it."""

    @abstractmethod
    async def exchange(self, commands: Sequence[Command]) -> list[Reply]:
        """Return the answers by position, refusals as ReplyError values.

        Raises UnavailableError when the connection is lost first, or nothing moves on it for the
        endpoint's timeout; then each command was carried out or not. NotAskedError says that it
        had been closed before anything of this was sent.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go; callers who wait get UnavailableError. Idempotent."""

    @abstractmethod
    def abandon(self) -> None:
        """Let go in the child of a fork; the parent, whose it is, notices nothing. No I/O."""

    async def ask(self, commands: Sequence[Command]) -> list[Reply]:
        """Return the answers by position; see `RedisCommands.ask`."""
        if self.second is not None and self.busy:
            answers = await self.second.ask(commands)
            if answers is not None:
                return answers
        replies = await self.exchange(commands)
        for reply in replies:
            if type(reply) is hiredis.ReplyError and not is_expected(reply):
                error = error_of(reply)
                if isinstance(error, UnavailableError):
                    self.close()  # it may have become a replica: look for the primary again
                raise error
        return replies

    async def scan(self, match: str) -> AsyncIterator[list[bytes]]:
        """Yield the server's names that fit *match*, in batches."""
        cursor = b"0"
        while True:
            (reply,) = await self.ask([("SCAN", cursor, "MATCH", match, "COUNT", SCAN_BATCH)])
            cursor, found = cast("tuple[bytes, list[bytes]]", reply)
            yield found
            if cursor == b"0":
                return

    def listen(self, listener: PushListener, *, messages: bool) -> None:
        """Hand what the server says unasked to *listener*, before any answer that comes after it.

        With *messages*, that is what was subscribed to in RESP2, else what RESP3 pushes.
        """
        self._pushes = Pushes(listener, messages=messages)


@contextmanager
def asked_in_part() -> Iterator[None]:
    """Make a plain UnavailableError of a NotAskedError: an earlier part of the work was asked."""
    try:
        yield
    except NotAskedError as error:
        raise UnavailableError(str(error)) from error


class Dial(Protocol):
    """Connects to an endpoint, as `async_connection.dial` and its blocking twin do."""

    async def __call__(self, endpoint: Endpoint, /) -> RedisConnection: ...


def connect_error(endpoint: Endpoint, error: OSError) -> HoldfastError:
    """Return what to raise when *endpoint* could not be connected to."""
    how = ""
    if endpoint.tls is not None:
        import ssl  # noqa: PLC0415 - slow to import, and loaded already where there is TLS

        if isinstance(error, ssl.SSLCertVerificationError):
            return ConfigurationError(f"redis {endpoint} is not trusted: {error.verify_message}")
        how = "by TLS: "
    late = isinstance(error, TimeoutError)
    why = f"no connection in {endpoint.timeout} s" if late else reason_of(error)
    return UnavailableError(f"redis {endpoint}: {how}{why}")


def reason_of(error: BaseException) -> str:
    """Return what *error* is and says, for many say nothing."""
    return f"{type(error).__name__}: {error}".removesuffix(": ")
