"""The blocking twin of records: the same names without `await`.

Nothing is implemented here. A blocking store's I/O never suspends, so each coroutine of the async
API is stepped to its end by hand (see `holdfast.blocking`). Threads may share a store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, overload

from holdfast.blocking import iterate, run
from holdfast.errors import TransactionError
from holdfast.records.opening import open_blocking
from holdfast.records.repository import Repository as AsyncRepository
from holdfast.records.store import utc_now

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
    from datetime import datetime
    from types import TracebackType

    from holdfast.records.driver import Isolation
    from holdfast.records.field import Field
    from holdfast.records.page import BatchResult, Page, Upserted
    from holdfast.records.query import Aggregate, Change, Order, Predicate
    from holdfast.records.relation import Relation
    from holdfast.records.store import Store as AsyncStore
    from holdfast.records.structure import Verify
    from holdfast.records.transaction import Savepoint as AsyncSavepoint
    from holdfast.records.transaction import Transaction as AsyncTransaction

E = TypeVar("E")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
T = TypeVar("T")


def open_store(
    url: str,
    entities: Iterable[type],
    *,
    clock: Callable[[], datetime] = utc_now,
    verify: Verify = "exact",
) -> Store:
    """Return a blocking store of *entities* at *url*; see `holdfast.open_store`."""
    return Store(open_blocking(url, entities, clock=clock, verify=verify))


class Store:
    """Entities in one backend: `with open_store(url, [Project, Video]) as store`."""

    def __init__(self, store: AsyncStore) -> None:
        self.asynchronous = store
        """The async API over the same blocking I/O, for coroutines handed to `run`."""

    def __enter__(self) -> Self:
        run(self.asynchronous.__aenter__())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        run(self.asynchronous.close())

    def run(self, coroutine: Coroutine[object, None, T]) -> T:
        """Step *coroutine*, which uses `asynchronous`, to its end: a domain's async code, blocking.

        Raises RuntimeError when it waits for anything but this store.
        """
        return run(coroutine)

    def repository(self, entity: type[E]) -> Repository[E]:
        return Repository(entity, self)

    def transaction(
        self, *, isolation: Isolation | None = None, read_only: bool = False
    ) -> Transaction:
        return Transaction(self.asynchronous.transaction(isolation=isolation, read_only=read_only))

    def retrying(
        self, work: Callable[[], T], *, attempts: int = 5, isolation: Isolation | None = None
    ) -> T:
        async def stepped() -> T:
            return work()

        return run(self.asynchronous.retrying(stepped, attempts=attempts, isolation=isolation))

    def create_schema(self) -> None:
        run(self.asynchronous.create_schema())

    def drop_schema(self) -> None:
        run(self.asynchronous.drop_schema())


class Transaction:
    """A transaction or a part of one: `with store.transaction() as tx`."""

    def __init__(self, inner: AsyncTransaction | AsyncSavepoint) -> None:
        self._inner = inner
        self._entered: AsyncTransaction | None = None

    def __enter__(self) -> Self:
        self._entered = run(self._inner.__aenter__())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        run(self._inner.__aexit__(kind, error, trace))

    def after_commit(self, callback: Callable[[], object]) -> None:
        """Call *callback* once the whole transaction is committed; never when it is not."""
        if self._entered is None:
            raise TransactionError("the transaction is not open; use `with`")

        async def called() -> None:
            callback()

        self._entered.after_commit(called)

    def savepoint(self) -> Transaction:
        """Return a part of the transaction that is undone alone when its block raises."""
        if self._entered is None:
            raise TransactionError("the transaction is not open; use `with`")
        return Transaction(self._entered.savepoint())


class Repository(Generic[E]):
    """The entities of one kind in a store; each method is its async namesake's, blocking."""

    def __init__(self, entity: type[E], store: Store) -> None:
        self.asynchronous = AsyncRepository(entity, store.asynchronous)

    def get(self, key: object, *, load: Sequence[Relation] = ()) -> E | None:
        return run(self.asynchronous.get(key, load=load))

    def get_one(self, key: object, *, load: Sequence[Relation] = ()) -> E:
        return run(self.asynchronous.get_one(key, load=load))

    def get_many(self, keys: Iterable[object], *, load: Sequence[Relation] = ()) -> list[E | None]:
        return run(self.asynchronous.get_many(keys, load=load))

    def find(
        self,
        *where: Predicate,
        order_by: Order | Sequence[Order] = (),
        limit: int | None = None,
        offset: int = 0,
        load: Sequence[Relation] = (),
    ) -> list[E]:
        return run(
            self.asynchronous.find(*where, order_by=order_by, limit=limit, offset=offset, load=load)
        )

    def first(
        self,
        *where: Predicate,
        order_by: Order | Sequence[Order] = (),
        load: Sequence[Relation] = (),
    ) -> E | None:
        return run(self.asynchronous.first(*where, order_by=order_by, load=load))

    def one(self, *where: Predicate, load: Sequence[Relation] = ()) -> E:
        return run(self.asynchronous.one(*where, load=load))

    def page(
        self,
        *where: Predicate,
        order_by: Order | Sequence[Order] = (),
        size: int = 50,
        cursor: str | None = None,
        total: bool = False,
        load: Sequence[Relation] = (),
    ) -> Page[E]:
        return run(
            self.asynchronous.page(
                *where, order_by=order_by, size=size, cursor=cursor, total=total, load=load
            )
        )

    def stream(
        self,
        *where: Predicate,
        order_by: Order | Sequence[Order] = (),
        batch: int = 500,
        load: Sequence[Relation] = (),
    ) -> Iterator[E]:
        return iterate(self.asynchronous.stream(*where, order_by=order_by, batch=batch, load=load))

    @overload
    def select(  # pyright: ignore[reportOverlappingOverload]
        self,
        first: Field[A],
        /,
        *,
        where: Predicate | Sequence[Predicate] = (),
        order_by: Order | Sequence[Order] = (),
        limit: int | None = None,
        offset: int = 0,
    ) -> list[tuple[A]]: ...
    @overload
    def select(
        self,
        first: Field[A],
        second: Field[B],
        /,
        *,
        where: Predicate | Sequence[Predicate] = (),
        order_by: Order | Sequence[Order] = (),
        limit: int | None = None,
        offset: int = 0,
    ) -> list[tuple[A, B]]: ...
    @overload
    def select(
        self,
        first: Field[A],
        second: Field[B],
        third: Field[C],
        /,
        *,
        where: Predicate | Sequence[Predicate] = (),
        order_by: Order | Sequence[Order] = (),
        limit: int | None = None,
        offset: int = 0,
    ) -> list[tuple[A, B, C]]: ...
    @overload
    def select(
        self,
        *fields: Field[Any],
        where: Predicate | Sequence[Predicate] = (),
        order_by: Order | Sequence[Order] = (),
        limit: int | None = None,
        offset: int = 0,
    ) -> list[tuple[object, ...]]: ...
    def select(
        self,
        *fields: Field[Any],
        where: Predicate | Sequence[Predicate] = (),
        order_by: Order | Sequence[Order] = (),
        limit: int | None = None,
        offset: int = 0,
    ) -> Any:
        return run(
            self.asynchronous.select(
                *fields, where=where, order_by=order_by, limit=limit, offset=offset
            )
        )

    def aggregate(
        self,
        *figures: Aggregate,
        where: Predicate | Sequence[Predicate] = (),
        by: Field[Any] | Sequence[Field[Any]] = (),
    ) -> list[tuple[object, ...]]:
        return run(self.asynchronous.aggregate(*figures, where=where, by=by))

    def count(self, *where: Predicate) -> int:
        return run(self.asynchronous.count(*where))

    def exists(self, *where: Predicate) -> bool:
        return run(self.asynchronous.exists(*where))

    def add(self, entity: E) -> E:
        return run(self.asynchronous.add(entity))

    def add_many(self, entities: Iterable[E], *, atomic: bool = True) -> BatchResult[E]:
        return run(self.asynchronous.add_many(entities, atomic=atomic))

    def update(self, entity: E) -> E:
        return run(self.asynchronous.update(entity))

    def patch(self, key: object, *changes: Change, when: Predicate | None = None) -> E:
        return run(self.asynchronous.patch(key, *changes, when=when))

    def upsert(self, entity: E, *, on: Sequence[Field[Any]] = ()) -> Upserted[E]:
        return run(self.asynchronous.upsert(entity, on=on))

    def upsert_many(
        self, entities: Iterable[E], *, on: Sequence[Field[Any]] = ()
    ) -> list[Upserted[E]]:
        return run(self.asynchronous.upsert_many(entities, on=on))

    def update_where(self, *where: Predicate, changes: Sequence[Change]) -> int:
        return run(self.asynchronous.update_where(*where, changes=changes))

    def delete(self, key: object, *, version: int | None = None) -> bool:
        return run(self.asynchronous.delete(key, version=version))

    def delete_many(self, keys: Iterable[object]) -> int:
        return run(self.asynchronous.delete_many(keys))

    def delete_where(self, *where: Predicate) -> int:
        return run(self.asynchronous.delete_where(*where))
