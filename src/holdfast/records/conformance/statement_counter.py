"""A driver that counts the calls that go through it, and knows which tables they write."""

from __future__ import annotations

from contextlib import contextmanager
from operator import attrgetter
from typing import TYPE_CHECKING, cast

from holdfast.records.driver_requests import Taking, Update

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Self

    from holdfast.records.driver import Driver, DriverTransaction, Session
    from holdfast.records.driver_requests import TransactionOptions
    from holdfast.records.entities.model import Model
    from holdfast.records.store import Store

_READS = frozenset({"get", "find", "find_batch", "find_behind", "values", "aggregate"})
_WRITES = frozenset({"insert", "replace", "patch", "update", "upsert", "delete", "take", "numbers"})


class CountingDriver:
    """Stands before *driver*; what it does not count goes straight through.

    *written* are the tables that a write named, whether it went well or not. It has the public
    names of *driver* in its class, where `isinstance` looks for those of a protocol since Python
    3.12: what the driver can do beside, it can do through this.
    """

    def __new__(cls, driver: Driver) -> Self:
        """Return one of a class of its own, which has the names of *driver*."""
        own = {*dir(cls), "reads", "writes", "written"}
        names = [name for name in dir(driver) if not name.startswith("_") and name not in own]
        made = type(cls.__name__, (cls,), {name: _passed_on(name) for name in names})
        return cast("Self", object.__new__(made))

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self.reads = 0
        self.writes = 0
        self.written: set[str] = set()

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

    def count(self, verb: str, subject: object) -> None:
        """Count a call of *verb*, whose first argument is *subject*."""
        if verb in _READS:
            self.reads += 1
            return
        self.writes += 1
        if isinstance(subject, Taking):
            subject = subject.update
        model = subject.model if isinstance(subject, Update) else cast("Model[object]", subject)
        self.written.add(model.table)


def _passed_on(name: str) -> property:
    return property(attrgetter(f"_driver.{name}"))


class _Counted:
    def __init__(self, session: object, counting: CountingDriver) -> None:
        self._session = session
        self._counting = counting

    def __getattr__(self, name: str) -> Callable[..., object]:
        verb = cast("Callable[..., object]", getattr(self._session, name))
        if name not in _READS | _WRITES:
            return verb

        def counted(subject: object, *given: object, **named: object) -> object:
            self._counting.count(name, subject)
            return verb(subject, *given, **named)

        return counted
