"""Keeps load locks alive while their loads run, however long that is.

A load lock lives only for a time, so that one whose process died does not stay forever. A load that
takes longer has its lock renewed three times in that time: by a task, or in blocking code by one
thread for all loads, which is there only while something is loaded. A renewal is a swap of the lock
for itself, so a lock that an invalidation removed is not brought back.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.blocking import run
from holdfast.cache.driver import Swap
from holdfast.errors import HoldfastError
from holdfast.forks import after_fork

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from holdfast.cache.driver import CacheDriver

_log = logging.getLogger("holdfast.cache")
_RENEWALS = 3  # in the time that a lock lives


@dataclass(slots=True, eq=False)
class _Lease:
    swaps: Sequence[Swap]
    due: float


class LoadLeases:
    """Renews what loads hold under their names. *ttl*, in milliseconds, is how long it lives.

    With *tasks* each renewal is a task; without, one thread renews for all.
    """

    def __init__(self, driver: CacheDriver, *, ttl: int, tasks: bool) -> None:
        self._driver = driver
        self._ttl = ttl
        self._tasks = tasks
        self._interval = ttl / 1000 / _RENEWALS
        self._begin_afresh()
        after_fork(self._begin_afresh)

    @asynccontextmanager
    async def kept(self, names: Sequence[str], held: bytes, fence: bytes) -> AsyncIterator[None]:
        """Keep *held*, which starts with *fence*, under *names* while the block runs.

        Where something else stands by then, it stays.
        """
        if not names:
            yield
            return
        lease = _Lease([Swap(name, held, fence) for name in names], 0.0)
        if not self._tasks:
            self._enter(lease)
            try:
                yield
            finally:
                self._leave(lease)
            return
        renewing: list[asyncio.Task[None]] = []
        loop = asyncio.get_running_loop()

        def begin() -> None:
            renewing.append(loop.create_task(self._renew_on(lease)))

        timer = loop.call_later(self._interval, begin)  # most loads end before it rings
        try:
            yield
        finally:
            timer.cancel()
            for task in renewing:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    async def _renew_on(self, lease: _Lease) -> None:
        while await self._renewed(lease):  # noqa: ASYNC110 - a heartbeat
            await asyncio.sleep(self._interval)

    async def _renewed(self, lease: _Lease) -> bool:
        """Renew *lease*; tell whether anything of it is still there."""
        try:
            done = await self._driver.swap_many(lease.swaps, ttl=self._ttl)
        except HoldfastError as error:  # the store is away: it is tried again
            _log.debug("load locks are not renewed: %s", error)
            return True
        lease.swaps = [swap for swap, there in zip(lease.swaps, done, strict=True) if there]
        return bool(lease.swaps)

    def _begin_afresh(self) -> None:
        self._changed = threading.Condition()
        self._leases: dict[int, _Lease] = {}
        self._thread: threading.Thread | None = None

    def _enter(self, lease: _Lease) -> None:
        with self._changed:
            lease.due = time.monotonic() + self._interval
            self._leases[id(lease)] = lease
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._renew_all, name="holdfast-cache-leases", daemon=True
                )
                try:
                    self._thread.start()
                except RuntimeError:  # no more threads, or the interpreter ends
                    self._thread = None
                    _log.warning("no thread renews load locks", exc_info=True)

    def _leave(self, lease: _Lease) -> None:
        with self._changed:
            self._leases.pop(id(lease), None)

    def _renew_all(self) -> None:
        while True:
            with self._changed:
                now = time.monotonic()
                first = min(self._leases.values(), key=lambda lease: lease.due, default=None)
                # Leases end unseen, and each new one is due later than those before it.
                if first is None:
                    if not self._idle():
                        continue
                    self._thread = None
                    return
                if first.due > now:
                    self._changed.wait(first.due - now)
                    continue
                first.due = now + self._interval
            if not run(self._renewed(first)):
                self._leave(first)

    def _idle(self) -> bool:
        """Wait a while for another lease; tell whether there is none."""
        self._changed.wait(self._interval)
        return not self._leases
