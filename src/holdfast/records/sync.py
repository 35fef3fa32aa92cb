"""The blocking twin of records: the same names without `await`.

A blocking store's I/O never suspends, so each coroutine of the async API is stepped to its end by
hand (see `holdfast.blocking`). Threads may share a store.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, overload

from holdfast.blocking import BlockingTwin, blocking, documented_by, iterate, run
from holdfast.clock import utc_now
from holdfast.errors import TransactionError
from holdfast.opening import BlockingOpening
from holdfast.records.connect import open_blocking
from holdfast.records.repository import Repository as AsyncRepository
from holdfast.records.store import Store as AsyncStore
from holdfast.records.transaction import Transaction as AsyncTransaction

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
    from datetime import datetime
    from types import TracebackType

    from holdfast.opening import Opening
    from holdfast.records.argument_types import (
        AnyValue,
        Condition,
        FieldArgument,
        Ordering,
        RelationArgument,
    )
    from holdfast.records.driver import Isolation, StoreCapability
    from holdfast.records.options import StoreOptions
    from holdfast.records.schema_diff import Verify
    from holdfast.records.transaction import Savepoint as AsyncSavepoint
    from holdfast.records.write_hook import WriteHook
    from holdfast.stats import Stats

E = TypeVar("E")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
T = TypeVar("T")


def open_store(
    url: str,
    entities: Iterable[type],
    *,
    options: StoreOptions | None = None,
    clock: Callable[[], datetime] = utc_now,
    verify: Verify = "exact",
    hooks: Iterable[WriteHook] = (),
) -> BlockingOpening[Store]:
    """Return what opens a blocking store of *entities*, to be entered by `with`.

    The parameters and what they raise are those of `holdfast.open_store`.
    """
    opened = open_blocking(url, entities, options=options, clock=clock, verify=verify, hooks=hooks)
    return BlockingOpening(_stepped(opened), "store")


@contextmanager
def _stepped(opened: Opening[AsyncStore]) -> Iterator[Store]:
    store = run(opened.__aenter__())
    try:
        yield Store(store)
    finally:
        run(opened.__aexit__(None, None, None))


class Store(BlockingTwin[AsyncStore]):
    """An open backend and the entities that live in it, blocking. Threads may share it.

    `asynchronous` is the async API over the same blocking I/O, for coroutines handed to `run`.
    """

    def __init__(self, store: AsyncStore) -> None:
        self.asynchronous = store

    health = blocking(AsyncStore.health)
    create_schema = blocking(AsyncStore.create_schema)
    drop_schema = blocking(AsyncStore.drop_schema)
    clear = blocking(AsyncStore.clear)
    record_event = blocking(AsyncStore.record_event)

    @property
    def backend(self) -> str:
        """The name of the backend, as errors and metrics say it."""
        return self.asynchronous.backend

    @property
    def capabilities(self) -> frozenset[StoreCapability]:
        """What this backend can do of what not every backend can."""
        return self.asynchronous.capabilities

    @documented_by(AsyncStore.stats)
    def stats(self) -> Stats:
        return self.asynchronous.stats()

    def run(self, coroutine: Coroutine[object, None, T]) -> T:
        """Step *coroutine*, which uses `asynchronous`, to its end: a domain's async code, blocking.

        Raises RuntimeError when it waits for anything but this store.
        """
        return run(coroutine)

    @documented_by(AsyncStore.repository)
    def repository(self, entity: type[E]) -> Repository[E]:
        return Repository(entity, self)

    @documented_by(AsyncStore.transaction)
    def transaction(
        self, *, isolation: Isolation | None = None, read_only: bool = False, replica: bool = True
    ) -> Transaction:
        inner = self.asynchronous.transaction(
            isolation=isolation, read_only=read_only, replica=replica
        )
        return Transaction(inner)

    @documented_by(AsyncStore.retrying)
    def retrying(
        self, work: Callable[[], T], *, attempts: int = 5, isolation: Isolation | None = None
    ) -> T:
        async def stepped() -> T:
            return work()

        return run(self.asynchronous.retrying(stepped, attempts=attempts, isolation=isolation))


class Transaction:
    """A transaction or a part of one: `with store.transaction() as tx`.

    It commits at the end of the block, and rolls back on any exception. Repositories of the store
    take part by themselves inside the block, in this thread.
    """

    def __init__(self, inner: AsyncTransaction | AsyncSavepoint) -> None:
        self._inner = inner
        self._entered: AsyncTransaction | None = None

    def __enter__(self) -> Self:
        """Begin. Raises TransactionError the second time."""
        self._entered = run(self._inner.__aenter__())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Commit, or roll back when the block raised."""
        run(self._inner.__aexit__(kind, error, trace))

    @documented_by(AsyncTransaction.after_commit)
    def after_commit(self, callback: Callable[[], object]) -> None:
        async def called() -> None:
            callback()

        self.asynchronous.after_commit(called)

    @documented_by(AsyncTransaction.savepoint)
    def savepoint(self) -> Transaction:
        return Transaction(self.asynchronous.savepoint())

    @property
    def asynchronous(self) -> AsyncTransaction:
        """The async transaction that this one steps. Raises TransactionError before the block."""
        if self._entered is None:
            raise TransactionError("the transaction is not open; use `with`")
        return self._entered


class Repository(BlockingTwin[AsyncRepository[E]], Generic[E]):
    """The entities of one kind in a store, blocking: `Repository(Video, store)`."""

    def __init__(self, entity: type[E], store: Store) -> None:
        self.asynchronous = AsyncRepository(entity, store.asynchronous)

    get = blocking(AsyncRepository[E].get)
    get_one = blocking(AsyncRepository[E].get_one)
    get_many = blocking(AsyncRepository[E].get_many)
    find = blocking(AsyncRepository[E].find)
    first = blocking(AsyncRepository[E].first)
    one = blocking(AsyncRepository[E].one)
    page = blocking(AsyncRepository[E].page)

    @documented_by(AsyncRepository.stream)
    def stream(
        self,
        *where: Condition,
        order_by: Ordering | Sequence[Ordering] = (),
        batch: int = 500,
        load: Sequence[RelationArgument] = (),
    ) -> Iterator[E]:
        return iterate(
            self.asynchronous.stream(*where, order_by=order_by, batch=batch, load=load), self
        )

    @overload
    def select(  # pyright: ignore[reportOverlappingOverload]
        self,
        first: FieldArgument[A],
        /,
        *,
        where: Condition | Sequence[Condition] = (),
        order_by: Ordering | Sequence[Ordering] = (),
        limit: int | None = None,
        offset: int = 0,
    ) -> list[tuple[A]]: ...
    @overload
    def select(
        self,
        first: FieldArgument[A],
        second: FieldArgument[B],
        /,
        *,
        where: Condition | Sequence[Condition] = (),
        order_by: Ordering | Sequence[Ordering] = (),
        limit: int | None = None,
        offset: int = 0,
    ) -> list[tuple[A, B]]: ...
    @overload
    def select(
        self,
        first: FieldArgument[A],
        second: FieldArgument[B],
        third: FieldArgument[C],
        /,
        *,
        where: Condition | Sequence[Condition] = (),
        order_by: Ordering | Sequence[Ordering] = (),
        limit: int | None = None,
        offset: int = 0,
    ) -> list[tuple[A, B, C]]: ...
    @overload
    def select(
        self,
        *fields: AnyValue,
        where: Condition | Sequence[Condition] = (),
        order_by: Ordering | Sequence[Ordering] = (),
        limit: int | None = None,
        offset: int = 0,
    ) -> list[tuple[object, ...]]: ...
    @documented_by(AsyncRepository.select)
    def select(
        self,
        *fields: AnyValue,
        where: Condition | Sequence[Condition] = (),
        order_by: Ordering | Sequence[Ordering] = (),
        limit: int | None = None,
        offset: int = 0,
    ) -> Any:
        return self.step(
            self.asynchronous.select(
                *fields, where=where, order_by=order_by, limit=limit, offset=offset
            )
        )

    aggregate = blocking(AsyncRepository[E].aggregate)
    count = blocking(AsyncRepository[E].count)
    exists = blocking(AsyncRepository[E].exists)
    explain = blocking(AsyncRepository[E].explain)
    add = blocking(AsyncRepository[E].add)
    add_many = blocking(AsyncRepository[E].add_many)
    update = blocking(AsyncRepository[E].update)
    patch = blocking(AsyncRepository[E].patch)
    upsert = blocking(AsyncRepository[E].upsert)
    upsert_many = blocking(AsyncRepository[E].upsert_many)
    update_where = blocking(AsyncRepository[E].update_where)
    delete = blocking(AsyncRepository[E].delete)
    delete_many = blocking(AsyncRepository[E].delete_many)
    delete_where = blocking(AsyncRepository[E].delete_where)
