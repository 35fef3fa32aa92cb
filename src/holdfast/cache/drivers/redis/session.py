"""From an address to a connection that is logged in, on the primary, with the last one dead."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import hiredis

from holdfast.errors import ConfigurationError, StorageError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.cache.drivers.redis.wire import Command, Endpoint, Reply, Wire

_NOT_NOW = frozenset(
    {"LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "BUSY", "NOREPLICAS"}
    | {"MISCONF", "UNBLOCKED", "MOVED", "ASK"}
)
_NOT_ALLOWED = frozenset({"NOAUTH", "WRONGPASS", "NOPERM", "DENIED"})


class Dial(Protocol):
    async def __call__(self, endpoint: Endpoint, /) -> Wire: ...


@dataclass(frozen=True, slots=True)
class Login:
    """Who logs in, and to which of the server's numbered databases."""

    user: str | None = None
    password: str | None = field(default=None, repr=False)
    database: int = 0


@dataclass(frozen=True, slots=True)
class Session:
    """A connection in use. *run* is new with every start of a server, *number* with each client."""

    wire: Wire
    run: str
    number: int


def refusal(error: hiredis.ReplyError) -> Exception:
    """Return what to raise for a refusal; for one that nobody foresaw, the refusal itself."""
    code = str(error).partition(" ")[0]
    if code in _NOT_NOW:
        return UnavailableError(f"redis: {error}")
    if code in _NOT_ALLOWED or "invalid password" in str(error):
        return ConfigurationError(f"redis: {error}")
    if code == "OOM":
        return StorageError(f"redis: {error}")
    return error


async def log_in(
    wire: Wire, endpoint: Endpoint, login: Login, *, any_role: bool = False
) -> Session:
    """Make *wire* ready and return it. Raises ConfigurationError and UnavailableError.

    Unless *any_role*, a replica is refused.
    """
    commands: list[Command] = []
    if login.password is not None:
        who = (login.user,) if login.user else ()
        commands.append(("AUTH", *who, login.password))
    if login.database:
        commands.append(("SELECT", login.database))
    commands += [("CLIENT", "ID"), ("INFO", "server"), ("INFO", "replication")]
    replies = await wire.ask(commands)
    for command, reply in zip(commands, replies, strict=True):
        if isinstance(reply, hiredis.ReplyError):
            known = refusal(reply)
            if known is reply:
                known = ConfigurationError(f"redis {endpoint}: {command[0]!r} is refused: {reply}")
            raise known
    number, server, replication = replies[-3:]
    if not isinstance(number, int):
        raise UnavailableError(f"redis {endpoint}: no sense in what it answers ({number!r})")
    if not any_role and _line(replication, "role") != "master":
        raise UnavailableError(f"redis {endpoint}: it is a replica; caches live on the primary")
    return Session(wire, _line(server, "run_id"), number)


async def kill(session: Session, numbers: Sequence[int]) -> None:
    """End the clients with these *numbers* on the server of *session*.

    A command that was sent and never answered may lie unread in the server's buffers, and be
    carried out much later; after this it never will be. Raises ConfigurationError when the user
    may not do it.
    """
    for reply in await session.wire.ask(
        [("CLIENT", "KILL", "ID", number) for number in (*numbers, session.number)]
    ):  # its own number, which Redis skips, shows at the first start whether it is allowed
        if isinstance(reply, hiredis.ReplyError):
            raise refusal(reply)


async def primary_by_sentinel(
    sentinels: Sequence[Endpoint], name: str, dial: Dial
) -> tuple[str, int]:
    """Return where the primary called *name* is. Raises UnavailableError when none knows."""
    reasons: list[str] = []
    for sentinel in sentinels:
        try:
            wire = await dial(sentinel)
            try:
                (reply,) = await wire.ask([("SENTINEL", "get-master-addr-by-name", name)])
            finally:
                wire.close()
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
