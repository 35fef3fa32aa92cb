"""Whether a cache's store is used: when it went away, and the way back to it.

The store is used, or it is not; there is nothing in between. While it is not, values are kept in
this process alone, for a short time, and every name that was written or invalidated is journalled.

**The way back.** Before the store is used again, four things happen, in this order: the old
connections are ended on the server, so that a command which was held up on its way is never carried
out late; if the server is another run, or an older one, the entries are removed, since its data may
lack what was acknowledged; the journal is carried out; what this process kept is forgotten.

**The journal's replay.** Others may write to the journal while it is replayed. So it is taken and
carried out until it is found empty, and that last look and the change to UP happen under one mutex:
nobody can add between them. What fails half-way is put back whole, since a removal that is done
twice does no harm.

**A server's run and the epoch.** Redis has a new run id with every start. Under `life` the
namespace notes which run last cleared it, and its epoch: how often it was emptied because of its
store. An old primary that comes back knows its own run; that its epoch is lower than the one this
process saw tells that it is out of date.

**Who removes the entries.** Each process that finds the note out of date, and the first to be done
notes the new run. From then on the store is used; so the others remove only while the note is what
they found. Locks, their numbers and buckets stay: what holds a lock would not know that it is gone.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from holdfast.cache.driver import NotAskedError, closed, swap_one
from holdfast.cache.drivers.memory import MemoryCacheDriver
from holdfast.cache.entry_name import KEYS, REFRESHES, TAGS
from holdfast.cache.outage.invalidation_journal import InvalidationJournal
from holdfast.cache.outage.outage_health import described
from holdfast.errors import ConfigurationError, HoldfastError, StorageError, UnavailableError
from holdfast.forks import after_fork
from holdfast.health import probed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from datetime import datetime

    from holdfast.cache.driver import CacheCapability, SharedDriver
    from holdfast.cache.monitor import CacheCounters
    from holdfast.cache.options import CacheOptions
    from holdfast.cache.outage.invalidation_journal import Backlog
    from holdfast.health import Health
    from holdfast.offload import Lock

T = TypeVar("T")

_NOTE = "life"
_ENTRIES = (KEYS, TAGS, REFRESHES)
_BATCH = 1000
CLOSED = "closed"
_SHORTEST_LIFE = 0.2  # seconds that a connection made again must live
_LONGEST_NUMBER = 19  # digits

_log = logging.getLogger("holdfast.cache")


@dataclass(frozen=True, slots=True, kw_only=True)
class OutageHooks:
    """What the owner of a driver does about outages.

    *now* tells the time. *on_loss* is called when the store goes away, and when something is
    written down for one that is used: the owner then calls `recover` until it returns True. *due*
    is asked by a call that finds the store away, and tells whether to try it first. *lock* makes
    one that callers wait for.
    """

    now: Callable[[], datetime]
    on_loss: Callable[[], None]
    due: Callable[[], bool]
    lock: Callable[[], Lock]


class StoreConnection:
    """Whether *remote* is used, and what waits for it while it is not."""

    def __init__(
        self,
        remote: SharedDriver,
        options: CacheOptions,
        counters: CacheCounters,
        hooks: OutageHooks,
    ) -> None:
        self._remote = remote
        self.counters = counters
        self._keep = round(options.fallback * 1000)  # milliseconds
        self._local = MemoryCacheDriver(
            max_entries=10_000 if self._keep else 0, max_bytes=64 * 1024 * 1024
        )
        self._journal = InvalidationJournal(options.journal)
        self._now = hooks.now
        self._on_loss = hooks.on_loss
        self._due = hooks.due
        self._up = False
        self._since = hooks.now()
        self._reason = "not connected yet"
        self._round = 0  # how often the store came into use: a late error is of an earlier round
        self._settling = 0  # replayed invalidations that near copies elsewhere may outlive yet
        self._closed = False
        self._server_run = ""
        self._epoch = 0
        self._dormant = False  # closed while nothing was asked of it: the next call connects again
        self._woken = -math.inf
        self._lock = hooks.lock
        self._renew_locks()
        after_fork(self._after_fork)

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
        return not (self._up or self._dormant)

    async def health(self) -> Health:
        """Return how the store answers one probe; one that is away is tried once."""
        health = await probed(self._probe)
        with self._mutex:
            pending, all_keys = self._pending(), self._journal.overflowed
            away = None if self._up else f"{_since(self._since)} ({self._reason})"
        return described(health, pending=pending, all_keys=all_keys, away=away)

    def gauges(self) -> dict[str, float]:
        """Return how the store is, since when (Unix seconds), and what waits for it."""
        with self._mutex:
            return {
                "up": not self.down,
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

    def _after_fork(self) -> None:
        """Let the next call in the child connect: the connections there are are the parent's."""
        self._renew_locks()
        self._remote.abandon()
        self._local.clear()
        self._dormant = self._dormant or self._up
        self._up = False
        self._woken = -math.inf

    async def _retried(self) -> bool:
        if self._closed:
            raise closed()
        if self._dormant:
            return await self._woken_up()
        return self._due() and await self.recover()

    async def _woken_up(self) -> bool:
        """Connect again, once for all who come meanwhile; tell whether the store is used."""
        await self._waking.acquire()
        try:
            if not self._dormant:
                return self._up
            try:
                await self.recover()
            except ConfigurationError:
                _log.exception("the cache's store refuses")
            finally:
                if not self._up:
                    self._go_away()
            return self._up
        finally:
            self._woken = time.monotonic()
            self._waking.release()

    def _lose(self, used: int, error: UnavailableError) -> None:
        """Stop using the store, unless it is another connection already.

        One that was closed while nothing was asked of it is made again by who comes next, and is
        no outage: nobody's request is in doubt. But one that lives only for a moment is.
        """
        with self._mutex:
            if not self._up or used != self._round:
                return
            self._up = False
            self._reason = str(error)
            lived = time.monotonic() - self._woken
            if isinstance(error, NotAskedError) and lived > _SHORTEST_LIFE:
                self._dormant = True
                return
        self._go_away()

    def _go_away(self) -> None:
        with self._mutex:
            self._dormant = False
            self._since = self._now()
            self.counters.outages += 1
            self._local.clear()
        self._on_loss()

    def _unavailable(self) -> UnavailableError:
        return UnavailableError(
            f"the cache's store can't be reached since {_since(self._since)} "
            f"({self._reason}); an answer from this process alone would be invented"
        )

    async def _probe(self) -> None:
        if self._closed:
            raise closed()
        if self.down and not await self.recover():
            raise self._unavailable()
        await self._strict(lambda: self._remote.get_many((_NOTE,)))

    async def _strict(self, ask: Callable[[], Awaitable[T]]) -> T:
        while self._up or await self._retried():
            used = self._round
            try:
                return await ask()
            except UnavailableError as error:
                self._lose(used, error)
                if not isinstance(error, NotAskedError):
                    raise
        raise self._unavailable()

    def _pending(self) -> int:
        return len(self._journal) + self._settling

    async def _recover(self) -> None:
        self._settling = 0
        reconnects = not self._up
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
            raise UnavailableError(CLOSED)
        while True:
            (note,) = await self._remote.get_many([_NOTE])
            noted_run, epoch = _read_note(note)
            if noted_run == self._server_run and epoch >= self._epoch:
                self._epoch = epoch
                return
            if await self._emptied(note, max(epoch, self._epoch) + 1):
                return

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
                if not self._dormant:
                    self._since = self._now()
                self._dormant = False
                self._reason = ""
                self._round += 1
            return None

    async def _carry_out(self, backlog: Backlog) -> None:
        if backlog.overflowed:
            async for entries in self._entries():
                await self._remote.discard(entries)
        for start in range(0, len(backlog.names), _BATCH):
            await self._remote.discard(backlog.names[start : start + _BATCH])
        for pattern in backlog.patterns:
            await self._remote.discard((), pattern=pattern)

    async def _emptied(self, found: bytes | None, epoch: int) -> bool:
        """Remove the entries while the note is the one *found*, and note the run and its *epoch*.

        False when another process was done first: then what is there is of the new epoch.
        """
        async for entries in self._entries():
            if not await self._remote.discard_while(_NOTE, found, entries):
                return False
        note = b"%s %d" % (self._server_run.encode(), epoch)
        with suppress(StorageError):  # a full store; without the note it is emptied again, no more
            if not await swap_one(self._remote, _NOTE, note, over=found, shared=True):
                return False
        self._epoch = epoch
        return True

    async def _entries(self) -> AsyncIterator[list[str]]:
        """Yield the names of values, of tags and of refreshes, in batches."""
        async for batch in self._remote.scan(""):
            yield [name for name, _ in batch if name.startswith(_ENTRIES)]

    def _renew_locks(self) -> None:
        self._mutex = threading.RLock()
        self._recovering = threading.Lock()
        self._waking = self._lock()


def _since(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _read_note(note: bytes | None) -> tuple[str, int]:
    server_run, _, epoch = (note or b"").partition(b" ")
    known = epoch.isdigit() and len(epoch) < _LONGEST_NUMBER
    return server_run.decode(errors="replace"), int(epoch) if known else 0
