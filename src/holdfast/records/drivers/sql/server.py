"""One kind of database server, as drivers see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from holdfast.records.driver import StoreCapability
    from holdfast.records.driver_requests import TransactionOptions
    from holdfast.records.drivers.sql.connections.server_connection import ServerConnection
    from holdfast.records.drivers.sql.executors.server_executor import ServerExecutor
    from holdfast.records.drivers.sql.executors.server_reader import StatementLog
    from holdfast.records.drivers.sql.statements.dialect import Dialect
    from holdfast.records.drivers.sql.statements.schema_inspection import FoundTables
    from holdfast.records.drivers.sql.statements.store_statements import StoreStatements
    from holdfast.records.entities.model import Model
    from holdfast.records.options import PoolOptions
    from holdfast.records.schema_diff import Difference

    Ask: TypeAlias = Callable[[str], Awaitable[Sequence[Sequence[object]]]]
    Define: TypeAlias = Callable[[Sequence[str]], Awaitable[None]]


class MappedSchema(Protocol):
    """The tables of mapped classes on a server where CREATE ends a transaction."""

    async def differences(
        self, ask: Ask, statements: StoreStatements, found: FoundTables
    ) -> list[Difference]:
        """Return which of their columns would not keep values to the rules, and the cure."""
        ...

    async def create(
        self, server: Server, define: Define, ask: Ask, statements: StoreStatements
    ) -> None:
        """Create what is missing of them. Raises SchemaMismatchError where one is of no use."""
        ...

    async def drop(self, server: Server, define: Define, statements: StoreStatements) -> None:
        """Drop them, with their rows."""
        ...


class Server(Protocol):
    """One kind of server, reached by one driver: what `ServerDriver` has to know of it."""

    name: str
    capabilities: frozenset[StoreCapability]
    executor: type[ServerExecutor]
    blocking: bool
    shielded: bool
    """Its driver can't be stopped within a statement without losing the connection."""

    @property
    def options(self) -> PoolOptions:
        """What tunes it."""
        ...

    async def connect(self) -> ServerConnection:
        """Return a new connection. Raises UnavailableError and ConfigurationError."""
        ...

    async def dialect(self, connection: ServerConnection) -> Dialect:
        """Return the SQL that the server at the other end understands.

        Raises ConfigurationError for a server that is too old.
        """
        ...

    def mapped_dialect(self, dialect: Dialect, models: Sequence[Model[object]]) -> Dialect:
        """Return *dialect* as one that knows the columns of the mapped classes among *models*.

        Raises ConfigurationError for a column that is not kept there as the rules want it.
        """
        ...

    @property
    def mapped_schema(self) -> MappedSchema | None:
        """What looks after the tables of mapped classes; None where their metadata makes them."""
        ...

    def execute_on(
        self, connection: ServerConnection, statements: StoreStatements, log: StatementLog
    ) -> ServerExecutor:
        """Return an executor on *connection*."""
        ...

    def begin(self, options: TransactionOptions) -> Sequence[str]:
        """Return the statements that begin such a transaction."""
        ...

    def creation(self, statements: StoreStatements) -> Sequence[str]:
        """Return the statements that create what is missing of the tables."""
        ...

    def removal(self, statements: StoreStatements) -> Sequence[str]:
        """Return the statements that drop the tables."""
        ...

    @property
    def home(self) -> str:
        """What it calls the schema of the URL, where references out of others have to name it."""
        ...

    time: str
    """The query of the server's time, in microseconds of Unix."""

    notification: str | None
    """The query that tells texts ($2) on a channel ($1); None where the server has none such."""
    listens: bool
    """Whether a connection of this driver hears what is told: `Listening`."""

    def word_indexes(self, statements: StoreStatements) -> Sequence[str]:
        """Return the statements that make the missing indexes of searched words."""
        ...
