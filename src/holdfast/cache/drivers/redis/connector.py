"""Connects to the servers that answer a cache's commands, and again when they were lost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from holdfast.cache.driver import NotAskedError
from holdfast.cache.drivers.redis.client_tracking import track
from holdfast.cache.drivers.redis.lanes import SecondLane
from holdfast.cache.drivers.redis.login import kill_clients, log_in
from holdfast.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from holdfast.cache.drivers.redis.client_tracking import OnInvalidate
    from holdfast.cache.drivers.redis.login import RedisClient, RedisLogin
    from holdfast.cache.drivers.redis.redis_connection import (
        Command,
        Dial,
        Endpoint,
        RedisCommands,
        RedisConnection,
    )
    from holdfast.cache.drivers.redis.replies import Reply


@dataclass(frozen=True, slots=True)
class Connected:
    """Who answers commands now, and *run*, which names this run of the servers and their data."""

    commands: RedisCommands
    run: str


class _NotConnected:
    """Answers nothing: where a driver is not connected, or not again yet."""

    one_server = True

    async def ask(self, commands: Sequence[Command]) -> list[Reply]:
        """Raise NotAskedError."""
        raise NotAskedError(f"redis: not connected; {len(commands)} commands were not sent")

    async def scan(self, match: str) -> AsyncIterator[list[bytes]]:
        """Raise NotAskedError."""
        await self.ask([("SCAN", match)])
        yield []


NOT_CONNECTED = _NotConnected()


class Connector(Protocol):
    """Connects a driver to its servers, one set of connections at a time."""

    @property
    def one_server(self) -> bool:
        """Whether all names are on one server."""
        ...

    async def connect(self) -> Connected:
        """Connect again; see `SharedDriver.connect`."""
        ...

    def close(self) -> None:
        """Let go of the connections. Idempotent."""
        ...

    def abandon(self) -> None:
        """Forget the connections: in the child of a fork they are the parent's."""
        ...


class PrimaryConnector:
    """Connects to one server, the one that *find* finds: it must be a primary."""

    one_server = True

    def __init__(
        self, find: Callable[[], Awaitable[Endpoint]], dial: Dial, *, login: RedisLogin
    ) -> None:
        self._find = find
        self._dial = dial
        self._login = login
        self._on_invalidate: OnInvalidate | None = None
        self._messages: RedisConnection | None = None
        self._client: RedisClient | None = None
        self._former: list[tuple[str, int]] = []
        self._beside: list[RedisClient] = []  # further connections to the same server

    def listen(self, on_invalidate: OnInvalidate) -> None:
        """From the next connection on, give *on_invalidate* what changes."""
        self._on_invalidate = on_invalidate

    async def connect(self) -> Connected:
        """Connect again, log in, and end the connections from before on the server."""
        self.close()
        endpoint = await self._find()
        connection = await self._dial(endpoint)
        try:
            client = await log_in(connection, endpoint, self._login)
            former = [number for run, number in self._former if run == client.run]
            await kill_clients(client, former)
            messages = None
            if self._on_invalidate is not None:
                messages = await track(
                    client, endpoint, self._on_invalidate, dial=self._dial, login=self._login
                )
        except BaseException:
            connection.close()
            raise
        self._former = []
        self._messages = messages
        self._client = client
        if self._on_invalidate is not None:  # copies need all answers in one order
            return Connected(connection, client.run)
        self._beside = []

        async def open_second() -> RedisConnection:
            second = await log_in(await self._dial(endpoint), endpoint, self._login)
            if self._client is not client or second.run != client.run:
                second.connection.close()
                raise UnavailableError(f"redis {endpoint}: it is another server now")
            self._beside.append(second)
            return second.connection

        connection.second = SecondLane(open_second)
        return Connected(connection, client.run)

    @property
    def alive(self) -> bool:
        """False once a connection is known to be lost."""
        client, messages = self._client, self._messages
        return (
            client is not None and client.connection.alive and (messages is None or messages.alive)
        )

    @property
    def separate_messages(self) -> bool:
        """Whether changes are told on a connection of their own."""
        return self._messages is not None

    async def sync_invalidations(self) -> None:
        """Return when every change up to now was told. Raises UnavailableError."""
        if self._messages is not None:
            await self._messages.exchange([("PING",)])

    def abandon(self) -> None:
        """Forget the connections, and those to end: in the child of a fork they are others'."""
        if self._messages is not None:
            self._messages.abandon()
        for client in (self._client, *self._beside):
            if client is not None:
                client.connection.abandon()
        self._beside = []
        self._messages = self._client = None
        self._former = []

    def close(self) -> None:
        """Let go, and remember the connection, to end it on the server later. Idempotent."""
        if self._messages is not None:
            self._messages.close()
            self._messages = None
        for client in (self._client, *self._beside):
            if client is not None:
                client.connection.close()
                self._former.append((client.run, client.number))
        self._beside = []
        self._client = None
