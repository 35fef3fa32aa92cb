"""The turns of keys: those of a queue are served along their order and around.

It is deficit round robin: a key is owed what its turn did not give. So no key waits longer than the
others, however long its queue is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from holdfast.jobs.job import Job
from holdfast.jobs.limits.job_limits import KNOWN_FOR
from holdfast.records import StoreCapability

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable
    from datetime import datetime

    from holdfast.jobs.limits.held_limit import HeldLimit
    from holdfast.records import Store

_TURNS = 4  # into which a claim divides what it may take, among keys
_MOST_TURNS = 50  # keys that one claim looks at; the next one goes on from there
_LAPS = 2  # past the end of the order: then each key was looked at


class TurnTaker(Protocol):
    """A claim that takes of each key so many jobs."""

    def key_room(self, key: str | None) -> int:
        """Return how many more jobs with *key* may start; its use is loaded."""
        ...

    async def load_use(self, key: str | None, ahead: Iterable[str | None]) -> None:
        """Have at hand what *key* has used; if it has to be read, that of keys *ahead* with it."""
        ...

    async def take(self, parts: dict[str | None, int]) -> Counter[str | None]:
        """Claim up to so many jobs of each key, and tell how many there were."""
        ...


class KeyRing:
    """The keys of *queue* in *store* that have jobs which wait, one after another and around.

    None, for jobs without a key, stands behind the last. What was found is known for KNOWN_FOR.
    """

    def __init__(self, store: Store, queue: str) -> None:
        self._store = store
        self._queue = queue
        self._next: dict[str | None, str | None] = {}
        self._before: dict[str | None, str | None] = {}
        self._since: datetime | None = None
        self._turn: tuple[str | None, int] | None = None

    @property
    def known(self) -> bool:
        """Whether some of it was found before."""
        return bool(self._next)

    def forget(self) -> None:
        """Look again."""
        self._next.clear()

    def begin(self, holder: HeldLimit, now: datetime) -> None:
        """Tell *holder* whose turn it is; look again for keys where the last look is old.

        A process goes on from where its own last claim ended, so that not each claim has to write
        that down. It does so with each new look, for those who have not claimed yet.
        """
        old = self._since is None or not self._since <= now < self._since + KNOWN_FOR
        if old:
            self._before, self._next = self._next, {}
            self._since = now
        if self._turn is not None:
            holder.last_key, holder.turn_left = self._turn
        holder.writes_turn = old

    def end(self, holder: HeldLimit) -> None:
        """Take note of whose turn it is after a claim."""
        self._turn = (holder.last_key, holder.turn_left)

    def ahead(self, key: str | None, most: int) -> list[str | None]:
        """Return up to *most* keys that are likely to come behind *key*: as last found."""
        found: list[str | None] = []
        while len(found) < most and (key in self._next or key in self._before):
            key = self._next[key] if key in self._next else self._before[key]
            found.append(key)
        return found

    async def after(self, key: str | None) -> str | None:
        """Return the next key; None, for jobs without one, behind the last."""
        if key not in self._next:
            self._next[key] = await self._find(key)
        return self._next[key]

    async def _find(self, key: str | None) -> str | None:
        # Other jobs than those to be claimed count too, so that an index alone tells.
        jobs = self._store.repository(Job)
        where = Job.lane == self._queue
        if key is not None:
            where &= Job.limit_key > key
        if StoreCapability.LARGE_WRITES in self._store.capabilities:
            ((least,),) = await jobs.aggregate(Job.limit_key.min(), where=where)
            return least
        # DynamoDB finds the least along its index, where nulls come last, and reads no further.
        order = (Job.limit_key.asc(), Job.precedence.asc(), Job.run_at.asc())
        found = await jobs.select(Job.limit_key, where=where, order_by=order, limit=1)
        return found[0][0] if found else None


class KeyTurns:
    """The turns that *claim* gives keys along *ring*, from where *holder* says the last ended."""

    def __init__(self, claim: TurnTaker, holder: HeldLimit, ring: KeyRing) -> None:
        self._claim = claim
        self._holder = holder
        self._ring = ring
        self._turns = 0
        self._short: set[str | None] = set()
        """Keys that have no more jobs for this claim."""

    async def take(self, allowed: int) -> None:
        """Claim up to *allowed* jobs, key by key.

        Where the known ring gives nothing, a new one does: a key that is new to it has jobs.
        """
        known = self._ring.known
        if await self._take(allowed) == 0 and known:
            self._ring.forget()
            self._short.clear()
            self._turns = 0
            await self._take(allowed)

    async def _take(self, allowed: int) -> int:
        part = max(1, allowed // _TURNS)
        total = 0
        while total < allowed and self._turns < _MOST_TURNS:
            parts = await self._plan(allowed - total, part)
            if not parts:
                break
            found = await self._claim.take(parts)
            total += found.total()
            self._short |= {key for key, most in parts.items() if found[key] < most}
            if self._holder.last_key in self._short:
                self._holder.turn_left = 0
        return total

    async def _plan(self, most: int, part: int) -> dict[str | None, int]:
        """Return how many jobs each of the next keys may have, *most* in all."""
        holder, weights = self._holder, self._holder.row.weights
        parts: dict[str | None, int] = {}
        laps, left = 0, most
        while left and laps < _LAPS and self._turns < _MOST_TURNS:
            if holder.turn_left == 0:
                holder.last_key = await self._ring.after(holder.last_key)
                holder.turn_left = part * weights.get(holder.last_key or "", 1)
                self._turns += 1
                laps += holder.last_key is None
            key = holder.last_key
            await self._claim.load_use(key, self._ring.ahead(key, _TURNS))
            room = 0 if key in self._short else self._claim.key_room(key) - parts.get(key, 0)
            wanted = min(left, holder.turn_left)
            given = min(wanted, room)
            if given > 0:
                parts[key] = parts.get(key, 0) + given
            left -= given
            holder.turn_left = holder.turn_left - given if given == wanted else 0
        return parts
