"""Who answers commands: the primaries of a Redis Cluster, each for the slots that it owns.

The cluster is used when every slot has a primary and all primaries agree on who owns what; then
each command goes to its name's owner, and follows a slot that moves. A primary that was not there
before is another life of the data, for all that it is known to have been is a replica.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar, cast

import hiredis

from holdfast.cache.drivers.redis.link import BATCH, expected
from holdfast.cache.drivers.redis.session import kill, log_in, refusal
from holdfast.cache.drivers.redis.slots import View, slot_of, view_of
from holdfast.cache.drivers.redis.wire import Endpoint
from holdfast.errors import HoldfastError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from holdfast.cache.drivers.redis.session import Dial, Login, Session
    from holdfast.cache.drivers.redis.wire import Command, Reply, Wire

T = TypeVar("T")

_MOST_HOPS = 8  # redirections of one command, each to where the last node said


class Together(Protocol):
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


@dataclass(frozen=True, slots=True)
class _Nodes:
    """The sessions by address, and the address of each slot's owner."""

    sessions: dict[str, Session]
    owners: list[str]

    def close(self) -> None:
        for session in self.sessions.values():
            session.wire.close()


class ClusterLink:
    """A connection to each primary; when one is lost, all are made anew."""

    one_place = False

    def __init__(
        self, seeds: Sequence[Endpoint], dial: Dial, *, login: Login, together: Together
    ) -> None:
        self._seeds = seeds
        self._dial = dial
        self._login = login
        self._together = together
        self._nodes: _Nodes | None = None
        self._former: list[tuple[str, int]] = []
        self._known: tuple[str, ...] = ()

    async def connect(self) -> str:
        self.close()
        view = await self._first_view()
        opened: list[Wire] = []
        try:
            nodes = await self._joined(view, opened)
        except BaseException:
            for wire in opened:
                wire.close()
            raise
        self._former = []
        self._known = tuple(view.primaries)
        self._nodes = nodes
        runs = sorted(nodes.sessions[address].run for address in set(nodes.owners))
        return hashlib.sha256(" ".join(runs).encode()).hexdigest()[:40]

    def close(self) -> None:
        if self._nodes is not None:
            self._nodes.close()
            sessions = self._nodes.sessions.values()
            self._former.extend((session.run, session.number) for session in sessions)
            self._nodes = None

    async def ask(self, commands: Sequence[Command]) -> list[Reply]:
        nodes = self._ready()
        shares: dict[str, list[int]] = defaultdict(list)
        for position, command in enumerate(commands):
            shares[nodes.owners[_slot(command)]].append(position)
        if len(shares) == 1:
            ((address, _),) = shares.items()
            replies = await nodes.sessions[address].wire.ask(commands)
        else:
            replies = await self._spread(nodes, commands, shares)
        for position, reply in enumerate(replies):
            if type(reply) is hiredis.ReplyError:
                replies[position] = await self._followed(nodes, commands[position], reply)
        return replies

    async def scan(self, match: str) -> AsyncIterator[list[bytes]]:
        """Yield names of every primary; of all of them again when slots moved meanwhile.

        A slot moves from one owner to one other: who looks twice at both finds what was in it.
        """
        nodes = self._ready()
        before = await self._layout(nodes)
        for _ in range(2):
            for session in nodes.sessions.values():
                async for found in self._scan_one(nodes, session, match):
                    yield found
            after = await self._layout(nodes)
            if after == before and not any(view.moving for view in after):
                return

    async def _scan_one(
        self, nodes: _Nodes, session: Session, match: str
    ) -> AsyncIterator[list[bytes]]:
        cursor = b"0"
        while True:
            scan: Command = ("SCAN", cursor, "MATCH", match, "COUNT", BATCH)
            (reply,) = await session.wire.ask([scan])
            if isinstance(reply, hiredis.ReplyError):
                raise self._meaning(nodes, reply)
            cursor, found = cast("tuple[bytes, list[bytes]]", reply)
            yield found
            if cursor == b"0":
                return

    async def _first_view(self) -> View:
        """Return how the first node that answers sees the cluster."""
        seed = self._seeds[0]
        known = [_endpoint(address, seed) for address in self._known]
        reasons: dict[str, None] = {}
        for endpoint in (*known, *self._seeds):
            try:
                wire = await self._dial(endpoint)
                try:
                    session = await log_in(wire, endpoint, self._login, any_role=True)
                    view = await _view(session, endpoint.host, by_name=endpoint.tls is not None)
                    view.owners()
                    return view
                finally:
                    wire.close()
            except UnavailableError as error:
                reasons[str(error)] = None
        raise UnavailableError(f"redis cluster: no node can say who serves: {'; '.join(reasons)}")

    async def _joined(self, view: View, opened: list[Wire]) -> _Nodes:
        seed = self._seeds[0]

        async def join(address: str) -> tuple[Session, View]:
            endpoint = _endpoint(address, seed)
            wire = await self._dial(endpoint)
            opened.append(wire)
            session = await log_in(wire, endpoint, self._login)
            return session, await _view(session, endpoint.host, by_name=seed.tls is not None)

        addresses = tuple(view.primaries)
        joined = await self._together([_call(join, address) for address in addresses])
        for address, (_, other) in zip(addresses, joined, strict=True):
            if other.primaries != view.primaries:  # one that was deposed may not know it yet
                raise UnavailableError(
                    f"redis cluster: {address} and others don't agree yet on who owns what"
                )
        sessions = {address: each for address, (each, _) in zip(addresses, joined, strict=True)}
        for session in sessions.values():
            await kill(session, [number for run, number in self._former if run == session.run])
        return _Nodes(sessions, view.owners())

    async def _layout(self, nodes: _Nodes) -> list[View]:
        """Return how each primary sees the cluster. Raises UnavailableError for an unknown one."""

        async def look(address: str) -> View:
            host = address.rpartition(":")[0]
            return await _view(
                nodes.sessions[address], host, by_name=self._seeds[0].tls is not None
            )

        views = await self._together([_call(look, address) for address in nodes.sessions])
        for view in views:
            if view.primaries.keys() - nodes.sessions.keys():
                nodes.close()
                raise UnavailableError("redis cluster: another primary has come")
        return views

    async def _spread(
        self, nodes: _Nodes, commands: Sequence[Command], shares: dict[str, list[int]]
    ) -> list[Reply]:
        async def share(address: str) -> list[Reply]:
            asked = [commands[position] for position in shares[address]]
            return await nodes.sessions[address].wire.ask(asked)

        answers = await self._together([_call(share, address) for address in shares])
        replies: list[Reply] = [None] * len(commands)
        for positions, answered in zip(shares.values(), answers, strict=True):
            for position, reply in zip(positions, answered, strict=True):
                replies[position] = reply
        return replies

    async def _followed(
        self, nodes: _Nodes, command: Command, refused: hiredis.ReplyError
    ) -> Reply:
        """Return the answer to *command* from where its slot is now; who redirects did nothing."""
        reply: Reply = refused
        for _ in range(_MOST_HOPS):
            if not isinstance(reply, hiredis.ReplyError) or expected(reply):
                return reply
            kind, *where = str(reply).split()
            if kind not in {"MOVED", "ASK"} or len(where) != 2:
                raise self._meaning(nodes, reply)
            address = where[1]
            if address not in nodes.sessions:  # promoted or new: see what it holds first
                nodes.close()
                raise UnavailableError(f"redis cluster: {reply}, which is not known yet")
            wire = nodes.sessions[address].wire
            if kind == "MOVED":
                nodes.owners[int(where[0])] = address
                (reply,) = await wire.ask([command])
            else:
                _, reply = await wire.ask([("ASKING",), command])
        raise UnavailableError(f"redis cluster: a slot moves in circles: {reply}")

    def _ready(self) -> _Nodes:
        if self._nodes is None:
            raise UnavailableError("redis cluster: not connected")
        return self._nodes

    def _meaning(self, nodes: _Nodes, reply: hiredis.ReplyError) -> Exception:
        error = refusal(reply)
        if isinstance(error, UnavailableError):
            nodes.close()
        return error


async def _view(session: Session, host: str, *, by_name: bool) -> View:
    (reply,) = await session.wire.ask([("CLUSTER", "NODES")])
    if isinstance(reply, hiredis.ReplyError):
        known = refusal(reply)
        raise known if isinstance(known, HoldfastError) else UnavailableError(f"redis: {reply}")
    return view_of(cast("bytes", reply).decode(), host, by_name=by_name)


def _endpoint(address: str, like: Endpoint) -> Endpoint:
    host, _, port = address.rpartition(":")
    return Endpoint(host, int(port), like.tls, like.timeout)


def _slot(command: Command) -> int:
    name = command[3] if command[0] in {"EVALSHA", "EVAL"} else command[1]
    assert isinstance(name, str)
    return slot_of(name)


def _call(function: Callable[[str], Awaitable[T]], address: str) -> Callable[[], Awaitable[T]]:
    return lambda: function(address)
