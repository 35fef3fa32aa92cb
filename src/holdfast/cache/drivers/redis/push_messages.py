"""What a Redis server says unasked, told from its answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast

import hiredis

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.cache.drivers.redis.replies import Reply


class PushListener(Protocol):
    """Takes one message that a server sent unasked."""

    def __call__(self, message: Sequence[Reply], /) -> None: ...


class Pushes:
    """Tells what a server says unasked from its answers, and hands it on."""

    __slots__ = ("_listener", "_messages")

    def __init__(self, listener: PushListener, *, messages: bool) -> None:
        self._listener = listener
        self._messages = messages

    def takes(self, reply: Reply) -> bool:
        """Return whether *reply* was said unasked; then the listener has it."""
        pushed = isinstance(reply, hiredis.PushNotification)
        if self._messages and not pushed:
            pushed = isinstance(reply, list) and reply[:1] == [b"message"]
        if pushed:
            self._listener(cast("list[Reply]", reply))
        return pushed
