"""Records in this process's memory: a backend like any other, with nothing kept at the end.

Committed rows lie in one layer. A transaction has layers of its own on top, which hide what it
replaces; a read-only transaction's layers are filled by later commits with what they replaced, so
that it goes on seeing the state in which it began. One transaction writes at a time.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from holdfast.errors import TransactionError
from holdfast.records.driver import StoreCapability
from holdfast.records.drivers.memory.layers import Layer, View
from holdfast.records.drivers.memory.tables import Tables
from holdfast.records.session import VerbSession
from holdfast.stats import Stats

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from holdfast.offload import Lock
    from holdfast.records.driver import TransactionOptions
    from holdfast.records.model import Model

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class MemoryOptions:
    """What tunes the memory backend. *lock_timeout* is in seconds."""

    lock_timeout: float = 60.0


class MemoryDriver:
    """Rows in dicts. The same constraints, transactions and copies as anywhere else."""

    name = "memory"
    capabilities = frozenset(StoreCapability) - {StoreCapability.SQL_STATEMENTS}

    def __init__(self, lock: Callable[[float], Lock], options: MemoryOptions) -> None:
        self._models: tuple[Model[object], ...] = ()
        self._base: dict[str, Layer] = {}
        self._watching: list[View] = []
        self._writing = lock(options.lock_timeout)
        self._mutex = threading.RLock()  # readers iterate over what commits change
        self._numbers: dict[str, int] = {}

    async def open(self, models: Sequence[Model[object]]) -> None:
        self._models = tuple(models)

    async def close(self) -> None:
        self._base = {}

    async def create_schema(self) -> None:
        for model in self._models:
            self._base.setdefault(model.table, Layer(model))

    async def drop_schema(self) -> None:
        self._base.clear()

    def session(self) -> MemorySession:
        return MemorySession(self)

    async def begin(self, options: TransactionOptions) -> MemoryTransaction:
        if not options.read_only:
            await self._writing.acquire()
        transaction = MemoryTransaction(self, read_only=options.read_only)
        if options.read_only:
            with self._mutex:
                self._watching.append(transaction.view)
        return transaction

    async def probe(self) -> None:
        """Return once no commit is under way."""
        with self._mutex:
            pass

    def stats(self) -> Stats:
        """Return the gauge `rows`: how many are committed."""
        with self._mutex:
            rows = sum(len(layer.rows) for layer in self._base.values())
        return Stats(gauges={"rows": rows})

    def view(self) -> View:
        return View(self._base, {model.table: model for model in self._models})

    def tables(self, view: View) -> Tables:
        return Tables(view, self._models, self._base, self._numbers)

    def read(self, view: View, work: Callable[[Tables], T]) -> T:
        with self._mutex:
            return work(self.tables(view))

    def write(self, view: View, work: Callable[[Tables], T]) -> T:
        """Do *work* on *view*, all of it or nothing."""
        with self._mutex:
            mark = view.mark()
            try:
                return work(self.tables(view))
            except BaseException:
                view.undo(mark)
                raise

    async def write_alone(self, work: Callable[[Tables], T]) -> T:
        """Do *work* as a transaction of its own."""
        await self._writing.acquire()
        try:
            view = self.view()
            result = self.write(view, work)
            self.commit(view)
            return result
        finally:
            self._writing.release()

    def commit(self, view: View) -> None:
        with self._mutex:
            for table, layer in view.own.items():
                below = self._base.get(table)
                if below is None:
                    continue
                for key, row in layer.rows.items():
                    for watcher in self._watching:
                        watcher.keep(table, key, below.rows.get(key))
                    if row is None:
                        below.forget(key)
                    else:
                        below.put(key, row)

    def end(self, view: View, *, read_only: bool) -> None:
        if not read_only:
            self._writing.release()
            return
        with self._mutex:
            self._watching = [watcher for watcher in self._watching if watcher is not view]


class MemorySession(VerbSession[Tables]):
    """Each call is a transaction of its own."""

    def __init__(self, driver: MemoryDriver) -> None:
        self._driver = driver

    async def read(self, work: Callable[[Tables], T]) -> T:
        return self._driver.read(self._driver.view(), work)

    async def write(self, work: Callable[[Tables], T]) -> T:
        return await self._driver.write_alone(work)


class MemoryTransaction(VerbSession[Tables]):
    """All calls are one transaction."""

    def __init__(self, driver: MemoryDriver, *, read_only: bool) -> None:
        self._driver = driver
        self.view = driver.view()
        self._read_only = read_only
        self._marks: list[int] = []

    async def read(self, work: Callable[[Tables], T]) -> T:
        return self._driver.read(self.view, work)

    async def write(self, work: Callable[[Tables], T]) -> T:
        if self._read_only:
            raise TransactionError("a write in a read-only transaction")
        return self._driver.write(self.view, work)

    async def commit(self) -> None:
        try:
            if not self._read_only:
                self._driver.commit(self.view)
        finally:
            self._driver.end(self.view, read_only=self._read_only)

    async def rollback(self) -> None:
        self._driver.end(self.view, read_only=self._read_only)

    async def savepoint(self) -> None:
        self._marks.append(self.view.mark())

    async def release(self) -> None:
        self._marks.pop()

    async def rollback_to(self) -> None:
        self.view.undo(self._marks.pop())
