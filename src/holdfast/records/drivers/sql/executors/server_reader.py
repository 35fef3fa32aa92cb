"""What runs on one connection to a server: statements, reads, and what their failures were.

Everything is awaited; under a blocking driver nothing of it ever suspends.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, TypeVar, cast

from holdfast.errors import HoldfastError
from holdfast.records.drivers.sql.failure import (
    Failure,
    FailureKind,
    error_of,
    serialization_error,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from holdfast.records.driver import Values
    from holdfast.records.driver_requests import AggregateQuery, Select
    from holdfast.records.drivers.sql.connections.server_connection import (
        Listening,
        ServerConnection,
    )
    from holdfast.records.drivers.sql.statements.store_statements import StoreStatements
    from holdfast.records.entities.model import Model
    from holdfast.records.expressions.operands import ValueColumn

E = TypeVar("E")
T = TypeVar("T")

log = logging.getLogger("holdfast.records.sql")
_UNCLASSIFIED = Failure(FailureKind.UNKNOWN)


class StatementLog:
    """Logs all statements when *echo*, and those of *slow* seconds or more as warnings."""

    def __init__(self, *, echo: bool = False, slow: float = 0.0) -> None:
        self._echo = echo
        self._slow = slow
        self.enabled = echo or slow > 0

    def note(self, sql: str, seconds: float) -> None:
        """Log *sql*, which took *seconds*, where that is asked for."""
        if self._slow and seconds >= self._slow:
            log.warning("slow statement, %.3f s: %s", seconds, sql)
        elif self._echo:
            log.info("%.6f s: %s", seconds, sql)


class ServerReader:
    """Runs statements on one connection and reads; the driver's exceptions become Holdfast's."""

    def __init__(
        self,
        connection: ServerConnection,
        statements: StoreStatements,
        log: StatementLog,
    ) -> None:
        self.connection = connection
        self.statements = statements
        self.of_model = statements.of_model
        self.backend = statements.dialect.name
        self.lost = False
        """The connection is gone, or nobody knows where it stands."""
        self.in_transaction = False
        self.undone = False
        """The server undid the transaction; nothing may be run until it is rolled back."""
        self._log = log

    # --- reading ----------------------------------------------------------------------------

    async def get(self, model: Model[E], key: object) -> E | None:
        """See `Reader`."""
        prepared = self.of_model(model)
        found = await self.fetch(model, prepared.get.sql, prepared.key_values(key))
        return prepared.hydrate(found)[0] if found else None

    async def find(self, select: Select[E]) -> list[E]:
        """See `Reader`."""
        found = await self.fetch(select.model, *self.statements.select(select))
        return self.of_model(select.model).hydrate(found)

    async def values(self, select: Select[E], columns: tuple[ValueColumn, ...]) -> list[Values]:
        """See `Reader`."""
        found = await self.fetch(select.model, *self.statements.select(select, columns))
        return self.statements.decoded(select, columns, found)

    async def aggregate(self, query: AggregateQuery[E]) -> list[Values]:
        """See `Reader`."""
        found = await self.fetch(query.model, *self.statements.aggregate(query))
        return self.statements.decoded_aggregates(query, found)

    # --- running ----------------------------------------------------------------------------

    async def fetch(
        self, model: Model[E], sql: str, values: Sequence[object]
    ) -> Sequence[Sequence[object]]:
        """Run a statement about *model*; its failure is raised as Holdfast's error."""
        try:
            return await self.fetch_raw(sql, values)
        except Exception as error:
            raise self.error_of(error, model) from error

    async def asked(self, sql: str, *values: object) -> Sequence[Sequence[object]]:
        """Run a query about the database itself; a failure is raised as Holdfast's error."""
        try:
            return await self.fetch_raw(sql, values)
        except Exception as error:
            raise self.error_of(error) from error

    async def listen(self, channel: str, heard: Callable[[str | None], None]) -> None:
        """Listen on *channel*, on a connection that can: see `Notifier.listen`."""
        try:
            await cast("Listening", self.connection).listen(channel, heard)
        except Exception as error:
            raise self.error_of(error) from error

    async def command(self, *statements: str) -> str:
        """Run statements without parameters; a failure is raised as Holdfast's error."""
        answer = ""
        try:
            for statement in self.batched(statements):
                answer = await self.watched(statement, self.connection.command(statement))
        except Exception as error:
            raise self.error_of(error) from error
        return answer

    def batched(self, statements: Sequence[str]) -> Sequence[str]:
        """Return *statements* in as few texts as the server takes them in."""
        return ("; ".join(statements),)

    async def alive(self) -> bool:
        """Ask the server whether it is there."""
        try:
            await self.connection.fetch("SELECT 1", ())
        except Exception as error:
            if self.connection.failure(error) is None:
                raise
            return False
        return True

    def fetch_raw(
        self, sql: str, values: Sequence[object]
    ) -> Coroutine[object, None, Sequence[Sequence[object]]]:
        """Run a statement and return its rows; a failure is the driver's own exception."""
        if self.undone:
            raise serialization_error(self.backend)
        found = self.connection.fetch(sql, values)
        return self.watched(sql, found) if self._log.enabled else found

    async def execute_raw(self, sql: str, values: Sequence[object]) -> int:
        """Run a statement and return how many rows it found; a failure is the driver's own."""
        return await self.watched(sql, self.connection.execute(sql, values))

    async def watched(self, sql: str, run: Coroutine[object, None, T]) -> T:
        """Return what *run*, which runs *sql*, returns, and log it where that is asked for."""
        if self.undone:
            # MariaDB and MySQL would take what comes next as statements of their own.
            run.close()
            raise serialization_error(self.backend)
        if not self._log.enabled:
            return await run
        start = time.perf_counter()
        try:
            return await run
        finally:
            self._log.note(sql, time.perf_counter() - start)

    # --- what went wrong --------------------------------------------------------------------

    def note_failure(self, error: Exception) -> Failure:
        """Return what a driver's error was, and note when the connection is lost by it.

        The kind is UNKNOWN for a bug's error and for Holdfast's own.
        """
        found = self.connection.failure(error) or _UNCLASSIFIED
        # The server hangs up after a statement that is too large; what is prepared on a connection
        # stays stale.
        if found.kind in (FailureKind.LOST, FailureKind.TOO_LARGE, FailureKind.STALE_PLAN):
            self.lost = True
        return found

    def error_of(self, error: Exception, model: Model[E] | None = None) -> Exception:
        """Return Holdfast's error for a driver's; a bug's error as it is."""
        if isinstance(error, HoldfastError):
            return error
        found = self.note_failure(error)
        if found.kind is FailureKind.SERIALIZATION:
            self.undone = self.in_transaction
        return error_of(found, self.backend, model) or error
