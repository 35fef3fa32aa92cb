"""Logs a connection in, ends its predecessors on the server, and asks Sentinels who is primary."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import hiredis

from holdfast.cache.drivers.redis.replies import error_of
from holdfast.errors import ConfigurationError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.cache.drivers.redis.redis_connection import (
        Command,
        Dial,
        Endpoint,
        RedisConnection,
    )
    from holdfast.cache.drivers.redis.replies import Reply


@dataclass(frozen=True, slots=True)
class RedisLogin:
    """Who logs in, and to which of the server's numbered databases."""

    user: str | None = None
    password: str | None = field(default=None, repr=False)
    database: int = 0


@dataclass(frozen=True, slots=True)
class RedisClient:
    """A connection that is logged in, as its server knows it.

    *run* is the server's run id, new with every start; *number* is CLIENT ID, new with each
    connection.
    """

    connection: RedisConnection
    run: str
    number: int


async def log_in(
    connection: RedisConnection, endpoint: Endpoint, login: RedisLogin, *, any_role: bool = False
) -> RedisClient:
    """Make *connection* ready and return it. Raises ConfigurationError and UnavailableError.

    Unless *any_role*, a replica is refused.
    """
    commands: list[Command] = []
    if login.password is not None:
        who = (login.user,) if login.user else ()
        commands.append(("AUTH", *who, login.password))
    if login.database:
        commands.append(("SELECT", login.database))
    commands += [("CLIENT", "ID"), ("INFO", "server"), ("INFO", "replication")]
    replies = await connection.exchange(commands)
    for command, reply in zip(commands, replies, strict=True):
        if isinstance(reply, hiredis.ReplyError):
            known = error_of(reply)
            if known is reply:
                known = ConfigurationError(f"redis {endpoint}: {command[0]!r} is refused: {reply}")
            raise known
    number, server, replication = replies[-3:]
    if not isinstance(number, int):
        raise UnavailableError(f"redis {endpoint}: its answer makes no sense ({number!r})")
    if not any_role and _line(replication, "role") != "master":
        raise UnavailableError(f"redis {endpoint}: it is a replica; caches live on the primary")
    return RedisClient(connection, _line(server, "run_id"), number)


async def kill_clients(client: RedisClient, numbers: Sequence[int]) -> None:
    """End the clients with these *numbers* on the server of *client*.

    A command that was sent and never answered may lie unread in the server's buffers, and be
    carried out much later; after this it never will be. Raises ConfigurationError when the user
    may not do it.
    """
    for reply in await client.connection.exchange(
        [("CLIENT", "KILL", "ID", number) for number in (*numbers, client.number)]
    ):  # its own number, which Redis skips, shows at the first start whether it is allowed
        if isinstance(reply, hiredis.ReplyError):
            raise error_of(reply)


async def primary_by_sentinel(
    sentinels: Sequence[Endpoint], name: str, dial: Dial
) -> tuple[str, int]:
    """Return where the primary called *name* is. Raises UnavailableError when none knows."""
    reasons: list[str] = []
    for sentinel in sentinels:
        try:
            connection = await dial(sentinel)
            try:
                (reply,) = await connection.exchange(
                    [("SENTINEL", "get-master-addr-by-name", name)]
                )
            finally:
                connection.close()
        except UnavailableError as error:
            reasons.append(str(error))
            continue
        if isinstance(reply, list) and len(reply) == 2:
            host, port = reply
            return host.decode(), int(port)
        reasons.append(f"{sentinel}: knows no {name!r} ({reply!r})")
    raise UnavailableError(f"no sentinel names the primary: {'; '.join(reasons)}")


def _line(info: Reply, name: str) -> str:
    text = info.decode() if isinstance(info, bytes) else ""
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return value
    raise ConfigurationError(f"redis: INFO says no {name}; is it a Redis or Valkey server?")
