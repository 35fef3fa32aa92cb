"""Hooks around a bucket's operations: an audit of its writes, a cache of its metadata."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol, TypeVar

from holdfast.forks import after_fork
from holdfast.objects.object_info import ObjectInfo
from holdfast.stats import OperationRecorder, Stats

if TYPE_CHECKING:
    from holdfast.tracing import Spans

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class WriteEvent:
    """One write that was tried: who did what to which keys, and how it ended.

    *actor* is the one that `acting_as` named. *error* is the class name of what the write raised,
    None when it succeeded; after an error the write may have happened. *size* is in bytes of
    content, 0 for a write without content. *at* is the aware time of its end, *seconds* how long
    it took.
    """

    actor: str | None
    operation: str
    keys: tuple[str, ...]
    error: str | None
    size: int
    version: str | None
    at: datetime
    seconds: float


Audit = Callable[[WriteEvent], Awaitable[None] | None]


class MetadataCache(Protocol):
    """Where `head` looks first; `holdfast.cache.CachedMetadata` is one."""

    async def get_or_set(
        self, key: str, load: Callable[[], Awaitable[ObjectInfo | None]]
    ) -> ObjectInfo | None:
        """Return the value of *key*; when there is none, what *load* returns, stored.

        An invalidation during the load makes it void: it is returned and not stored.
        """
        ...

    async def invalidate(self, *, keys: Iterable[str]) -> object:
        """Forget *keys*."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """What a bucket calls while it works.

    *audit* is called once after each write and act of administration, also a failed one, and
    awaited if it can be; what it raises escapes, though the write has happened: an event that can't
    be recorded matters.
    *metadata* answers `head` and forgets what is written through this bucket; it learns of other
    programs' writes only by its own rules, so give it a time to live.
    """

    audit: Audit | None = None
    metadata: MetadataCache | None = None


NO_HOOKS = Hooks()


class Instrumentation:
    """Counts a bucket's operations and calls its hooks. Safe among threads."""

    def __init__(self, hooks: Hooks, spans: Spans | None = None) -> None:
        self.recorder = OperationRecorder(spans=spans)
        self._hooks = hooks
        self._hits = 0
        self._misses = 0
        self._new_lock()
        after_fork(self._new_lock)

    async def write(
        self,
        operation: str,
        keys: Collection[str],
        call: Awaitable[T],
        *,
        actor: str | None,
        size: Callable[[T], int] | None = None,
    ) -> T:
        """Return what *call* returns, counted; tell the audit, and forget the metadata of *keys*.

        When *call* raises, the hooks are called too, before its error goes on.
        """
        began = self.recorder.clock()
        try:
            result = await self.recorder.timed(operation, call, size)
        except BaseException as error:
            await self._after(operation, keys, actor, began, error)
            raise
        await self._after(operation, keys, actor, began, result)
        return result

    async def administer(
        self, operation: str, keys: Collection[str], call: Awaitable[T], *, actor: str | None
    ) -> T:
        """Return what *call* returns, an act of administration, which the hooks are told of.

        It is not counted: the figures are those of objects.
        """
        began = self.recorder.clock()
        try:
            result = await call
        except BaseException as error:
            await self._after(operation, keys, actor, began, error)
            raise
        await self._after(operation, keys, actor, began, result)
        return result

    async def head(
        self, key: str, load: Callable[[], Awaitable[ObjectInfo | None]]
    ) -> ObjectInfo | None:
        """Return what *load* returns, from the cache of metadata where there is one."""
        if self._hooks.metadata is None:
            return await load()
        missed = False

        async def counted() -> ObjectInfo | None:
            nonlocal missed
            missed = True
            return await load()

        info = await self._hooks.metadata.get_or_set(key, counted)
        with self._lock:
            self._misses += missed
            self._hits += not missed
        return info

    def stats(self, retries: int) -> Stats:
        """Return the figures so far, with *retries* among the counters."""
        with self._lock:
            counters = {
                "retries": retries,
                "cache_hits": self._hits,
                "cache_misses": self._misses,
            }
        return Stats(self.recorder.operations(), counters)

    def _new_lock(self) -> None:
        self._lock = threading.Lock()

    async def _after(
        self,
        operation: str,
        keys: Collection[str],
        actor: str | None,
        began: float,
        outcome: object,
    ) -> None:
        """Call the hooks after a write that raised or returned *outcome*."""
        seconds = self.recorder.clock() - began
        if self._hooks.metadata is not None and keys:
            await self._hooks.metadata.invalidate(keys=keys)
        if self._hooks.audit is None:
            return
        info = outcome if isinstance(outcome, ObjectInfo) else None
        awaitable = self._hooks.audit(
            WriteEvent(
                actor=actor,
                operation=operation,
                keys=tuple(keys),
                error=type(outcome).__name__ if isinstance(outcome, BaseException) else None,
                size=0 if info is None else info.size,
                version=None if info is None else info.version,
                at=datetime.now(UTC),
                seconds=seconds,
            )
        )
        if awaitable is not None:
            await awaitable
