"""What a case works with: an empty store, a clock, and ways to look at what happened."""

from __future__ import annotations

import asyncio
import contextvars
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from holdfast.blocking import run
from holdfast.errors import HoldfastError
from holdfast.records.conformance.sample_entities import entities_for
from holdfast.records.conformance.statement_counter import CountingDriver
from holdfast.records.driver import StoreCapability
from holdfast.records.entities.model import model_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from holdfast.records.driver import Driver
    from holdfast.records.repository import Repository
    from holdfast.records.store import Store

E = TypeVar("E")
X = TypeVar("X", bound=HoldfastError)
PATIENCE = 600.0
"""Seconds that anything of the suite may take before it counts as hanging."""


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, 12, 0, 0, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, by: timedelta = timedelta(seconds=1)) -> datetime:
        """Move on by *by* and return the new time."""
        self.now += by
        return self.now


@dataclass(slots=True)
class Caught(Generic[X]):
    """The error that a refused block raised."""

    kind: type[X]
    found: list[X] = field(default_factory=list)

    @property
    def error(self) -> X:
        """The error. Asserts that the block has ended."""
        assert self.found, "the block has not ended"
        return self.found[0]


class Lab:
    """One store, open and empty, for one case."""

    def __init__(self, store: Store, clock: Clock, *, blocking: bool) -> None:
        self.store = store
        self.clock = clock
        self.blocking = blocking
        self._held = False
        self._counting = CountingDriver(store.driver)
        store.driver = cast("Driver", self._counting)

    @property
    def has_snapshots(self) -> bool:
        """Whether reads of several rows are of one moment, and transactions can be read-only."""
        return StoreCapability.SNAPSHOTS in self.store.capabilities

    def repository(self, entity: type[E]) -> Repository[E]:
        """Return the store's repository of *entity*."""
        return self.store.repository(entity)

    async def contents(self) -> dict[str, list[dict[str, object]]]:
        """Return everything that the store holds, by entity, in the order of the keys.

        What no write of the case has named is as empty as it was, and is not asked for.
        """
        written = self._counting.written
        return {
            entity.__name__: [dict(vars(each)) for each in await self.repository(entity).find()]
            if model_of(entity).table in written
            else []
            for entity in entities_for(self.store.capabilities)
        }

    @asynccontextmanager
    async def unchanged(self) -> AsyncIterator[None]:
        """Hold that the block leaves the store as it was.

        It is looked at once, not at each of the refusals in the block.
        """
        before = await self.contents()
        self._held = True
        try:
            yield
        finally:
            self._held = False
        assert await self.contents() == before, "what was refused has changed the store"

    @asynccontextmanager
    async def refused(self, kind: type[X]) -> AsyncIterator[Caught[X]]:
        """Hold that the block raises *kind* itself, and leaves the store as it was."""
        if not self._held:
            async with self.unchanged(), self.refused(kind) as caught:
                yield caught
            return
        caught = Caught(kind)
        try:
            yield caught
        except HoldfastError as error:
            assert type(error) is kind, f"expected {kind.__name__}, got {error!r}"
            caught.found.append(error)
        else:
            raise AssertionError(f"expected {kind.__name__}, nothing was raised")

    async def together(
        self, calls: list[Callable[[], Coroutine[object, None, E]]]
    ) -> list[E | HoldfastError]:
        """Start all *calls* at once, as tasks or as threads; return their results or errors."""
        if not self.blocking:
            async with asyncio.timeout(PATIENCE):
                outcomes = await asyncio.gather(*(_outcome(call) for call in calls))
            return list(outcomes)
        with ThreadPoolExecutor(max_workers=min(len(calls), 16)) as threads:
            futures = [
                threads.submit(contextvars.copy_context().run, run, _outcome(call))
                for call in calls
            ]
            return [future.result(PATIENCE) for future in futures]

    def outside(
        self, call: Callable[[], Coroutine[object, None, E]]
    ) -> Callable[[], Coroutine[object, None, E]]:
        """Return *call* as one that runs beside the transactions that are entered from now on."""
        context = contextvars.copy_context()

        async def apart() -> E:
            if not self.blocking:
                async with asyncio.timeout(PATIENCE):
                    return await asyncio.create_task(call(), context=context.copy())
            with ThreadPoolExecutor(max_workers=1) as thread:
                return thread.submit(context.copy().run, run, call()).result(PATIENCE)

        return apart


async def _outcome(call: Callable[[], Coroutine[object, None, E]]) -> E | HoldfastError:
    try:
        return await call()
    except HoldfastError as error:
        return error


def same(left: object, right: object) -> bool:
    """Return whether two values are equal and of one type, all the way down."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(v, right[k]) for k, v in left.items())
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return left == right and repr(left) == repr(right)
