"""CLIENT TRACKING: Redis tells a connection when something that it has read is changed.

In RESP3 the messages come on the connection that reads, in order with its answers. A server that
speaks RESP2 alone sends them to a second connection, which subscribes to them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import hiredis

from holdfast.cache.drivers.redis.login import log_in
from holdfast.cache.drivers.redis.replies import error_of
from holdfast.errors import ConfigurationError, HoldfastError

if TYPE_CHECKING:
    from holdfast.cache.drivers.redis.login import RedisClient, RedisLogin
    from holdfast.cache.drivers.redis.redis_connection import (
        Command,
        Dial,
        Endpoint,
        RedisConnection,
    )
    from holdfast.cache.drivers.redis.replies import Reply

OnInvalidate = Callable[[Sequence[bytes] | None], None]
"""Takes the names that changed, or None for all of them."""

_CHANNEL = "__redis__:invalidate"


async def track(
    client: RedisClient,
    endpoint: Endpoint,
    on_invalidate: OnInvalidate,
    *,
    dial: Dial,
    login: RedisLogin,
) -> RedisConnection | None:
    """Let *on_invalidate* hear of what is changed after *client* read it.

    Returns the second connection where one is needed. Raises ConfigurationError when the server
    refuses, and UnavailableError.
    """

    def hear(message: Sequence[Reply]) -> None:
        """Understand ``[invalidate, names]``, or ``[message, channel, names]`` in RESP2."""
        names = message[-1]
        if message[0] in {b"invalidate", b"message"}:
            on_invalidate(names if isinstance(names, list) else None)

    (hello,) = await client.connection.exchange([("HELLO", 3)])
    if not isinstance(hello, hiredis.ReplyError):
        client.connection.listen(hear, messages=False)
        await _must(client.connection, ("CLIENT", "TRACKING", "ON"))
        return None
    connection = await dial(endpoint)
    try:
        listening = await log_in(connection, endpoint, login)
        connection.listen(hear, messages=True)  # the first message may come with the answer
        await _must(connection, ("SUBSCRIBE", _CHANNEL))
        await _must(client.connection, ("CLIENT", "TRACKING", "ON", "REDIRECT", listening.number))
    except BaseException:
        connection.close()
        raise
    return connection


async def _must(connection: RedisConnection, command: Command) -> None:
    (reply,) = await connection.exchange([command])
    if isinstance(reply, hiredis.ReplyError):
        known = error_of(reply)
        if isinstance(known, HoldfastError):
            raise known
        raise ConfigurationError(
            f"redis: a near cache needs {' '.join(map(str, command))}: {reply}"
        )
