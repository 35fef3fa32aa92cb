"""What a backend's author writes: how to open a store, and what the backend lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from holdfast.records.connect import open_blocking, open_store
from holdfast.records.driver import StoreCapability

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from holdfast.opening import Opening
    from holdfast.records.store import Store


class StoreHarness:
    """Opens stores for the suite. Give it a `url`, or say in `open` how else it is done.

    *capabilities* are those that the backend must have and say that it has. Each harness stands for
    one empty place: what one of its stores leaves is dropped by the suite.
    """

    capabilities: ClassVar[frozenset[StoreCapability]] = frozenset(StoreCapability)

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


class KeepingHarness(StoreHarness):
    """A harness for a place where tables are dear to make: they stay, and their rows go.

    One may stand for all cases of a test class; then the tables are made once.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._kept = False

    async def prepare(self, store: Store) -> None:
        """Make the tables, unless the case before has left them."""
        if not self._kept:
            await store.create_schema()
        self._kept = False  # until this case went well: what fails is dropped

    async def clear(self, store: Store) -> None:
        """Delete all rows; the tables stay."""
        await store.clear()
        self._kept = True
