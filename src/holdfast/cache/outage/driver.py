"""A driver that goes on without its store: reads from this process, invalidations written down.

The store is used, or it is not; there is nothing in between. While it is not, values are kept in
this process alone, for a short time, and every name that was written or invalidated is journalled.

**The way back.** Before the store is used again, four things happen, in this order: the old
connections are ended on the server, so that a command which was held up on its way is never carried
out late; if the server is another run, or an older one, the namespace is emptied, since its data
may lack what was acknowledged; the journal is carried out; what this process kept is forgotten.

**The journal's replay.** Others may write to the journal while it is replayed. So it is taken and
carried out until it is found empty, and that last look and the change to UP happen under one mutex:
nobody can add between them. What fails half-way is put back whole, since a removal that is done
twice does no harm.

**A server's run and the epoch.** Redis has a new run id with every start. Under `life` the
namespace notes which run last cleared it, and its epoch: how often it was emptied because of its
store. An old primary that comes back knows its own run; that its epoch is lower than the one this
process saw tells that it is out of date.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from holdfast.cache.driver import NEAR, Outcome, closed
from holdfast.cache.drivers.memory import MemoryCacheDriver
from holdfast.cache.outage.invalidation_journal import InvalidationJournal
from holdfast.errors import HoldfastError, StorageError, UnavailableError
from holdfast.health import Health, HealthState, probed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from datetime import datetime

    from holdfast.cache.driver import CacheCapability, SharedDriver, Swap
    from holdfast.cache.monitor import CacheCounters
    from holdfast.cache.options import CacheOptions
    from holdfast.cache.outage.invalidation_journal import Backlog
    from holdfast.cache.pattern import Pattern

T = TypeVar("T")

_NOTE = "life"
_BATCH = 1000
_CLOSED = "closed"


class FallbackDriver:
    """A driver over *remote* that goes on without it; also the cache's monitor.

    *on_loss* is called when the store goes away, and when something is written down for one that
    is used: the owner of this driver then calls `recover` until it returns True. *due* is asked by
    a call that finds the store away, and tells whether to try it first. After `close` every call
    raises RuntimeError.
    """

    def __init__(
        self,
        remote: SharedDriver,
        options: CacheOptions,
        counters: CacheCounters,
        *,
        now: Callable[[], datetime],
        on_loss: Callable[[], None],
        due: Callable[[], bool],
    ) -> None:
        self._remote = remote
        self.counters = counters
        self._keep = round(options.fallback * 1000)  # milliseconds
        self._local = MemoryCacheDriver(
            max_entries=10_000 if self._keep else 0, max_bytes=64 * 1024 * 1024
        )
        self._journal = InvalidationJournal(options.journal)
        self._now = now
        self._on_loss = on_loss
        self._due = due
        self._up = False
        self._since = now()
        self._reason = "not connected yet"
        self._round = 0  # how often the store came into use: a late error is of an earlier round
        self._settling = 0  # replayed invalidations that near copies elsewhere may outlive yet
        self._closed = False
        self._server_run = ""
        self._epoch = 0
        self._mutex = threading.RLock()
        self._recovering = threading.Lock()

    @property
    def name(self) -> str:
        """The name of the backend behind it."""
        return self._remote.name

    @property
    def capabilities(self) -> frozenset[CacheCapability]:
        """What the backend behind it can do."""
        return self._remote.capabilities

    @property
    def down(self) -> bool:
        """Whether the store is away."""
        return not self._up

    async def health(self) -> Health:
        """Return how the store answers one probe; one that is away is tried once."""
        health = await probed(self._probe)
        with self._mutex:
            pending = self._pending()
            wait = "invalidation waits" if pending == 1 else "invalidations wait"
            waits = f"{pending} {wait} for it" if pending else ""
            if self._journal.overflowed:
                waits += ", one of which stands for all keys"
            if health.state is HealthState.UP and pending:
                return Health(HealthState.DEGRADED, health.latency, waits)
            if health.state is HealthState.DOWN and not self._up:
                since = f"away since {self._since:%Y-%m-%d %H:%M:%S} UTC ({self._reason})"
                return Health(health.state, health.latency, f"{since}; {waits}".rstrip("; "))
        return health

    def gauges(self) -> dict[str, float]:
        """Return how the store is, since when (Unix seconds), and what waits for it."""
        with self._mutex:
            return {
                "up": self._up,
                "since": self._since.timestamp(),
                "pending": self._pending(),
                "overflowed": self._journal.overflowed,
            }

    async def recover(self) -> bool:
        """Try once to use the store again, and carry out what is written down.

        Tells whether both is done. Raises ConfigurationError when it refuses for good.
        """
        if self._up and not len(self._journal):
            return True
        if self._closed or not self._recovering.acquire(blocking=False):
            return False
        try:
            await self._recover()
            return self._up
        except UnavailableError as error:
            with self._mutex:
                self._reason = str(error)
            if self._up:  # it was in use already when it went away once more
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
        reconnects = self.down
        if reconnects:
            await self._connect()
        while (backlog := self._next_backlog(reconnects=reconnects)) is not None:
            try:
                await self._carry_out(backlog)
            except BaseException:
                with self._mutex:
                    self._journal.put_back(backlog)
                raise
        # Near copies elsewhere are waited for once and at the end: who waited before each look at
        # the journal would never find it empty where much is written.
        await self._remote.wait_for_near_expiry()
        self._settling = 0

    async def _connect(self) -> None:
        """Connect, and empty the namespace when the server's data may be out of date."""
        self._server_run = await self._remote.connect()
        if self._closed:
            await self._remote.close()
            raise UnavailableError(_CLOSED)
        (note,) = await self._remote.get_many([_NOTE])
        noted_run, epoch = _read_note(note)
        if noted_run != self._server_run or epoch < self._epoch:
            self._epoch = max(epoch, self._epoch) + 1
            await self._clear()
        else:
            self._epoch = epoch

    def _next_backlog(self, *, reconnects: bool) -> Backlog | None:
        """Return what is written down; when nothing is, use a store that was connected again."""
        with self._mutex:  # between the look at the journal and the change, nobody adds
            if len(self._journal):
                backlog = self._journal.take()
                self._settling += len(backlog.names) + len(backlog.patterns) + backlog.overflowed
                return backlog
            if reconnects and not self._closed:
                self._local.clear()
                self._up = True
                self._since = self._now()
                self._reason = ""
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
        """Remove the whole namespace, and note the server's run and the epoch that begins."""
        async for batch in self._remote.scan(""):
            await self._remote.discard([name for name, _ in batch if name != NEAR])
        with suppress(StorageError):  # a full store; without the note it is cleared again, no more
            note = b"%s %d" % (self._server_run.encode(), self._epoch)
            await self._remote.set_many([(_NOTE, note)], ttl=None)

    async def close(self) -> None:
        """Let go of the store; what is asked after this raises RuntimeError. Idempotent."""
        with self._mutex:
            self._closed = True
            self._up = False
            self._reason = _CLOSED
            self._local.clear()
        await self._remote.close()

    async def get_many(self, names: Sequence[str]) -> list[bytes | None]:
        """Return what is under *names* in the store, or here while it is away."""
        if self._up or await self._retried():
            used = self._round
            try:
                return await self._remote.get_many(names)
            except UnavailableError as error:
                self._lose(used, error)
        return await self._local.get_many(names)

    async def ttl(self, name: str) -> int | None:
        """Return the milliseconds left in the store, or here while it is away."""
        if self._up or await self._retried():
            used = self._round
            try:
                return await self._remote.ttl(name)
            except UnavailableError as error:
                self._lose(used, error)
        return await self._local.ttl(name)

    async def set_many(self, items: Sequence[tuple[str, bytes]], *, ttl: int | None) -> Outcome:
        """Store *items*; PENDING while the store is away, and kept here for a short time."""
        while True:
            if self.down and not await self._retried():
                if await self._write_down([name for name, _ in items], items=items, ttl=ttl):
                    self.counters.pending_answers += 1
                    return Outcome.PENDING
                continue
            used = self._round
            try:
                return await self._remote.set_many(items, ttl=ttl)
            except UnavailableError as error:
                self._lose(used, error)

    async def swap_many(
        self, swaps: Sequence[Swap], *, ttl: int | None, shared: bool = False
    ) -> list[bool]:
        """Do *swaps* in the store; unless *shared*, here while it is away."""
        if shared:
            return await self._strict(lambda: self._remote.swap_many(swaps, ttl=ttl, shared=True))
        if self._up or await self._retried():
            used = self._round
            try:
                return await self._remote.swap_many(swaps, ttl=ttl)
            except UnavailableError as error:
                self._lose(used, error)
                # Carried out or not: what it may have left must go before the store is used, or a
                # load lock that came to be later than its load began would admit that load's value.
                if not await self._write_down([swap.name for swap in swaps]):
                    return [False] * len(swaps)
        with self._mutex:
            if self._up:
                return [False] * len(swaps)  # what is in this process does not count any more
            return await self._local.swap_many(swaps, ttl=self._shorter(ttl))

    async def delete_many(self, names: Sequence[str], *, pattern: Pattern | None = None) -> Outcome:
        """Remove *names* and what *pattern* fits; written down while the store is away."""
        while True:
            if self.down and not await self._retried():
                if await self._write_down(names, pattern):
                    self.counters.pending_answers += 1
                    return Outcome.PENDING
                continue
            used = self._round
            try:
                return await self._remote.delete_many(names, pattern=pattern)
            except UnavailableError as error:
                self._lose(used, error)
            except BaseException:  # cancelled: it may be on its way, so it is done once more
                self._journal.add(names, pattern)
                self._on_loss()
                raise

    async def increment(self, name: str, by: int, *, ttl: int | None) -> int | None:
        """Add in the store. Raises UnavailableError while it is away."""
        return await self._strict(lambda: self._remote.increment(name, by, ttl=ttl))

    async def expire(self, name: str, ttl: int | None) -> bool:
        """Give a new time to live in the store. Raises UnavailableError while it is away."""
        return await self._strict(lambda: self._remote.expire(name, ttl))

    async def scan(self, prefix: str) -> AsyncIterator[list[tuple[str, bytes]]]:
        """Yield what is in the store, or here while it is away.

        Raises UnavailableError when the store goes away meanwhile: half of a listing is not one.
        """
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
            raise

    async def _probe(self) -> None:
        if self._closed:
            raise closed()
        if self.down:
            if not await self.recover():
                raise self._unavailable()
            return
        used = self._round
        try:
            await self._remote.get_many((_NOTE,))
        except UnavailableError as error:
            self._lose(used, error)
            raise

    def _pending(self) -> int:
        return len(self._journal) + self._settling

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
            if self._up:
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
            self._up = False
            self._since = self._now()
            self._reason = str(error)
            self.counters.outages += 1
            self._local.clear()
        self._on_loss()

    def _shorter(self, ttl: int | None) -> int | None:
        longest = max(1, self._keep)
        return longest if ttl is None else min(ttl, longest)

    def _unavailable(self) -> UnavailableError:
        return UnavailableError(
            f"the cache's store can't be reached since {self._since:%Y-%m-%d %H:%M:%S} UTC "
            f"({self._reason}); an answer from this process alone would be invented"
        )


def _read_note(note: bytes | None) -> tuple[str, int]:
    server_run, _, epoch = (note or b"").partition(b" ")
    return server_run.decode(errors="replace"), int(epoch) if epoch.isdigit() else 0
