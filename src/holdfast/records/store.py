"""A store: an open backend with the entities that live in it."""

from __future__ import annotations

import math
import random
from contextlib import asynccontextmanager, nullcontext
from typing import TYPE_CHECKING, TypeVar, get_args

from holdfast.capability import require
from holdfast.clock import pause, utc_now
from holdfast.errors import (
    ConfigurationError,
    InvalidQueryError,
    LockTimeoutError,
    SerializationError,
    TransactionError,
)
from holdfast.health import Health, probed
from holdfast.opening import Opening
from holdfast.records.driver import SchemaHolder, StoreCapability, TimeTeller
from holdfast.records.driver_requests import Isolation, TransactionOptions
from holdfast.records.entities.sequences import sequences_of
from holdfast.records.expressions.field_changes import SetTo
from holdfast.records.expressions.operands import Column
from holdfast.records.expressions.predicates import everything
from holdfast.records.hooked_writes import HookedModels
from holdfast.records.links import Links
from holdfast.records.model_set import dependents_first, listed, models_of
from holdfast.records.notifications import Notifications, check_notification
from holdfast.records.repository import Repository
from holdfast.records.rows.server_values import check_texts
from holdfast.records.schema_diff import checked_verify, verify_schema
from holdfast.records.search.search_build import build_search
from holdfast.records.soft_deletion import SoftDeletion
from holdfast.records.transactions.affinity import Affinity
from holdfast.records.transactions.transaction import (
    Savepoint,
    Transaction,
    TransactionCounts,
    current,
)
from holdfast.records.write_hook import StoreEvent
from holdfast.stats import OperationOptions, OperationRecorder, Stats
from holdfast.tracing import database_spans

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
    from contextlib import AbstractAsyncContextManager
    from datetime import datetime

    from holdfast.records.driver import Driver, Notifier
    from holdfast.records.entities.model import Model
    from holdfast.records.entities.relation import Many
    from holdfast.records.notifications import Heard
    from holdfast.records.schema_diff import Verify
    from holdfast.records.write_hook import WriteHook

E = TypeVar("E")
T = TypeVar("T")

_PAUSE = 0.01  # seconds, before the first new attempt; then twice as long each time
_LONGEST = 1.0
_UNMEASURED = OperationOptions()


class Store:
    """An open backend and the entities that live in it, as `open_store` gives it.

    *blocking* says whether the driver's I/O blocks instead of being awaited; without it, a store
    that is opened where no event loop runs does. *hooks* are told of what is written (see
    `holdfast.records.WriteHook`). Raises ConfigurationError for an entity that is `audited` where
    no hook watches it, and UnsupportedError for hooks where the backend has no transactions.

    Safe among the tasks of one event loop, the one in which it was opened; in another loop every
    call raises ConfigurationError. It can be used between the beginning and the end of the block
    that opened it. In a child process that was forked it starts afresh, with its own connections.
    """

    def __init__(
        self,
        driver: Driver,
        entities: Iterable[type],
        *,
        clock: Callable[[], datetime] = utc_now,
        verify: Verify = "exact",
        blocking: bool | None = None,
        hooks: Iterable[WriteHook] = (),
    ) -> None:
        self.driver = driver
        self.affinity = Affinity(driver, blocking=blocking)
        self.verify: Verify = checked_verify(verify)
        self.now = clock
        watching = tuple(hooks)
        kept = (entity for hook in watching for entity in hook.entities)
        self.models = models_of((*listed(entities), *kept))
        self._known = {id(model) for model in self.models}
        if any(model.adapter is not None for model in self.models):
            self._require(StoreCapability.MAPPED_CLASSES)
        if any(model.view for model in self.models):
            self._require(StoreCapability.VIEWS)
        if sequences_of(self.models, self.schema):
            self._require(StoreCapability.SEQUENCES)
        self.recorder: OperationRecorder | None = None
        """What operations are told to, where anybody wants it: see `OperationOptions`."""
        self.searched = tuple(model for model in self.models if model.search is not None)
        if self.searched:
            self._require(StoreCapability.FULL_TEXT)
        self.hooked = HookedModels(self.models, watching)
        self._check_audited()
        check_texts(self.models, driver.name)
        if self.hooked.reached:
            self._require(StoreCapability.TRANSACTIONS)
        self.notifications = Notifications(driver, self.affinity)
        """Who listens in this store: see `notify` and `listening`."""
        self._counts = TransactionCounts()
        self._retries = 0

    @property
    def backend(self) -> str:
        """The name of the backend, as errors and metrics say it: `memory`, `sqlite` ..."""
        return self.driver.name

    @property
    def schema(self) -> str:
        """Where the tables are of entities that name no schema; '' for where the URL leads to."""
        return self.driver.schema if isinstance(self.driver, SchemaHolder) else ""

    @property
    def capabilities(self) -> frozenset[StoreCapability]:
        """What this backend can do of what not every backend can."""
        return self.driver.capabilities

    async def health(self) -> Health:
        """Return how the backend answers one round trip. A backend that is away raises nothing."""
        self.affinity.check()
        return await probed(self.driver.probe)

    async def server_time(self) -> datetime | None:
        """Return the time by the clock of the database's server, in UTC.

        None where there is no server, or it tells no time: on memory, SQLite and DynamoDB. On a
        connection of its own, also inside of a transaction. Raises UnavailableError.
        """
        self.affinity.check()
        driver = self.driver
        return await driver.server_time() if isinstance(driver, TimeTeller) else None

    def stats(self) -> Stats:
        """Return what was done since the store was opened, without any I/O.

        Counters: `committed` and `rolled_back`, the transactions that a `transaction()` block
        ended; `retries`, the times that `retrying` began again; and the driver's own. Gauges: the
        driver's own, such as the connections of a pool. Operations: by verb, where they are
        watched.
        """
        own = self.driver.stats()
        counters = {
            **own.counters,
            "committed": self._counts.committed,
            "rolled_back": self._counts.rolled_back,
            "retries": self._retries,
        }
        measured = {} if self.recorder is None else self.recorder.operations()
        return Stats({**own.operations, **measured}, counters, own.gauges)

    def _check_audited(self) -> None:
        for model in self.models:
            if model.audited and not self.hooked.watched(model):
                raise ConfigurationError(
                    f"{model.name} is audited, but the store has no hook that records it: "
                    "open_store(..., hooks=[AuditHook()]), from holdfast.audit"
                )

    def _require(self, capability: StoreCapability) -> None:
        require(capability, self.driver.capabilities, self.driver.name)

    def repository(self, entity: type[E]) -> Repository[E]:
        """Return the repository of *entity*.

        Raises ConfigurationError for a class that the store was not opened with.
        """
        return Repository(entity, self)

    def links(self, relation: Many[E]) -> Links[E]:
        """Return the links of *relation*, one that goes through a link entity: `Video.tags`.

        Raises InvalidQueryError for another relation, or a part of one, and ConfigurationError for
        one of an entity that the store was not opened with.
        """
        return Links(relation, self)

    async def record_event(
        self, name: str, *, entity: str, key: str, details: Mapping[str, object] | None = None
    ) -> None:
        """Tell the store's hooks that *name* happened to what *entity* and *key* say.

        *details* is JSON. In a transaction, theirs is a part of it; else they have one of their
        own. Without hooks nothing happens. Raises what a hook raises.
        """
        if not self.hooked.hooks:
            return
        event = StoreEvent(name, entity, key, details or {})
        async with nullcontext() if current(self.driver) else self.transaction():
            for hook in self.hooked.hooks:
                await hook.happened(self, event)

    async def after_commit(self, callback: Callable[[], Awaitable[object]]) -> None:
        """Await *callback* once the transaction around is committed; at once where there is none.

        Never when it is undone, or the part of it that this is called in; see
        `Transaction.after_commit` for what a callback may do.
        """
        around = current(self.driver)
        if around is None:
            await callback()
        else:
            around.after_commit(callback)

    def check_model(self, model: Model[E]) -> None:
        """Raise ConfigurationError unless *model* is one of this store's."""
        if id(model) not in self._known:
            names = ", ".join(known.name for known in self.models)
            raise ConfigurationError(
                f"{model.name} does not live in this store, which was opened with: {names}"
            )

    async def notify(self, channel: str, *texts: str) -> None:
        """Tell those who listen on *channel* each of *texts*, once the transaction is committed.

        At once where there is none around; never when it is undone. A hint, for those who poll
        too: it raises nothing when it can't be passed on, and the same text told several times
        within 20 ms may be heard once. Those who listen in this store hear it before this
        returns; those in other processes on PostgreSQL, where a task tells them on a connection
        of the pool (a blocking store does so itself), or where `notify_by` says how; on SQLite
        they hear that something was committed, and not what. A channel has
        a name of 1 to 63 bytes, a text at most 7,000: raises InvalidQueryError.
        """
        check_notification(channel, texts)

        async def told() -> None:
            await self.notifications.tell(channel, texts)

        if texts:
            await self.after_commit(told)

    def notify_by(self, notifier: Notifier) -> None:
        """Let *notifier* pass on what is told, and heard, between processes.

        Its maker closes it, and not before this store: `holdfast.cache.open_notifier` goes through
        Redis. Nothing changes on PostgreSQL, which does so itself, unless its URL says
        `notify=false` or `pgbouncer=true`. Raises TransactionError once somebody listens.
        """
        self.affinity.check()
        self.notifications.use(notifier)

    def listening(self, channel: str, heard: Heard) -> AbstractAsyncContextManager[None]:
        """Return a block during which *heard* is called with what is told on *channel*.

        By this store, and on PostgreSQL by all stores of the database: a connection beside the
        pool then listens, and is opened again when it is lost. On SQLite *heard* gets None within
        25 ms of what others committed to the file, whatever that was. PgBouncer in transaction
        mode keeps no such connection: with the option `pgbouncer` nothing is heard of others, but
        for what `notify_by` brings. *heard* is called in the event loop and must be quick; what it
        raises is logged. It takes None for "something may have been missed": when a connection
        begins to listen. Raises
        ConfigurationError on a blocking store, TransactionError on one that is not open, and
        InvalidQueryError.
        """
        self.affinity.check()
        check_notification(channel, ())
        if self.affinity.blocking:
            raise ConfigurationError("a blocking store tells others, and hears nothing itself")
        self.driver.session()  # of a store that is open
        return self.notifications.listening(channel, heard)

    def transaction(
        self, *, isolation: Isolation | None = None, read_only: bool = False, replica: bool = True
    ) -> Transaction | Savepoint:
        """Return a transaction to enter; inside another one of this store, a part of it.

        A *read_only* one sees one state of the store throughout, and goes to a replica where the
        store has one, unless *replica* is False; see `PoolOptions`.

        Raises TransactionError when the inner one asks for what the outer one does not give,
        UnsupportedError where the backend has none such, and InvalidQueryError for an *isolation*
        that is none of the three.
        """
        if isolation is not None and isolation not in get_args(Isolation):
            expected = ", ".join(map(repr, get_args(Isolation)))
            raise InvalidQueryError(f"isolation={isolation!r}: expected one of {expected}")
        outer = current(self.driver)
        if outer is None:
            self._require(StoreCapability.TRANSACTIONS)
            if read_only:
                self._require(StoreCapability.SNAPSHOTS)
            options = TransactionOptions(isolation, read_only, may_lag=read_only and replica)
            made = Transaction(self.driver, options, self._counts, self.affinity, self.recorder)
            made.watched_tables = self.hooked.tables
            return made
        if isolation is not None and isolation != outer.options.isolation:
            raise TransactionError(
                f"a transaction inside another can't ask for isolation={isolation!r}; "
                "ask for it in the outer one"
            )
        if outer.options.read_only and not read_only:
            raise TransactionError("a transaction that writes can't stand inside a read-only one")
        return outer.savepoint()

    async def retrying(
        self,
        work: Callable[[], Awaitable[T]],
        *,
        attempts: int = 5,
        isolation: Isolation | None = None,
    ) -> T:
        """Return what *work* returns, done in a transaction, and done again when that clashed.

        It is done again, from its beginning, when the transaction ends in SerializationError or
        LockTimeoutError, up to *attempts* times in all, with growing random pauses between (at
        most a second each); so it should change nothing but the store. Raises TransactionError
        inside a transaction, which could not be done again alone.
        """
        if current(self.driver) is not None:
            raise TransactionError("retrying inside a transaction: retry the outer one instead")
        if attempts < 1:
            raise InvalidQueryError(f"attempts={attempts}: expected 1 or more")
        for attempt in range(1, attempts + 1):
            try:
                async with self.transaction(isolation=isolation):
                    return await work()
            except (SerializationError, LockTimeoutError):
                if attempt == attempts:
                    raise
            self._retries += 1
            seconds = random.uniform(0, min(_LONGEST, _PAUSE * 2**attempt))  # noqa: S311
            await pause(seconds, blocking=self.affinity.blocking)
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def create_schema(self) -> None:
        """Create what is missing of the entities' tables; what is there is left as it is.

        The words of rows that are there are made ready to be searched: see `build_search`.
        """
        self.affinity.check()
        await self.driver.create_schema()
        await build_search(self, rebuild=False)

    async def build_search(self, *, rebuild: bool = False) -> int:
        """Let `search` find the rows that it does not know of; return how many there were.

        Repositories keep the words of what they write. Others are of rows that were there before
        their fields were searched, which `create_schema` and migrations make ready, or that were
        written past Holdfast: those that such a writer changed need *rebuild*, which reads all
        rows. In batches, each a transaction of its own.
        """
        self.affinity.check()
        return await build_search(self, rebuild=rebuild)

    async def drop_schema(self) -> None:
        """Remove the entities' tables with all rows in them."""
        self.affinity.check()
        await self.driver.drop_schema()

    async def clear(self) -> None:
        """Delete all rows of the store's entities; their tables stay.

        Atomic where the backend has transactions, and a part of the transaction around it. Keys
        that the store numbers go on from where they were. Write hooks are told of it, so that what
        they write of it may stay. Raises ForeignKeyError while rows of other tables point at these.
        """
        ordered, in_the_way = dependents_first(self.models)
        atomic = StoreCapability.TRANSACTIONS in self.capabilities
        async with self.transaction() if atomic else nullcontext():
            for model, spec in in_the_way:
                await self.repository(model.entity).update_where(
                    everything(), changes=SetTo(Column(model.name, spec), None)
                )
            for model in ordered:
                if model.view:
                    continue
                if model.deleted_at is None:
                    await self.repository(model.entity).delete_where(everything())
                else:
                    await SoftDeletion(self, model).erase(everything())


def opening(store: Store, operations: OperationOptions = _UNMEASURED) -> Opening[Store]:
    """Return what connects *store* when it is entered, and closes it at the end of the block.

    Its *operations* are measured and logged as these options say.

    `open_store` does this with the backend that a URL names; a backend of one's own is opened by
    `opening(Store(driver, entities))`. Entering raises SchemaMismatchError, and what the driver's
    `open` raises.
    """
    return Opening(_connected(store, operations), "store")


@asynccontextmanager
async def _connected(store: Store, operations: OperationOptions) -> AsyncIterator[Store]:
    spans = database_spans(store.backend)
    if spans is not None or operations != _UNMEASURED:
        slow = operations.slow_operation or math.inf
        store.recorder = OperationRecorder(spans=spans, slow=slow, backend=store.backend)
    try:
        store.affinity.bind()
        await store.driver.open(store.models)
        await verify_schema(store.driver, store.driver.name, store.verify)
        yield store
    finally:
        try:
            await store.notifications.close()
        finally:
            store.affinity.release()
            await store.driver.close()
