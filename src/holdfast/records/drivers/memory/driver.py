"""Records in this process's memory: a backend like any other, with nothing kept at the end.

Committed rows lie in one layer. A transaction has layers of its own on top, which hide what it
replaces; a read-only transaction's layers are filled by later commits with what they replaced, so
that it goes on seeing the state in which it began. One transaction writes at a time.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar, cast

from holdfast.errors import TransactionError
from holdfast.records.driver import StoreCapability
from holdfast.records.drivers.memory.executor import MemoryExecutor
from holdfast.records.drivers.memory.layers import Layer, View
from holdfast.records.entities.sequences import sequence_place, sequences_of
from holdfast.records.entities.server_default import LEAST_NUMBER, MOST_NUMBER
from holdfast.records.entities.table_names import stored_names
from holdfast.records.rows.server_values import run_out
from holdfast.records.transactions.session import VerbSession
from holdfast.stats import Stats

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from holdfast.offload import Lock
    from holdfast.records.driver_requests import TransactionOptions
    from holdfast.records.entities.model import Model
    from holdfast.records.entities.server_default import SequenceDefault
    from holdfast.records.options import MemoryOptions
    from holdfast.records.values.field_spec import FieldSpec

E = TypeVar("E")
T = TypeVar("T")
P = ParamSpec("P")


class MemoryDriver:
    """Rows in dicts. The same constraints, transactions and copies as anywhere else."""

    name = "memory"
    capabilities = frozenset(StoreCapability) - {
        StoreCapability.SQL_STATEMENTS,
        StoreCapability.ROW_LOCKS,
        StoreCapability.VIEWS,
    }
    reads_anywhere = True
    """Reads wait for nothing, so they need not be of the store's event loop."""

    def __init__(self, lock: Callable[[float], Lock], options: MemoryOptions) -> None:
        self._open = False
        self._models: tuple[Model[object], ...] = ()
        self.schema = options.schema
        self._base: dict[str, Layer] = {}
        self._lock = lock
        self.lock_timeout = options.lock_timeout
        self._numbers: dict[str, int] = {}
        self._sequences: dict[str, int] = {}
        self._session = MemorySession(self)
        self.renew()

    def renew(self) -> None:
        """See `Renewable`: a child has a copy of the rows, and nobody else's transactions."""
        self._writing = self._lock(self.lock_timeout)
        self._mutex = threading.RLock()  # readers iterate over what commits change
        self._snapshots: list[View] = []

    async def open(self, models: Sequence[Model[object]]) -> None:
        """Take note of *models*; there is nothing to connect to."""
        stored_names(models, self.schema)
        self._models = tuple(models)
        self._open = True

    async def close(self) -> None:
        """Forget all rows. Idempotent."""
        self._open = False
        self._base = {}

    async def create_schema(self) -> None:
        """Make room for the models that have none yet."""
        self.session()
        for model in self._models:
            self._base.setdefault(model.table, Layer(model))

    async def drop_schema(self) -> None:
        """Remove all rows, and the room for them; sequences begin again."""
        self.session()
        self._base.clear()
        for place in sequences_of(self._models, self.schema):
            self._sequences.pop(place, None)

    @property
    def takes_rows(self) -> bool:
        """See `RowTaker`."""
        return True

    def session(self) -> MemorySession:
        """Return the session in which each call is its own transaction."""
        if not self._open:
            raise TransactionError("the store is not open: use it in `async with`")
        return self._session

    async def begin(self, options: TransactionOptions) -> MemoryTransaction:
        """Begin a transaction. Raises LockTimeoutError when another one writes for too long."""
        self.session()
        if not options.read_only:
            await self._writing.acquire()
        transaction = MemoryTransaction(self, read_only=options.read_only)
        if options.read_only:
            with self._mutex:
                self._snapshots.append(transaction.view)
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
        """Return a view of the rows as they are committed."""
        return View(self._base, {model.table: model for model in self._models})

    def read(
        self,
        view: View,
        verb: Callable[Concatenate[MemoryExecutor, P], T],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Return what *verb* returns, done on *view*."""
        with self._mutex:
            return verb(self._executor(view), *args, **kwargs)

    def write(
        self,
        view: View,
        verb: Callable[Concatenate[MemoryExecutor, P], T],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Return what *verb* returns, done on *view*: all of it, or nothing when it raises."""
        with self._mutex:
            mark = view.mark()
            try:
                return verb(self._executor(view), *args, **kwargs)
            except BaseException:
                view.undo(mark)
                raise

    async def write_alone(
        self,
        verb: Callable[Concatenate[MemoryExecutor, P], T],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Return what *verb* returns, done as a transaction of its own."""
        await self._writing.acquire()
        try:
            view = self.view()
            result = self.write(view, verb, *args, **kwargs)
            self.commit(view)
            return result
        finally:
            self._writing.release()

    def commit(self, view: View) -> None:
        """Commit what *view* has written; open snapshots keep what that replaces."""
        with self._mutex:
            for table, layer in view.own.items():
                below = self._base.get(table)
                if below is None:
                    continue
                for key, row in layer.rows.items():
                    for snapshot in self._snapshots:
                        snapshot.keep(table, key, below.rows.get(key))
                    if row is None:
                        below.forget(key)
                    else:
                        below.put(key, row)

    def end(self, view: View, *, read_only: bool) -> None:
        """Let the next transaction write, or forget the snapshot that *view* was."""
        if not read_only:
            self._writing.release()
            return
        with self._mutex:
            self._snapshots = [each for each in self._snapshots if each is not view]

    def _executor(self, view: View) -> MemoryExecutor:
        return MemoryExecutor(view, self._models, self._base, self._numbers)

    def next_numbers(self, model: Model[E], spec: FieldSpec, count: int) -> list[int]:
        """Return the next *count* numbers of the sequence that *spec* names, or none of them."""
        assert spec.server_default is not None
        source = cast("SequenceDefault", spec.server_default.source)
        place = sequence_place(model, source, self.schema)
        with self._mutex:
            first = self._sequences.get(place, source.start)
            end = first + count * source.increment
            numbers = range(first, end, source.increment)
            if not LEAST_NUMBER <= numbers[-1] <= MOST_NUMBER:
                raise run_out(model, spec)
            self._sequences[place] = end
        return list(numbers)


class MemorySession(VerbSession[MemoryExecutor]):
    """Each call is a transaction of its own."""

    executor = MemoryExecutor
    keeps_verbs = True

    def __init__(self, driver: MemoryDriver) -> None:
        self._driver = driver

    async def read(
        self,
        verb: Callable[Concatenate[MemoryExecutor, P], T],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Return what *verb* returns, of the rows as they are committed."""
        return self._driver.read(self._driver.view(), verb, *args, **kwargs)

    async def write(
        self,
        verb: Callable[Concatenate[MemoryExecutor, P], T],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Return what *verb* returns, committed."""
        return await self._driver.write_alone(verb, *args, **kwargs)

    async def numbers(self, model: Model[E], spec: FieldSpec, count: int) -> list[int]:
        """See `NumberGiver`."""
        return self._driver.next_numbers(model, spec, count)


class MemoryTransaction(VerbSession[MemoryExecutor]):
    """All calls are one transaction."""

    executor = MemoryExecutor

    def __init__(self, driver: MemoryDriver, *, read_only: bool) -> None:
        self._driver = driver
        self.view = driver.view()
        self._read_only = read_only
        self._marks: list[int] = []

    async def read(
        self,
        verb: Callable[Concatenate[MemoryExecutor, P], T],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Return what *verb* returns, of the rows as this transaction sees them."""
        return self._driver.read(self.view, verb, *args, **kwargs)

    async def write(
        self,
        verb: Callable[Concatenate[MemoryExecutor, P], T],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Return what *verb* returns, done in this transaction. Raises TransactionError."""
        if self._read_only:
            raise TransactionError("a write in a read-only transaction")
        return self._driver.write(self.view, verb, *args, **kwargs)

    async def numbers(self, model: Model[E], spec: FieldSpec, count: int) -> list[int]:
        """See `NumberGiver`. Raises TransactionError."""
        if self._read_only:
            raise TransactionError("a write in a read-only transaction")
        return self._driver.next_numbers(model, spec, count)

    async def commit(self) -> None:
        """See `DriverTransaction`."""
        try:
            if not self._read_only:
                self._driver.commit(self.view)
        finally:
            self._driver.end(self.view, read_only=self._read_only)

    async def rollback(self) -> None:
        """See `DriverTransaction`."""
        self._driver.end(self.view, read_only=self._read_only)

    async def savepoint(self) -> None:
        """See `DriverTransaction`."""
        self._marks.append(self.view.mark())

    async def release(self) -> None:
        """See `DriverTransaction`."""
        self._marks.pop()

    async def rollback_to(self) -> None:
        """See `DriverTransaction`."""
        self.view.undo(self._marks.pop())
