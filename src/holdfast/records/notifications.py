"""Notifications: hints to those who listen that something was written, here and in other processes.

They save a poll, and replace none: one may be lost, or come when there is nothing left to see.
"""

from __future__ import annotations

import logging
import os
import random
import secrets
import time
from collections.abc import Callable
from contextlib import asynccontextmanager, suppress
from contextvars import Context
from typing import TYPE_CHECKING, TypeAlias

from holdfast.errors import HoldfastError, InvalidQueryError, TransactionError
from holdfast.records.driver import Notifier
from holdfast.records.values.text import ValueRejected, check_text

if TYPE_CHECKING:
    from asyncio import Event, Task
    from collections.abc import AsyncIterator, Sequence

    from holdfast.records.driver import Driver
    from holdfast.records.transactions.affinity import Affinity

Heard: TypeAlias = Callable[[str | None], None]
"""Takes a text that was told; None: what was told before now may have been missed."""

EVERY = 0.02
"""Seconds, at least, between two messages of one store to the server: what comes between waits."""
_GRACE = 1.0  # seconds that the last message has when the store is closed
_PAUSE = 0.25  # seconds until it listens again after a failure; then twice as long each time
_LONGEST = 30.0
_CHANNEL, _TEXT = 63, 7_000  # bytes that PostgreSQL takes, what stands before the text left out
_log = logging.getLogger("holdfast.records")


def check_notification(channel: str, texts: Sequence[str]) -> None:
    """Raise InvalidQueryError for a channel or a text that no server would take."""
    if not 0 < _size(channel) <= _CHANNEL:
        raise InvalidQueryError(f"channel={channel!r}: expected a name of 1 to {_CHANNEL} bytes")
    for text in texts:
        if _size(text) > _TEXT:
            raise InvalidQueryError(f"a notification has at most {_TEXT} bytes")


def _size(text: str) -> int:
    """Return the size of *text* in bytes. Raises InvalidQueryError for what is no text."""
    try:
        return len(check_text(text).encode())
    except ValueRejected as reason:
        raise InvalidQueryError(f"a notification {reason}: {text!r}") from None
    except (AttributeError, TypeError):
        raise InvalidQueryError(f"a notification is a text, got {text!r}") from None


class Notifications:
    """Those who listen in one store, and the way to other processes where its server has one."""

    def __init__(self, driver: Driver, affinity: Affinity) -> None:
        self._driver: Notifier | None = None
        if isinstance(driver, Notifier) and (driver.notifies or driver.listens):
            self._driver = driver
        self._affinity = affinity
        self._name = secrets.token_hex(8)
        self._inherited: list[object] = []
        """The parent's, in a forked child: kept, as a task that is dropped would be ended."""
        self._begin()

    def _begin(self) -> None:
        self._forks = self._affinity.forks
        self._listeners: dict[str, list[Heard]] = {}
        self._listening: dict[str, Task[None]] = {}
        self._waiting: dict[tuple[str, str], None] = {}
        self._sending: Task[None] | None = None
        self._closing: Event | None = None
        self._sent: dict[tuple[str, str], float] = {}

    def use(self, notifier: Notifier) -> None:
        """Go by *notifier* to other processes, unless the store's server tells and hears itself.

        Raises TransactionError where somebody listens already.
        """
        self._notice_fork()
        if any(self._listeners.values()):
            raise TransactionError("notify_by while somebody listens: call it before")
        if self._driver is None or not (self._driver.notifies and self._driver.listens):
            self._driver = notifier

    async def tell(self, channel: str, texts: Sequence[str]) -> None:
        """Tell listeners here before this returns, and those elsewhere soon; raises nothing."""
        self._notice_fork()
        self._pass_on(channel, texts)
        if self._driver is None or not self._driver.notifies:
            return
        if self._affinity.blocking:
            await self._send_unless_just_sent(channel, texts)
            return
        import asyncio  # noqa: PLC0415 - slow to import, and needed by tasks alone

        self._waiting |= dict.fromkeys((channel, text) for text in texts)
        if self._sending is None or self._sending.done():
            # In a context of its own: nothing that the caller is inside of is the task's.
            self._closing = asyncio.Event()
            loop = asyncio.get_running_loop()
            self._sending = loop.create_task(self._send_waiting(self._closing), context=Context())

    @asynccontextmanager
    async def listening(self, channel: str, heard: Heard) -> AsyncIterator[None]:
        """Call *heard*, in this event loop, with what is told on *channel* during the block."""
        import asyncio  # noqa: PLC0415 - as above

        self._notice_fork()
        listeners = self._listeners.setdefault(channel, [])
        listeners.append(heard)
        if self._driver is not None and self._driver.listens and channel not in self._listening:
            loop = asyncio.get_running_loop()
            self._listening[channel] = loop.create_task(self._listen(channel), context=Context())
        try:
            yield
        finally:
            listeners.remove(heard)
            if not listeners and (task := self._listening.pop(channel, None)) is not None:
                await _ended(task)

    async def close(self) -> None:
        """Send what waits, if that is soon done, and end what listens."""
        self._notice_fork()
        for task in self._listening.values():
            await _ended(task)
        if self._sending is not None and self._closing is not None:
            import asyncio  # noqa: PLC0415 - as above

            self._closing.set()
            await asyncio.wait({self._sending}, timeout=_GRACE)
            await _ended(self._sending)

    # --- parts ------------------------------------------------------------------------------

    def _notice_fork(self) -> None:
        """Begin afresh in a forked child: what listens and sends belongs to the parent."""
        if self._forks != self._affinity.forks:
            self._inherited += [self._listening, self._sending, self._listeners]
            self._begin()

    @property
    def _teller(self) -> str:
        """What this process's messages begin with, so that it does not hear itself."""
        return f"{self._name}.{os.getpid()}"

    async def _send_unless_just_sent(self, channel: str, texts: Sequence[str]) -> None:
        """Send those that were not sent just now: who listens is awake for a moment longer."""
        now = time.monotonic()
        just = {each: at for each, at in self._sent.items() if at + EVERY > now}
        due = [text for text in texts if (channel, text) not in just]
        self._sent = just | dict.fromkeys(((channel, text) for text in due), now)
        if due:
            await self._send(channel, due)

    async def _send_waiting(self, closing: Event) -> None:
        import asyncio  # noqa: PLC0415 - as above

        while self._waiting:
            told, self._waiting = self._waiting, {}
            for channel in dict.fromkeys(channel for channel, _ in told):
                await self._send(channel, [text for of, text in told if of == channel])
            with suppress(TimeoutError):
                async with asyncio.timeout(EVERY):
                    await closing.wait()

    async def _send(self, channel: str, texts: Sequence[str]) -> None:
        assert self._driver is not None
        try:
            await self._driver.notify(channel, [f"{self._teller} {text}" for text in texts])
        except HoldfastError as error:  # what was written is written; who polls will find it
            _log.info("nobody is told now on the channel %s: %s", channel, error)

    async def _listen(self, channel: str) -> None:
        """Listen, again and again; while that is not possible, those who poll find what is new."""
        import asyncio  # noqa: PLC0415 - as above

        assert self._driver is not None
        pause = _PAUSE

        def heard(text: str | None) -> None:
            nonlocal pause
            if text is None:
                pause = _PAUSE
            self._heard(channel, text)

        while True:
            try:
                await self._driver.listen(channel, heard)
            except HoldfastError as error:
                _log.warning("listening on %s again within %g s: %s", channel, pause, error)
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - not all at once
            pause = min(2 * pause, _LONGEST)

    def _heard(self, channel: str, text: str | None) -> None:
        if text is not None:
            teller, _, text = text.partition(" ")
            if teller == self._teller:
                return
        self._pass_on(channel, (text,))

    def _pass_on(self, channel: str, texts: Sequence[str | None]) -> None:
        for heard in tuple(self._listeners.get(channel, ())):
            for text in texts:
                try:
                    heard(text)
                except Exception:  # noqa: BLE001 - logged: others want to hear too
                    _log.exception("a listener on the channel %s raised", channel)


async def _ended(task: Task[None]) -> None:
    """Cancel *task*, wait for its end, and raise what is a bug."""
    import asyncio  # noqa: PLC0415 - as above

    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.result()
