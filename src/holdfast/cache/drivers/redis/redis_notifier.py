"""Passes notifications of a store on by PUBLISH and SUBSCRIBE, where its own database has none."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import hiredis

from holdfast.cache.driver import NotAskedError
from holdfast.cache.drivers.redis.login import log_in
from holdfast.cache.drivers.redis.replies import error_of
from holdfast.errors import ConfigurationError, HoldfastError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from holdfast.cache.drivers.redis.login import RedisLogin
    from holdfast.cache.drivers.redis.redis_connection import (
        Command,
        Dial,
        Endpoint,
        RedisConnection,
    )
    from holdfast.cache.drivers.redis.replies import Reply

_PROBE = 1.0
"""Seconds between two questions whether a connection that listens is still there."""


class RedisNotifier:
    """Tells and hears by the servers that *find* finds; any of them will do, the first is taken.

    Who tells has one connection, who listens one for each channel. None is opened before it is
    needed. *prefix* keeps the channels apart from those of others on the same server, whose
    numbered databases share them.
    """

    def __init__(
        self,
        find: Callable[[], Awaitable[Sequence[Endpoint]]],
        dial: Dial,
        *,
        login: RedisLogin,
        prefix: str,
        any_role: bool,
    ) -> None:
        self._find = find
        self._dial = dial
        self._login = login
        self._prefix = prefix
        self._any_role = any_role
        self._telling: RedisConnection | None = None
        self._process = os.getpid()

    @property
    def notifies(self) -> bool:
        """True: see `Notifier`."""
        return True

    @property
    def listens(self) -> bool:
        """True: see `Notifier`."""
        return True

    async def notify(self, channel: str, texts: Sequence[str]) -> None:
        """Tell each of *texts* to all who listen on *channel*, in one message.

        Raises UnavailableError, and what a refusal means.
        """
        if self._process != os.getpid():  # the connection is the parent's
            if self._telling is not None:
                self._telling.abandon()
            self._telling, self._process = None, os.getpid()
        published: list[Command] = [("PUBLISH", self._name_of(channel), text) for text in texts]
        if self._telling is not None and self._telling.alive:
            try:
                await _must(self._telling, published)
            except NotAskedError:
                pass  # the server closed it since the last time, and was told nothing
            else:
                return
        self._telling = await self._connected()
        await _must(self._telling, published)

    async def listen(self, channel: str, heard: Callable[[str | None], None]) -> None:
        """Call *heard* with each text that is told on *channel*, until this is cancelled.

        First with None, as soon as it listens. Raises UnavailableError when that can't be done, or
        ends, and what a refusal means.
        """
        connection = await self._connected()

        def hear(message: Sequence[Reply]) -> None:
            text = message[-1]
            if isinstance(text, bytes):
                heard(text.decode("utf-8", "replace"))

        try:
            connection.listen(hear, messages=True)
            await _must(connection, [("SUBSCRIBE", self._name_of(channel))])
            heard(None)
            while True:
                await asyncio.sleep(_PROBE)
                await _must(connection, [("PING",)])
        finally:
            connection.close()

    def close(self) -> None:
        """Let go of the connection that tells. Idempotent."""
        if self._telling is not None:
            self._telling.close()
            self._telling = None

    # --- parts ------------------------------------------------------------------------------

    def _name_of(self, channel: str) -> str:
        return f"{self._prefix}:{channel}"

    async def _connected(self) -> RedisConnection:
        reasons: list[str] = []
        for endpoint in await self._find():
            try:
                connection = await self._dial(endpoint)
            except UnavailableError as error:
                reasons.append(str(error))
                continue
            try:
                await log_in(connection, endpoint, self._login, any_role=self._any_role)
            except BaseException as error:
                connection.close()
                if not isinstance(error, UnavailableError):
                    raise
                reasons.append(str(error))
                continue
            return connection
        raise UnavailableError("; ".join(reasons))


async def _must(connection: RedisConnection, commands: Sequence[Command]) -> None:
    for command, reply in zip(commands, await connection.exchange(commands), strict=True):
        if isinstance(reply, hiredis.ReplyError):
            known = error_of(reply)
            if isinstance(known, HoldfastError):
                raise known
            raise ConfigurationError(f"redis: {command[0]!r} is refused: {reply}")
