"""A driver that counts the calls that go through it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from holdfast.records.driver import Driver, DriverTransaction, Session, TransactionOptions
    from holdfast.records.store import Store

_READS = frozenset({"get", "find", "values", "aggregate"})
_WRITES = frozenset({"insert", "replace", "patch", "update", "upsert", "delete"})


class CountingDriver:
    """Stands before *driver*; what it does not count goes straight through."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self.reads = 0
        self.writes = 0

    @classmethod
    @contextmanager
    def around(cls, store: Store) -> Iterator[CountingDriver]:
        """Count what repositories made inside the block ask of *store*'s driver."""
        counted = store.driver
        counting = cls(counted)
        store.driver = cast("Driver", counting)
        try:
            yield counting
        finally:
            store.driver = counted

    def session(self) -> Session:
        """Return the driver's session, counted."""
        return cast("Session", _Counted(self._driver.session(), self))

    async def begin(self, options: TransactionOptions) -> DriverTransaction:
        """Begin a transaction whose calls are counted."""
        return cast("DriverTransaction", _Counted(await self._driver.begin(options), self))

    def __getattr__(self, name: str) -> object:
        return getattr(self._driver, name)

    def count(self, verb: str) -> None:
        """Count a call of *verb*."""
        self.reads += verb in _READS
        self.writes += verb in _WRITES


class _Counted:
    def __init__(self, session: object, counting: CountingDriver) -> None:
        self._session = session
        self._counting = counting

    def __getattr__(self, name: str) -> Callable[..., object]:
        self._counting.count(name)
        return cast("Callable[..., object]", getattr(self._session, name))
