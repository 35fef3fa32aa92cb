"""Commands to the primaries of a Redis Cluster, each for the slots that it owns.

The cluster is used when every slot has a primary and all primaries agree on who owns what; then
each command goes to its name's owner, and follows a slot that moves. A primary that was not there
before is another run of the data, for all that is known of it is that it was a replica.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import defaultdict
from typing import TYPE_CHECKING, Protocol, TypeVar, cast

import hiredis

from holdfast.cache.drivers.redis.connector import Connected
from holdfast.cache.drivers.redis.login import kill_clients, log_in
from holdfast.cache.drivers.redis.redis_connection import Endpoint, asked_in_part
from holdfast.cache.drivers.redis.replies import error_of, is_expected
from holdfast.cache.drivers.redis.slots import ClusterLayout, parse_cluster_nodes, slot_of
from holdfast.errors import HoldfastError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

    from holdfast.cache.drivers.redis.login import RedisClient, RedisLogin
    from holdfast.cache.drivers.redis.redis_connection import Command, Dial, RedisConnection
    from holdfast.cache.drivers.redis.replies import Reply

T = TypeVar("T")

_MOST_HOPS = 8  # redirections of one command, each to where the last node said


class Together(Protocol):
    """How several requests are waited for: `at_once` or `in_turn`."""

    async def __call__(self, calls: Sequence[Callable[[], Awaitable[T]]], /) -> list[T]:
        """Return what each of *calls* returns; raise what the first that failed raised."""
        ...


async def at_once(calls: Sequence[Callable[[], Awaitable[T]]]) -> list[T]:
    """Wait for all of *calls* at the same time, also when one fails."""
    ended = await asyncio.gather(*[call() for call in calls], return_exceptions=True)
    for each in ended:
        if isinstance(each, BaseException):
            raise each
    return cast("list[T]", ended)


async def in_turn(calls: Sequence[Callable[[], Awaitable[T]]]) -> list[T]:
    """Wait for one of *calls* after another."""
    return [await call() for call in calls]


class ClusterCommands:
    """Answers commands by the node that owns each name.

    *clients* are the connections by address, *owners* the address of each slot's owner, *tls*
    whether nodes are called by the names that they announce.
    """

    one_server = False

    def __init__(
        self,
        clients: Mapping[str, RedisClient],
        owners: list[str],
        *,
        together: Together,
        tls: bool,
    ) -> None:
        self.clients = clients
        self._owners = owners
        self._together = together
        self._tls = tls

    def close(self) -> None:
        """Let go of every connection. Idempotent."""
        for client in self.clients.values():
            client.connection.close()

    async def ask(self, commands: Sequence[Command]) -> list[Reply]:
        """Return the answers by position; see `RedisCommands.ask`."""
        shares: dict[str, list[int]] = defaultdict(list)
        for position, command in enumerate(commands):
            shares[self._owners[_slot(command)]].append(position)
        if len(shares) == 1:
            ((address, _),) = shares.items()
            replies = await self.clients[address].connection.exchange(commands)
        else:
            with asked_in_part():
                replies = await self._spread(commands, shares)
        for position, reply in enumerate(replies):
            if type(reply) is hiredis.ReplyError:
                with asked_in_part():
                    replies[position] = await self._followed(commands[position], reply)
        return replies

    async def scan(self, match: str) -> AsyncIterator[list[bytes]]:
        """Yield names of every primary; of all of them again when slots moved meanwhile.

        A slot moves from one owner to one other: who looks twice at both finds what was in it.
        """
        before = await self._layout()
        for _ in range(2):
            for client in self.clients.values():
                async for found in self._scan_one(client, match):
                    yield found
            after = await self._layout()
            if after == before and not any(layout.moving for layout in after):
                return

    async def _scan_one(self, client: RedisClient, match: str) -> AsyncIterator[list[bytes]]:
        try:
            async for found in client.connection.scan(match):
                yield found
        except UnavailableError:
            self.close()
            raise

    async def _layout(self) -> list[ClusterLayout]:
        """Return how each primary sees the cluster. Raises UnavailableError for an unknown one."""

        async def look(address: str) -> ClusterLayout:
            host = address.rpartition(":")[0]
            return await _layout_of(self.clients[address], host, by_name=self._tls)

        layouts = await self._together([_call(look, address) for address in self.clients])
        for layout in layouts:
            if layout.primaries.keys() - self.clients.keys():
                self.close()
                raise UnavailableError("redis cluster: another primary has come")
        return layouts

    async def _spread(
        self, commands: Sequence[Command], shares: dict[str, list[int]]
    ) -> list[Reply]:
        async def share(address: str) -> list[Reply]:
            asked = [commands[position] for position in shares[address]]
            return await self.clients[address].connection.exchange(asked)

        answers = await self._together([_call(share, address) for address in shares])
        replies: list[Reply] = [None] * len(commands)
        for positions, answered in zip(shares.values(), answers, strict=True):
            for position, reply in zip(positions, answered, strict=True):
                replies[position] = reply
        return replies

    async def _followed(self, command: Command, refused: hiredis.ReplyError) -> Reply:
        """Return the answer to *command* from where its slot is now; who redirects did nothing."""
        reply: Reply = refused
        for _ in range(_MOST_HOPS):
            if not isinstance(reply, hiredis.ReplyError) or is_expected(reply):
                return reply
            kind, *where = str(reply).split()
            if kind not in {"MOVED", "ASK"} or len(where) != 2:
                error = error_of(reply)
                if isinstance(error, UnavailableError):
                    self.close()
                raise error
            address = where[1]
            if address not in self.clients:  # promoted or new: see what it holds first
                self.close()
                raise UnavailableError(f"redis cluster: {reply}, which is not known yet")
            connection = self.clients[address].connection
            if kind == "MOVED":
                self._owners[int(where[0])] = address
                (reply,) = await connection.exchange([command])
            else:
                _, reply = await connection.exchange([("ASKING",), command])
        raise UnavailableError(f"redis cluster: a slot moves in circles: {reply}")


class ClusterConnector:
    """Connects to each primary of a cluster; when one is lost, to all of them again."""

    one_server = False

    def __init__(
        self, seeds: Sequence[Endpoint], dial: Dial, *, login: RedisLogin, together: Together
    ) -> None:
        self._seeds = seeds
        self._dial = dial
        self._login = login
        self._together = together
        self._commands: ClusterCommands | None = None
        self._former: list[tuple[str, int]] = []
        self._known: tuple[str, ...] = ()

    async def connect(self) -> Connected:
        """Connect to every primary, once all of them agree on who owns what."""
        self.close()
        layout = await self._first_layout()
        opened: list[RedisConnection] = []
        try:
            clients = await self._joined(layout, opened)
        except BaseException:
            for connection in opened:
                connection.close()
            raise
        owners = layout.owners()
        commands = ClusterCommands(clients, owners, together=self._together, tls=self._tls)
        self._former = []
        self._known = tuple(layout.primaries)
        self._commands = commands
        runs = sorted(clients[address].run for address in set(owners))
        return Connected(commands, hashlib.sha256(" ".join(runs).encode()).hexdigest()[:40])

    def close(self) -> None:
        """Let go, and remember the connections, to end them on their servers. Idempotent."""
        if self._commands is not None:
            self._commands.close()
            clients = self._commands.clients.values()
            self._former.extend((client.run, client.number) for client in clients)
            self._commands = None

    def abandon(self) -> None:
        """Forget the connections, and those to end: in the child of a fork they are others'."""
        if self._commands is not None:
            for client in self._commands.clients.values():
                client.connection.abandon()
        self._commands = None
        self._former = []

    @property
    def _tls(self) -> bool:
        return self._seeds[0].tls is not None

    async def _first_layout(self) -> ClusterLayout:
        """Return how the first node that answers sees the cluster."""
        seed = self._seeds[0]
        known = [_endpoint(address, seed) for address in self._known]
        reasons: dict[str, None] = {}
        for endpoint in (*known, *self._seeds):
            try:
                connection = await self._dial(endpoint)
                try:
                    client = await log_in(connection, endpoint, self._login, any_role=True)
                    layout = await _layout_of(client, endpoint.host, by_name=self._tls)
                    layout.owners()
                    return layout
                finally:
                    connection.close()
            except UnavailableError as error:
                reasons[str(error)] = None
        raise UnavailableError(f"redis cluster: no node can say who serves: {'; '.join(reasons)}")

    async def _joined(
        self, layout: ClusterLayout, opened: list[RedisConnection]
    ) -> dict[str, RedisClient]:
        """Return a client of each primary; *opened* are the connections, also when this fails."""
        seed = self._seeds[0]

        async def join(address: str) -> tuple[RedisClient, ClusterLayout]:
            endpoint = _endpoint(address, seed)
            connection = await self._dial(endpoint)
            opened.append(connection)
            client = await log_in(connection, endpoint, self._login)
            return client, await _layout_of(client, endpoint.host, by_name=self._tls)

        addresses = tuple(layout.primaries)
        joined = await self._together([_call(join, address) for address in addresses])
        for address, (_, other) in zip(addresses, joined, strict=True):
            if other.primaries != layout.primaries:  # one that was deposed may not know it yet
                raise UnavailableError(
                    f"redis cluster: {address} and others don't agree yet on who owns what"
                )
        clients = {address: each for address, (each, _) in zip(addresses, joined, strict=True)}
        for client in clients.values():
            former = [number for run, number in self._former if run == client.run]
            await kill_clients(client, former)
        return clients


async def _layout_of(client: RedisClient, host: str, *, by_name: bool) -> ClusterLayout:
    (reply,) = await client.connection.exchange([("CLUSTER", "NODES")])
    if isinstance(reply, hiredis.ReplyError):
        known = error_of(reply)
        raise known if isinstance(known, HoldfastError) else UnavailableError(f"redis: {reply}")
    return parse_cluster_nodes(cast("bytes", reply).decode(), host, by_name=by_name)


def _endpoint(address: str, like: Endpoint) -> Endpoint:
    host, _, port = address.rpartition(":")
    return Endpoint(host, int(port), like.tls, like.timeout)


def _slot(command: Command) -> int:
    name = command[3] if command[0] in {"EVALSHA", "EVAL"} else command[1]
    assert isinstance(name, str)
    return slot_of(name)


def _call(function: Callable[[str], Awaitable[T]], address: str) -> Callable[[], Awaitable[T]]:
    return lambda: function(address)
