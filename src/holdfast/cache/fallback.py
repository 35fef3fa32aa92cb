"""What happens when the store goes away: reads from this process, invalidations written down.

The store is used, or it is not; there is nothing in between. While it is not, values are kept in
this process alone, for a short time, and every name that was written or invalidated is journalled.
Before the store is used again the journal is carried out in it, what an earlier life of its data
left is removed, and what this process kept is forgotten.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol, TypeVar

from holdfast.cache.driver import NEAR, Driver, Outcome, Swap, closed
from holdfast.cache.drivers.memory import MemoryDriver
from holdfast.cache.health import Health, State
from holdfast.cache.journal import Journal
from holdfast.errors import HoldfastError, StorageError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from datetime import datetime

    from holdfast.cache.health import Statistics
    from holdfast.cache.journal import Backlog
    from holdfast.cache.options import CacheOptions
    from holdfast.cache.pattern import Pattern

T = TypeVar("T")

_LIFE = "life"
_BATCH = 1000
_CLOSED = "closed"


class Remote(Driver, Protocol):
    """A backend that can go away."""

    async def connect(self) -> str:
        """Connect anew and return what names this life of the store's data.

        Nothing that was asked before and not answered is carried out after this. Raises
        UnavailableError.
        """
        ...

    async def discard(self, names: Sequence[str], *, pattern: Pattern | None = None) -> None:
        """Remove as `delete_many` does; some process may serve a copy until `outlast` returns."""
        ...

    async def outlast(self) -> None:
        """Return when no process serves what was discarded before."""
        ...

    async def close(self) -> None: ...


class FallbackDriver:
    """A driver over *remote* that goes on without it.

    *lost* is called when the store goes away, and when something is written down for one that is
    used: whoever made this driver then calls `recover` until it returns True. *due* is asked by a
    call that finds the store away, and tells whether to try it first. After `close` every call
    raises RuntimeError.
    """

    def __init__(
        self,
        remote: Remote,
        options: CacheOptions,
        statistics: Statistics,
        *,
        now: Callable[[], datetime],
        lost: Callable[[], None],
        due: Callable[[], bool],
    ) -> None:
        self._remote = remote
        self._statistics = statistics
        self._keep = round(options.fallback * 1000)  # milliseconds
        self._local = MemoryDriver(
            max_entries=10_000 if self._keep else 0, max_bytes=64 * 1024 * 1024
        )
        self._journal = Journal(options.journal)
        self._now = now
        self._told = lost
        self._due = due
        self._state = State.DOWN
        self._since = now()
        self._reason: str | None = "not connected yet"
        self._round = 0
        self._settling = 0  # replayed invalidations whose copies elsewhere are not outlasted yet
        self._closed = False
        self._life = ""
        self._era = 0  # how often the namespace was emptied because of its store
        self._mutex = threading.RLock()
        self._recovering = threading.Lock()

    @property
    def down(self) -> bool:
        return self._state is State.DOWN

    def health(self) -> Health:
        """Return how the store is, and for how long it has been so."""
        with self._mutex:
            return Health(
                self._state,
                self._since,
                len(self._journal) + self._settling,
                self._reason,
                overflowed=self._journal.overflowed,
            )

    async def recover(self) -> bool:
        """Try once to use the store again, and carry out what is written down.

        Tells whether both is done. Raises ConfigurationError when it refuses for good.
        """
        if not self.down and not len(self._journal):
            return True
        if self._closed or not self._recovering.acquire(blocking=False):
            return False
        try:
            await self._recover()
            return not self.down
        except UnavailableError as error:
            with self._mutex:
                self._reason = str(error)
            if not self.down:  # it was in use already when it went away once more
                self._lose(self._round, error)
            return False
        except HoldfastError as error:
            with self._mutex:
                self._reason = str(error)
            raise
        finally:
            self._recovering.release()

    async def _recover(self) -> None:
        self._settling = 0
        anew = self.down
        if anew:
            await self._connect()
        while (backlog := self._next_backlog(anew=anew)) is not None:
            try:
                await self._carry_out(backlog)
            except BaseException:
                with self._mutex:
                    self._journal.put_back(backlog)
                raise
        # Copies elsewhere are outlasted once and at the end: who waited for them before each look
        # at the journal would never find it empty where much is written.
        await self._remote.outlast()
        self._settling = 0

    async def _connect(self) -> None:
        """Connect, and remove what an earlier life of the store's data left."""
        self._life = await self._remote.connect()
        if self._closed:
            await self._remote.close()
            raise UnavailableError(_CLOSED)
        (note,) = await self._remote.get_many([_LIFE])
        known, era = _read_note(note)
        if known != self._life or era < self._era:  # an old primary that is back knows its own life
            self._era = max(era, self._era) + 1
            await self._clear()
        else:
            self._era = era

    def _next_backlog(self, *, anew: bool) -> Backlog | None:
        """Return what is written down; when nothing is, use a store that was connected *anew*."""
        with self._mutex:  # between the look at the journal and the change, nobody adds
            if len(self._journal):
                backlog = self._journal.take()
                self._settling += len(backlog.names) + len(backlog.patterns) + backlog.overflowed
                return backlog
            if anew and not self._closed:
                self._local.clear()
                self._state = State.UP
                self._since = self._now()
                self._reason = None
                self._round += 1
            return None

    async def _carry_out(self, backlog: Backlog) -> None:
        if backlog.overflowed:
            await self._clear()
        for start in range(0, len(backlog.names), _BATCH):
            await self._remote.discard(backlog.names[start : start + _BATCH])
        for pattern in backlog.patterns:
            await self._remote.discard((), pattern=pattern)

    async def _clear(self) -> None:
        """Remove the whole namespace, and note of which life and era the next one is."""
        async for batch in self._remote.scan(""):
            await self._remote.discard([name for name, _ in batch if name != NEAR])
        with suppress(StorageError):  # a full store; without the note it is cleared again, no more
            note = b"%s %d" % (self._life.encode(), self._era)
            await self._remote.set_many([(_LIFE, note)], ttl=None)

    async def close(self) -> None:
        """Let go of the store; what is asked after this raises RuntimeError. Idempotent."""
        with self._mutex:
            self._closed = True
            self._state = State.DOWN
            self._reason = _CLOSED
            self._local.clear()
        await self._remote.close()

    async def get_many(self, names: Sequence[str]) -> list[bytes | None]:
        if self._state is State.UP or await self._retried():
            used = self._round
            try:
                return await self._remote.get_many(names)
            except UnavailableError as error:
                self._lose(used, error)
        return await self._local.get_many(names)

    async def ttl(self, name: str) -> int | None:
        if self._state is State.UP or await self._retried():
            used = self._round
            try:
                return await self._remote.ttl(name)
            except UnavailableError as error:
                self._lose(used, error)
        return await self._local.ttl(name)

    async def set_many(self, items: Sequence[tuple[str, bytes]], *, ttl: int | None) -> Outcome:
        while True:
            if self.down and not await self._retried():
                if await self._write_down([name for name, _ in items], items=items, ttl=ttl):
                    self._statistics.pending_answers += 1
                    return Outcome.PENDING
                continue
            used = self._round
            try:
                return await self._remote.set_many(items, ttl=ttl)
            except UnavailableError as error:
                self._lose(used, error)

    async def swap(
        self,
        name: str,
        value: bytes | None,
        *,
        over: bytes | None,
        ttl: int | None = None,
        shared: bool = False,
    ) -> bool:
        if shared:
            return await self._strict(
                lambda: self._remote.swap(name, value, over=over, ttl=ttl, shared=True)
            )
        (done,) = await self.swap_many((Swap(name, value, over),), ttl=ttl)
        return done

    async def swap_many(self, swaps: Sequence[Swap], *, ttl: int | None) -> list[bool]:
        if not self.down or await self._retried():
            used = self._round
            try:
                return await self._remote.swap_many(swaps, ttl=ttl)
            except UnavailableError as error:
                self._lose(used, error)
                # Carried out or not: what it may have left must go before the store is used, or a
                # lease that came to be later than its load began would admit that load's value.
                if not await self._write_down([swap.name for swap in swaps]):
                    return [False] * len(swaps)
        with self._mutex:
            if not self.down:
                return [False] * len(swaps)  # what is in this process does not count any more
            return await self._local.swap_many(swaps, ttl=self._shorter(ttl))

    async def delete_many(self, names: Sequence[str], *, pattern: Pattern | None = None) -> Outcome:
        while True:
            if self.down and not await self._retried():
                if await self._write_down(names, pattern):
                    self._statistics.pending_answers += 1
                    return Outcome.PENDING
                continue
            used = self._round
            try:
                return await self._remote.delete_many(names, pattern=pattern)
            except UnavailableError as error:
                self._lose(used, error)
            except BaseException:  # cancelled: it may be on its way, so it is done once more
                self._journal.add(names, pattern)
                self._told()
                raise

    async def increment(self, name: str, by: int, *, ttl: int | None) -> int | None:
        return await self._strict(lambda: self._remote.increment(name, by, ttl=ttl))

    async def expire(self, name: str, ttl: int | None) -> bool:
        return await self._strict(lambda: self._remote.expire(name, ttl))

    async def scan(self, prefix: str) -> AsyncIterator[list[tuple[str, bytes]]]:
        if self.down and not await self._retried():
            async for batch in self._local.scan(prefix):
                yield batch
            return
        used = self._round
        try:
            async for batch in self._remote.scan(prefix):
                yield batch
        except UnavailableError as error:
            self._lose(used, error)
            raise  # half of a listing is none

    async def _strict(self, remote: Callable[[], Awaitable[T]]) -> T:
        if self.down and not await self._retried():
            raise self._unavailable()
        used = self._round
        try:
            return await remote()
        except UnavailableError as error:
            self._lose(used, error)
            raise

    async def _retried(self) -> bool:
        if self._closed:
            raise closed()
        return self._due() and await self.recover()

    async def _write_down(
        self,
        names: Sequence[str],
        pattern: Pattern | None = None,
        *,
        items: Sequence[tuple[str, bytes]] = (),
        ttl: int | None = None,
    ) -> bool:
        """Journal *names*, forget them here and keep *items*; False if the store is back in use."""
        with self._mutex:  # the local driver never suspends, so nothing comes in between
            if not self.down:
                return False
            self._journal.add(names, pattern)
            await self._local.delete_many(names, pattern=pattern)
            await self._local.set_many(items, ttl=self._shorter(ttl))
            return True

    def _lose(self, used: int, error: UnavailableError) -> None:
        """Stop using the store, unless it is another connection already."""
        with self._mutex:
            if self.down or used != self._round:
                return
            self._state = State.DOWN
            self._since = self._now()
            self._reason = str(error)
            self._statistics.outages += 1
            self._local.clear()
        self._told()

    def _shorter(self, ttl: int | None) -> int | None:
        longest = max(1, self._keep)
        return longest if ttl is None else min(ttl, longest)

    def _unavailable(self) -> UnavailableError:
        return UnavailableError(
            f"the cache's store can't be reached since {self._since:%Y-%m-%d %H:%M:%S} UTC "
            f"({self._reason}); an answer from this process alone would be invented"
        )


def _read_note(note: bytes | None) -> tuple[str, int]:
    life, _, era = (note or b"").partition(b" ")
    return life.decode(errors="replace"), int(era) if era.isdigit() else 0
