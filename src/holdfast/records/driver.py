"""The contract that a backend of records implements.

A driver sees models, row values and queries as data; never entities' relations, cursors or
defaults. Every method is atomic: it does all of its work or raises and leaves nothing behind.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeVar, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from holdfast.errors import ConflictError
    from holdfast.records.driver_requests import (
        AggregateQuery,
        Select,
        Taking,
        TransactionOptions,
        Update,
    )
    from holdfast.records.entities.model import Model, Row
    from holdfast.records.expressions.operands import ValueColumn
    from holdfast.records.expressions.predicates import Predicate
    from holdfast.records.values.field_spec import FieldSpec
    from holdfast.stats import Stats

E = TypeVar("E")

Values: TypeAlias = tuple[object, ...]


class StoreCapability(StrEnum):
    """What some backends of records can do and others refuse with UnsupportedError.

    Bounds of a single statement are no capabilities: its size, the depth of its JSON, the levels
    of its cascades. Where a server has one, UnsupportedError names it when it is passed.
    """

    TRANSACTIONS = "transactions"
    """Several writes in one transaction."""
    SAVEPOINTS = "savepoints"
    """A part of a transaction that is undone alone."""
    GENERATED_KEYS = "generated keys"
    """Keys that the store numbers."""
    SEQUENCES = "sequences"
    """Fields and keys that get the next number of a named sequence."""
    MAPPED_CLASSES = "mapped classes"
    """Entities that are no `Entity`, but classes that another library maps to tables."""
    EXPRESSIONS = "expressions"
    """What is computed of fields, and fields compared with fields. All stores of entities can."""
    SQL_STATEMENTS = "SQL statements of the caller's own"
    """Another library at work on a transaction's own connection."""
    VIEWS = "views"
    """Entities that are views of the database's."""
    ROW_LOCKS = "row locks"
    """Reads that keep others from changing the rows they return, until the transaction ends."""
    FULL_TEXT = "full-text search"
    """Entities with fields whose words are searched; it needs TRANSACTIONS too."""
    PERCENTILES = "percentiles"
    """`Video.duration.percentile(0.95)`."""
    TIME_ZONES = "parts of a time in a named zone"
    """`Video.created_at.truncated("day", zone="Europe/Athens")`; in UTC every backend has it."""
    SNAPSHOTS = "reads of one moment"
    """Reads of several rows that see all or nothing of what is written at once, and read-only
    transactions, which keep the state in which they began."""
    SERIALIZABLE_QUERIES = "serializable transactions that find rows otherwise than by key"
    """Queries in a serializable transaction, which fails where rows were added to their answer."""
    LARGE_WRITES = "atomic writes of any number of rows"
    """Batches and writes by a condition that are one step, however many rows they concern."""


class Reader(Protocol):
    """Reads; what is returned is the caller's own copy."""

    async def get(self, model: Model[E], key: object) -> E | None:
        """Return the entity under the row value *key*."""
        ...

    async def find(self, select: Select[E]) -> list[E]:
        """Return the entities that *select* asks for, in its order."""
        ...

    async def values(self, select: Select[E], columns: tuple[ValueColumn, ...]) -> list[Values]:
        """Return row values, a tuple for each row in the order of *columns*."""
        ...

    async def aggregate(self, query: AggregateQuery[E]) -> list[Values]:
        """Return a tuple for each group, in the groups' order: its values, then the aggregates."""
        ...


class Writer(Protocol):
    """Writes. Raises ConflictError's kinds, and then nothing was written."""

    async def insert(
        self, model: Model[E], rows: Sequence[Row], *, atomic: bool
    ) -> list[Row | ConflictError]:
        """Add *rows* and return them as stored, with the keys that the store generated.

        The returned rows are the caller's own: a driver that keeps rows returns copies
        (`hydration.copied_row`). When *atomic*, the first conflict is raised with its index; else
        each stands in its place.
        """
        ...

    async def replace(self, model: Model[E], row: Row, expected: int | None) -> E | None:
        """Overwrite the row under the key of *row*, if its version is *expected* (None: any).

        Not one that is marked as deleted. What is `FieldSpec.kept` stays, as key and time of
        creation. Returns the entity as stored, None when no such row is there.
        """
        ...

    async def patch(self, update: Update[E]) -> E | None:
        """Apply *update*, which can fit one row at the most, and return it as stored."""
        ...

    async def update(self, update: Update[E]) -> int:
        """Apply *update* and return the number of rows that fitted."""
        ...

    async def upsert(
        self, model: Model[E], rows: Sequence[Row], on: tuple[str, ...]
    ) -> list[tuple[E, bool]]:
        """Add each row, or overwrite the one with the same *on*; tell which were created.

        An overwritten row keeps what is `FieldSpec.kept`, and its version goes up by one.
        """
        ...

    async def delete(self, model: Model[E], where: Predicate) -> int:
        """Delete every row that fits *where* and return how many did."""
        ...


@dataclass(frozen=True, slots=True)
class ChangeRecord:
    """A row of *entry* that a write of one row of *model* inserts beside it, in its statement.

    *row* has its values, without a key that the store generates. Its JSON field *changes* gets a
    member for each field of *model* that the write changed, a list of the value before and after:
    null, true, a number or text; a document as `{"json": ...}`; the SHA-256 and the number of bytes
    in place of what has more than *largest* of them. Fields declare by `audit` that they are
    hashed, hidden (`{"redacted": true}`) or left out.
    """

    model: Model[object]
    entry: Model[object]
    row: Row
    changes: str
    largest: int


class NumberGiver(Protocol):
    """What sessions and transactions of a driver with SEQUENCES are too."""

    async def numbers(self, model: Model[E], spec: FieldSpec, count: int) -> list[int]:
        """Return the next *count* numbers of the sequence that *spec*, of *model*, names.

        In the order in which the sequence gives them. None of them is given again, also not when
        the transaction is undone. Raises InvalidValueError where it has not so many left.
        """
        ...


class TakingWriter(Protocol):
    """Writes that find their rows along an order, and return them."""

    async def take(self, taking: Taking[E]) -> list[E]:
        """Do *taking* and return the rows as stored, in no order. Raises as `Writer` does.

        A row is taken whole. All are or none, except outside of a transaction on a backend without
        LARGE_WRITES: there each is a write of its own.
        """
        ...


@runtime_checkable
class RowTaker(Protocol):
    """A driver whose sessions and transactions are `TakingWriter`s where it says so.

    Elsewhere rows are read under a lock, updated and read again, in a transaction.
    """

    @property
    def takes_rows(self) -> bool:
        """Whether they are."""
        ...


class BatchReader(Protocol):
    """Reads that go on where the last one ended, so that no row is read twice."""

    async def find_batch(self, select: Select[E], place: object) -> tuple[list[E], object]:
        """Return some of the rows that *select* finds, and where to go on from; None at the end.

        *place* is what the call before returned, None for the first. The limit of *select* is how
        many are wanted at a time; there may be more or fewer of them, but none only at the end.
        Without an order rows come as they are found.
        """
        ...

    async def find_behind(self, select: Select[E], key: object) -> list[E]:
        """Return the first rows of *select*, in the order of the table, behind the row *key*.

        None is before all rows. *select* has a limit and no order. The row *key* may be gone.
        Raises InvalidCursorError for a key that no row can have.
        """
        ...


@runtime_checkable
class BatchReading(Protocol):
    """A driver whose sessions, but not its transactions, are `BatchReader`s where it says so.

    Elsewhere each batch is a query of its own, for what stands behind the last row.
    """

    @property
    def reads_batches(self) -> bool:
        """Whether they are."""
        ...

    def walks_table(self, select: Select[E]) -> bool:
        """Return whether *select* would read its table from one end to the other."""
        ...


class RecordingWriter(Protocol):
    """Writes that record themselves, of rows of an `Entity`."""

    async def replace_recorded(
        self, model: Model[E], row: Row, expected: int | None, record: ChangeRecord
    ) -> E | None:
        """Do as `Writer.replace`, and insert *record* where a field changed. Atomic."""
        ...

    async def patch_recorded(self, update: Update[E], record: ChangeRecord) -> E | None:
        """Do as `Writer.patch`, and insert *record* where a field changed. Atomic."""
        ...


@runtime_checkable
class ChangeRecorder(Protocol):
    """A driver whose sessions and transactions are `RecordingWriter`s where it says so."""

    @property
    def records_changes(self) -> bool:
        """Whether they are."""
        ...


class Session(Reader, Writer, Protocol):
    """A place to read and write: either each call its own transaction, or all in one."""


class DriverTransaction(Session, Protocol):
    """One unit of work. After `commit` or `rollback` nothing more may be called."""

    async def commit(self) -> None:
        """Keep all that was done. UnavailableError leaves open whether it was kept."""
        ...

    async def rollback(self) -> None:
        """Undo all that was done."""
        ...

    async def savepoint(self) -> None:
        """Open a savepoint inside the current one."""
        ...

    async def release(self) -> None:
        """Close the innermost savepoint and keep what was done since."""
        ...

    async def rollback_to(self) -> None:
        """Close the innermost savepoint and undo what was done since."""
        ...


class Borrower(Protocol):
    """What uses a transaction's own connection beside Holdfast, until the transaction ends."""

    def check(self) -> None:
        """Raise TransactionError when something it ran has ended the transaction."""
        ...

    async def close(self) -> None:
        """Give the connection back. Called before the transaction commits or rolls back."""
        ...


class Driver(Protocol):
    """A backend. *name* stands in errors; what it lacks of *capabilities*, it refuses."""

    name: str
    capabilities: frozenset[StoreCapability]

    async def open(self, models: Sequence[Model[object]]) -> None:
        """Connect. Called once, before anything else."""
        ...

    async def close(self) -> None:
        """Let go of everything. Idempotent; called even when `open` failed."""
        ...

    def session(self) -> Session:
        """Return the session in which each call is its own transaction."""
        ...

    async def begin(self, options: TransactionOptions) -> DriverTransaction:
        """Begin a transaction. Raises LockTimeoutError when it is not let begin in time."""
        ...

    async def create_schema(self) -> None:
        """Create what is missing. What is there is left as it is."""
        ...

    async def drop_schema(self) -> None:
        """Remove all rows and all structure of the models."""
        ...

    async def probe(self) -> None:
        """Make one cheap round trip to the backend. Raises HoldfastError when it can't."""
        ...

    def stats(self) -> Stats:
        """Return the driver's own counters and gauges since `open`, without any I/O."""
        ...


@runtime_checkable
class DefaultGiver(Protocol):
    """A driver whose `insert` and `upsert` take rows with `LEFT_OUT` where it says so.

    The backend gives such a field what its `server_default` says, and returns it. Elsewhere rows
    come with the constant, or the store's time, and a default that is a text is refused.
    """

    @property
    def gives_defaults(self) -> bool:
        """Whether they are."""
        ...


@runtime_checkable
class WordIndexer(Protocol):
    """A driver that may find the words of a search's documents by an index of the database's."""

    @property
    def indexes_words(self) -> bool:
        """Whether its database has such indexes; others read all documents."""
        ...

    async def index_words(self) -> None:
        """Make the indexes that are missing. Idempotent."""
        ...


@runtime_checkable
class SchemaHolder(Protocol):
    """A driver whose tables may be in a schema that the store was opened with."""

    @property
    def schema(self) -> str:
        """Where the tables are of models that name no schema; '' for where the URL leads to."""
        ...


@runtime_checkable
class TimeTeller(Protocol):
    """A driver whose server has a clock of its own."""

    async def server_time(self) -> datetime:
        """Return the time by the server's clock, aware. One round trip."""
        ...


@runtime_checkable
class Notifier(Protocol):
    """A driver whose server passes notifications on between its clients, where it says so.

    Or another way between processes; see `Store.notify_by`. One that listens and notifies nobody
    hears of every commit by itself, with None for a text.
    """

    @property
    def notifies(self) -> bool:
        """Whether the server does."""
        ...

    @property
    def listens(self) -> bool:
        """Whether this driver can hear them."""
        ...

    async def notify(self, channel: str, texts: Sequence[str]) -> None:
        """Tell each of *texts* to all who listen on *channel*, in a transaction of its own."""
        ...

    async def listen(self, channel: str, heard: Callable[[str | None], None]) -> None:
        """Call *heard* with each text that is told on *channel*, until this is cancelled.

        On a connection of its own. First with None, as soon as it listens. Raises UnavailableError
        when that can't be opened, or ends.
        """
        ...


@runtime_checkable
class Renewable(Protocol):
    """A driver that holds what a forked child must not share: connections, threads, locks."""

    def renew(self) -> None:
        """Start afresh in a child process, at the next call; called right after the fork.

        What the parent opened is neither used nor ended. Without I/O. Idempotent.
        """
        ...
