"""Hearing of changes: Redis tells a connection when something that it has read is changed.

In RESP3 the messages come on the connection that reads, in order with its answers. A server that
speaks RESP2 alone sends them to a second connection, which subscribes to them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import hiredis

from holdfast.cache.drivers.redis.session import log_in, refusal
from holdfast.errors import ConfigurationError, HoldfastError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from holdfast.cache.drivers.redis.session import Dial, Login, Session
    from holdfast.cache.drivers.redis.wire import Command, Endpoint, Reply, Wire

    Told = Callable[[Sequence[bytes] | None], None]
    """Takes the names that changed, or None for all of them."""

_CHANNEL = "__redis__:invalidate"


async def track(
    session: Session, endpoint: Endpoint, told: Told, *, dial: Dial, login: Login
) -> Wire | None:
    """Let *told* hear of what is changed after *session* read it.

    Returns the second connection where one is needed. Raises ConfigurationError when the server
    refuses, and UnavailableError.
    """
    (hello,) = await session.wire.ask([("HELLO", 3)])
    if not isinstance(hello, hiredis.ReplyError):
        session.wire.listen(lambda message: _hear(message, told), messages=False)
        await _must(session.wire, ("CLIENT", "TRACKING", "ON"))
        return None
    wire = await dial(endpoint)
    try:
        listening = await log_in(wire, endpoint, login)
        await _must(wire, ("SUBSCRIBE", _CHANNEL))
        wire.listen(lambda message: _hear(message, told), messages=True)
        await _must(session.wire, ("CLIENT", "TRACKING", "ON", "REDIRECT", listening.number))
    except BaseException:
        wire.close()
        raise
    return wire


async def _must(wire: Wire, command: Command) -> None:
    (reply,) = await wire.ask([command])
    if isinstance(reply, hiredis.ReplyError):
        known = refusal(reply)
        if isinstance(known, HoldfastError):
            raise known
        raise ConfigurationError(
            f"redis: a near cache needs {' '.join(map(str, command))}: {reply}"
        )


def _hear(message: Sequence[Reply], told: Told) -> None:
    """Understand ``[invalidate, names]``, or ``[message, channel, names]`` in RESP2."""
    names = message[-1]
    if message[0] not in {b"invalidate", b"message"}:
        return
    told(names if isinstance(names, list) else None)
