"""What a backend's author writes: how to open a store, and what the backend lacks."""

from __future__ import annotations

import asyncio
import contextvars
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, ClassVar, TypeVar

from holdfast.blocking import run
from holdfast.records.conformance.sample_entities import entities_for
from holdfast.records.connect import open_blocking, open_store
from holdfast.records.driver import StoreCapability

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
    from datetime import datetime
    from typing import Self

    from holdfast.opening import Opening
    from holdfast.records.store import Store

T = TypeVar("T")


class StoreHarness:
    """Opens stores for the suite. Give it a `url`, or say in `open` how else it is done.

    *capabilities* are those that the backend must have and say that it has. *examples* random
    sessions are compared with the naive model, where `HOLDFAST_CONFORMANCE_EXAMPLES` is not set.
    Each harness stands for one empty place: what one of its stores leaves is dropped by the suite.
    """

    capabilities: ClassVar[frozenset[StoreCapability]] = frozenset(StoreCapability)
    examples: ClassVar[int] = 20

    def __init__(self, url: str) -> None:
        self.url = url

    def open(self, entities: Iterable[type], clock: Callable[[], datetime]) -> Opening[Store]:
        """Return what opens a store whose I/O is awaited."""
        return open_store(self.url, entities, clock=clock)

    def open_blocking(
        self, entities: Iterable[type], clock: Callable[[], datetime]
    ) -> Opening[Store]:
        """Return what opens a store whose I/O blocks and never suspends."""
        return open_blocking(self.url, entities, clock=clock)

    async def prepare(self, store: Store) -> None:
        """Make the tables of *store*, on which a case begins; awaited or not, as it is."""
        await store.create_schema()

    async def clear(self, store: Store) -> None:
        """Leave nothing in *store*, on which a case went well; awaited or not, as it is."""
        await store.drop_schema()

    def run(self, work: Coroutine[object, None, T]) -> T:
        """Return what *work*, a case that is awaited, returns: in an event loop of its own."""
        return asyncio.run(work)

    @asynccontextmanager
    async def store(self, clock: Callable[[], datetime], *, blocking: bool) -> AsyncIterator[Store]:
        """Yield an empty store to one case; leave nothing of the case, whatever it raised."""
        opened = self.open_blocking if blocking else self.open
        async with opened(entities_for(self.capabilities), clock) as store:
            await self.prepare(store)
            try:
                yield store
            except BaseException:
                await store.drop_schema()
                raise
            await self.clear(store)


class KeepingHarness(StoreHarness):
    """A harness for a place where tables are dear to make: they stay, and their rows go.

    One may stand for all cases of a test class; then the tables are made once. Where connections
    are dear too, do it as `with KeepingHarness(url) as harness`: up to the end of the block the
    cases share one awaited store and one blocking store, in one event loop, and its end drops the
    tables. A case that fails takes its store with it.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._kept = False
        self._runner: asyncio.Runner | None = None
        self._stores: dict[bool, _KeptStore] = {}

    def __enter__(self) -> Self:
        """Keep stores open from now on."""
        self._runner = asyncio.Runner()
        return self

    def __exit__(self, *_error: object) -> None:
        """Drop the tables, which another suite in this place would meet, and close the stores."""
        assert self._runner is not None
        with self._runner:
            for blocking in list(self._stores):
                closing = self._closed(self._stores.pop(blocking))
                if blocking:
                    run(closing)
                else:
                    self._runner.run(closing)
        self._runner = None

    async def _closed(self, kept: _KeptStore) -> None:
        if self._kept:
            await kept.store.drop_schema()
            self._kept = False
        await kept.opening.__aexit__(None, None, None)

    def run(self, work: Coroutine[object, None, T]) -> T:
        """Return what *work* returns: in the event loop of the kept stores, if there are any."""
        if self._runner is None:
            return super().run(work)
        # Each case in a context of its own, as in a loop of its own.
        return self._runner.run(work, context=contextvars.copy_context())

    @asynccontextmanager
    async def store(self, clock: Callable[[], datetime], *, blocking: bool) -> AsyncIterator[Store]:
        """See `StoreHarness`."""
        if self._runner is None:
            async with super().store(clock, blocking=blocking) as store:
                yield store
            return
        kept = self._stores.pop(blocking, None) or await self._opened(blocking=blocking)
        kept.clock = clock
        driver = kept.store.driver
        try:
            await self.prepare(kept.store)
            yield kept.store
            await self.clear(kept.store)
        except BaseException as error:
            await kept.store.drop_schema()
            await kept.opening.__aexit__(type(error), error, error.__traceback__)
            raise
        kept.store.driver = driver  # a case counts its calls
        self._stores[blocking] = kept

    async def _opened(self, *, blocking: bool) -> _KeptStore:
        kept = _KeptStore()
        opened = self.open_blocking if blocking else self.open
        kept.opening = opened(entities_for(self.capabilities), lambda: kept.clock())
        kept.store = await kept.opening.__aenter__()
        return kept

    async def prepare(self, store: Store) -> None:
        """Make the tables, unless the case before has left them."""
        if not self._kept:
            await store.create_schema()
        self._kept = False  # until this case went well: what fails is dropped

    async def clear(self, store: Store) -> None:
        """Delete all rows; the tables stay."""
        await store.clear()
        self._kept = True


class _KeptStore:
    """A store that is open, what closes it, and the clock of the case at hand."""

    opening: Opening[Store]
    store: Store
    clock: Callable[[], datetime]
