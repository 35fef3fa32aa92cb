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
from holdfast.records.foreign_words import READ_WORDS, REPOSITORY_WORDS, not_there
from holdfast.records.links import Links as AsyncLinks
from holdfast.records.repository import Repository as AsyncRepository
from holdfast.records.repository_reads import RepositoryReads as AsyncReads
from holdfast.records.store import Store as AsyncStore
from holdfast.records.transactions.transaction import Transaction as AsyncTransaction

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
    from datetime import datetime
    from types import TracebackType

    from holdfast.opening import Opening
    from holdfast.records.argument_types import (
        AggregateArgument,
        AnyAggregate,
        AnyGroupOrder,
        AnyValue,
        Condition,
        Ordering,
        RelationArgument,
        ValueArgument,
    )
    from holdfast.records.driver import Notifier, StoreCapability
    from holdfast.records.driver_requests import Isolation
    from holdfast.records.entities.relation import Many
    from holdfast.records.options import StoreOptions
    from holdfast.records.rows.result_rows import PydanticModel
    from holdfast.records.schema_diff import Verify
    from holdfast.records.transactions.transaction import Savepoint as AsyncSavepoint
    from holdfast.records.write_hook import WriteHook
    from holdfast.stats import Stats

E = TypeVar("E")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
K = TypeVar("K")
R = TypeVar("R")
Model = TypeVar("Model", bound="PydanticModel")
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
    server_time = blocking(AsyncStore.server_time)
    create_schema = blocking(AsyncStore.create_schema)
    drop_schema = blocking(AsyncStore.drop_schema)
    build_search = blocking(AsyncStore.build_search)
    clear = blocking(AsyncStore.clear)
    record_event = blocking(AsyncStore.record_event)
    notify = blocking(AsyncStore.notify)

    @property
    def backend(self) -> str:
        """The name of the backend, as errors and metrics say it."""
        return self.asynchronous.backend

    @property
    def schema(self) -> str:
        """Where the tables are of entities that name no schema; '' for where the URL leads to."""
        return self.asynchronous.schema

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

    @documented_by(AsyncStore.after_commit)
    def after_commit(self, callback: Callable[[], object]) -> None:
        async def called() -> None:
            callback()

        run(self.asynchronous.after_commit(called))

    @documented_by(AsyncStore.notify_by)
    def notify_by(self, notifier: Notifier) -> None:
        self.asynchronous.notify_by(notifier)

    @documented_by(AsyncStore.repository)
    def repository(self, entity: type[E]) -> Repository[E]:
        return Repository(entity, self)

    @documented_by(AsyncStore.links)
    def links(self, relation: Many[E]) -> Links[E]:
        return Links(relation, self)

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


class RepositoryReads(BlockingTwin[AsyncReads[E]], Generic[E]):
    """Everything that can be asked of the entities of one kind, blocking."""

    def __init__(self, reads: AsyncReads[E]) -> None:
        self.asynchronous = reads

    if not TYPE_CHECKING:

        def __getattr__(self, name):  # noqa: ANN001, ANN204 - hidden from type checkers
            not_there(self, "a repository", name, READ_WORDS)

    get = blocking(AsyncReads[E].get)
    get_one = blocking(AsyncReads[E].get_one)
    get_many = blocking(AsyncReads[E].get_many)
    find = blocking(AsyncReads[E].find)
    first = blocking(AsyncReads[E].first)
    one = blocking(AsyncReads[E].one)
    page = blocking(AsyncReads[E].page)
    search = blocking(AsyncReads[E].search)

    @documented_by(AsyncReads.stream)
    def stream(
        self,
        *where: Condition[E],
        order_by: Ordering[E] | Sequence[Ordering[E]] = (),
        batch: int = 500,
        load: Sequence[RelationArgument] = (),
    ) -> Iterator[E]:
        return iterate(
            self.asynchronous.stream(*where, order_by=order_by, batch=batch, load=load), self
        )

    @overload
    def select(
        self,
        *fields: AnyValue[E],
        where: Condition[E] | Sequence[Condition[E]] = (),
        order_by: Ordering[E] | Sequence[Ordering[E]] = (),
        limit: int | None = None,
        offset: int = 0,
        distinct: bool = False,
        into: type[Model],
    ) -> list[Model]: ...
    @overload
    def select(  # pyright: ignore[reportOverlappingOverload]
        self,
        first: ValueArgument[A, E],
        /,
        *,
        where: Condition[E] | Sequence[Condition[E]] = (),
        order_by: Ordering[E] | Sequence[Ordering[E]] = (),
        limit: int | None = None,
        offset: int = 0,
        distinct: bool = False,
        into: None = None,
    ) -> list[tuple[A]]: ...
    @overload
    def select(
        self,
        first: ValueArgument[A, E],
        /,
        *,
        where: Condition[E] | Sequence[Condition[E]] = (),
        order_by: Ordering[E] | Sequence[Ordering[E]] = (),
        limit: int | None = None,
        offset: int = 0,
        distinct: bool = False,
        into: Callable[[A], R],
    ) -> list[R]: ...
    @overload
    def select(
        self,
        first: ValueArgument[A, E],
        second: ValueArgument[B, E],
        /,
        *,
        where: Condition[E] | Sequence[Condition[E]] = (),
        order_by: Ordering[E] | Sequence[Ordering[E]] = (),
        limit: int | None = None,
        offset: int = 0,
        distinct: bool = False,
        into: None = None,
    ) -> list[tuple[A, B]]: ...
    @overload
    def select(
        self,
        first: ValueArgument[A, E],
        second: ValueArgument[B, E],
        /,
        *,
        where: Condition[E] | Sequence[Condition[E]] = (),
        order_by: Ordering[E] | Sequence[Ordering[E]] = (),
        limit: int | None = None,
        offset: int = 0,
        distinct: bool = False,
        into: Callable[[A, B], R],
    ) -> list[R]: ...
    @overload
    def select(
        self,
        first: ValueArgument[A, E],
        second: ValueArgument[B, E],
        third: ValueArgument[C, E],
        /,
        *,
        where: Condition[E] | Sequence[Condition[E]] = (),
        order_by: Ordering[E] | Sequence[Ordering[E]] = (),
        limit: int | None = None,
        offset: int = 0,
        distinct: bool = False,
        into: None = None,
    ) -> list[tuple[A, B, C]]: ...
    @overload
    def select(
        self,
        first: ValueArgument[A, E],
        second: ValueArgument[B, E],
        third: ValueArgument[C, E],
        /,
        *,
        where: Condition[E] | Sequence[Condition[E]] = (),
        order_by: Ordering[E] | Sequence[Ordering[E]] = (),
        limit: int | None = None,
        offset: int = 0,
        distinct: bool = False,
        into: Callable[[A, B, C], R],
    ) -> list[R]: ...
    @overload
    def select(
        self,
        first: ValueArgument[A, E],
        second: ValueArgument[B, E],
        third: ValueArgument[C, E],
        fourth: ValueArgument[D, E],
        /,
        *,
        where: Condition[E] | Sequence[Condition[E]] = (),
        order_by: Ordering[E] | Sequence[Ordering[E]] = (),
        limit: int | None = None,
        offset: int = 0,
        distinct: bool = False,
        into: None = None,
    ) -> list[tuple[A, B, C, D]]: ...
    @overload
    def select(
        self,
        first: ValueArgument[A, E],
        second: ValueArgument[B, E],
        third: ValueArgument[C, E],
        fourth: ValueArgument[D, E],
        /,
        *,
        where: Condition[E] | Sequence[Condition[E]] = (),
        order_by: Ordering[E] | Sequence[Ordering[E]] = (),
        limit: int | None = None,
        offset: int = 0,
        distinct: bool = False,
        into: Callable[[A, B, C, D], R],
    ) -> list[R]: ...
    @overload
    def select(
        self,
        first: AnyValue[E],
        second: AnyValue[E],
        third: AnyValue[E],
        fourth: AnyValue[E],
        fifth: AnyValue[E],
        /,
        *more: AnyValue[E],
        where: Condition[E] | Sequence[Condition[E]] = (),
        order_by: Ordering[E] | Sequence[Ordering[E]] = (),
        limit: int | None = None,
        offset: int = 0,
        distinct: bool = False,
        into: Callable[..., R],
    ) -> list[R]: ...
    @overload
    def select(
        self,
        *fields: AnyValue[E],
        where: Condition[E] | Sequence[Condition[E]] = (),
        order_by: Ordering[E] | Sequence[Ordering[E]] = (),
        limit: int | None = None,
        offset: int = 0,
        distinct: bool = False,
        into: None = None,
    ) -> list[tuple[object, ...]]: ...
    @documented_by(AsyncReads.select)
    def select(
        self,
        *fields: AnyValue[E],
        where: Condition[E] | Sequence[Condition[E]] = (),
        order_by: Ordering[E] | Sequence[Ordering[E]] = (),
        limit: int | None = None,
        offset: int = 0,
        distinct: bool = False,
        into: Callable[..., object] | None = None,
    ) -> Any:
        words: dict[str, Any] = {"where": where, "order_by": order_by, "into": into}
        return self.step(
            self.asynchronous.select(
                *fields, limit=limit, offset=offset, distinct=distinct, **words
            )
        )

    @overload
    def aggregate(  # pyright: ignore[reportOverlappingOverload]
        self,
        first: AggregateArgument[A],
        /,
        *,
        where: Condition[E] | Sequence[Condition[E]] = (),
    ) -> list[tuple[A]]: ...
    @overload
    def aggregate(
        self,
        first: AggregateArgument[A],
        second: AggregateArgument[B],
        /,
        *,
        where: Condition[E] | Sequence[Condition[E]] = (),
    ) -> list[tuple[A, B]]: ...
    @overload
    def aggregate(
        self,
        first: AggregateArgument[A],
        second: AggregateArgument[B],
        third: AggregateArgument[C],
        /,
        *,
        where: Condition[E] | Sequence[Condition[E]] = (),
    ) -> list[tuple[A, B, C]]: ...
    @overload
    def aggregate(
        self,
        first: AggregateArgument[A],
        second: AggregateArgument[B],
        third: AggregateArgument[C],
        fourth: AggregateArgument[D],
        /,
        *,
        where: Condition[E] | Sequence[Condition[E]] = (),
    ) -> list[tuple[A, B, C, D]]: ...
    @overload
    def aggregate(
        self,
        first: AggregateArgument[A],
        /,
        *,
        where: Condition[E] | Sequence[Condition[E]] = (),
        by: ValueArgument[K, E],
        having: Condition[E] | Sequence[Condition[E]] = (),
        order_by: AnyGroupOrder[E] | Sequence[AnyGroupOrder[E]] = (),
        limit: int | None = None,
    ) -> list[tuple[K, A]]: ...
    @overload
    def aggregate(
        self,
        first: AggregateArgument[A],
        second: AggregateArgument[B],
        /,
        *,
        where: Condition[E] | Sequence[Condition[E]] = (),
        by: ValueArgument[K, E],
        having: Condition[E] | Sequence[Condition[E]] = (),
        order_by: AnyGroupOrder[E] | Sequence[AnyGroupOrder[E]] = (),
        limit: int | None = None,
    ) -> list[tuple[K, A, B]]: ...
    @overload
    def aggregate(
        self,
        first: AggregateArgument[A],
        second: AggregateArgument[B],
        third: AggregateArgument[C],
        /,
        *,
        where: Condition[E] | Sequence[Condition[E]] = (),
        by: ValueArgument[K, E],
        having: Condition[E] | Sequence[Condition[E]] = (),
        order_by: AnyGroupOrder[E] | Sequence[AnyGroupOrder[E]] = (),
        limit: int | None = None,
    ) -> list[tuple[K, A, B, C]]: ...
    @overload
    def aggregate(
        self,
        *aggregates: AnyAggregate,
        where: Condition[E] | Sequence[Condition[E]] = (),
        by: AnyValue[E] | Sequence[AnyValue[E]] = (),
        having: Condition[E] | Sequence[Condition[E]] = (),
        order_by: AnyGroupOrder[E] | Sequence[AnyGroupOrder[E]] = (),
        limit: int | None = None,
    ) -> list[tuple[object, ...]]: ...
    @documented_by(AsyncRepository.aggregate)
    def aggregate(
        self,
        *aggregates: AnyAggregate,
        where: Condition[E] | Sequence[Condition[E]] = (),
        by: AnyValue[E] | Sequence[AnyValue[E]] = (),
        having: Condition[E] | Sequence[Condition[E]] = (),
        order_by: AnyGroupOrder[E] | Sequence[AnyGroupOrder[E]] = (),
        limit: int | None = None,
    ) -> Any:
        return self.step(
            self.asynchronous.aggregate(
                *aggregates, where=where, by=by, having=having, order_by=order_by, limit=limit
            )
        )

    count = blocking(AsyncReads[E].count)
    exists = blocking(AsyncReads[E].exists)
    explain = blocking(AsyncReads[E].explain)

    @documented_by(AsyncReads.with_deleted)
    def with_deleted(self) -> RepositoryReads[E]:
        return RepositoryReads(self.asynchronous.with_deleted())


class Repository(RepositoryReads[E], Generic[E]):
    """The entities of one kind in a store, blocking: `Repository(Video, store)`."""

    asynchronous: AsyncRepository[E]

    def __init__(self, entity: type[E], store: Store) -> None:
        super().__init__(AsyncRepository(entity, store.asynchronous))

    if not TYPE_CHECKING:

        def __getattr__(self, name):  # noqa: ANN001, ANN204 - hidden from type checkers
            not_there(self, "a repository", name, REPOSITORY_WORDS)

    add = blocking(AsyncRepository[E].add)
    add_many = blocking(AsyncRepository[E].add_many)
    update = blocking(AsyncRepository[E].update)
    patch = blocking(AsyncRepository[E].patch)
    upsert = blocking(AsyncRepository[E].upsert)
    upsert_many = blocking(AsyncRepository[E].upsert_many)
    update_where = blocking(AsyncRepository[E].update_where)
    take = blocking(AsyncRepository[E].take)
    delete = blocking(AsyncRepository[E].delete)
    delete_many = blocking(AsyncRepository[E].delete_many)
    delete_where = blocking(AsyncRepository[E].delete_where)
    restore = blocking(AsyncRepository[E].restore)
    purge = blocking(AsyncRepository[E].purge)

    @documented_by(AsyncRepository.with_deleted)
    def with_deleted(self) -> RepositoryReads[E]:
        return RepositoryReads(self.asynchronous.with_deleted())


class Links(BlockingTwin[AsyncLinks[E]], Generic[E]):
    """The links that a relation goes by, blocking: `store.links(Video.tags)`."""

    def __init__(self, relation: Many[E], store: Store) -> None:
        self.asynchronous = AsyncLinks(relation, store.asynchronous)

    connect = blocking(AsyncLinks[E].connect)
    disconnect = blocking(AsyncLinks[E].disconnect)
    replace = blocking(AsyncLinks[E].replace)
