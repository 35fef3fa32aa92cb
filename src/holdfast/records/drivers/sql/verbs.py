"""The verbs on one connection to a server, awaited; under a blocking driver they never suspend."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, TypeVar

from holdfast.errors import (
    ConfigurationError,
    HoldfastError,
    InvalidValueError,
    LockTimeoutError,
    SchemaMismatchError,
    SerializationError,
    StorageError,
    TransactionError,
    UnavailableError,
    UnsupportedError,
)
from holdfast.records.drivers.sql.probing import overflow

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Coroutine, Sequence

    from holdfast.errors import ConflictError
    from holdfast.records.driver import Figures, Select, Update, Values
    from holdfast.records.drivers.sql.dialect import Codec
    from holdfast.records.drivers.sql.link import Connection, Fault
    from holdfast.records.drivers.sql.statements import Statements
    from holdfast.records.model import Model, Row
    from holdfast.records.query import Column, Predicate

E = TypeVar("E")
T = TypeVar("T")
Found = "Sequence[Sequence[object]]"

log = logging.getLogger("holdfast.records.sql")


class Catalogue:
    """What all connections of a store share."""

    def __init__(self, statements: Statements, backend: str) -> None:
        self.models = statements.models
        self.statements = statements
        self.writes = statements.writes
        self.backend = backend
        self.echo = False
        self.slow = 0.0


class ServerRows:
    """Reads and writes through one connection. What writes natively differs by database."""

    guards_each_write = False
    """A failed statement ends the transaction unless a savepoint stands before it."""

    def __init__(self, connection: Connection, catalogue: Catalogue) -> None:
        self.connection = connection
        self.catalogue = catalogue
        self.born = time.monotonic()
        self.lost = False
        self.in_transaction = False
        self.undone = False
        self.under_way: asyncio.Future[Any] | None = None
        self._watched = catalogue.echo or catalogue.slow > 0
        self._guard_open = False

    # --- reading ----------------------------------------------------------------------------

    async def get(self, model: Model[E], key: object) -> E | None:
        prepared = self.catalogue.writes(model)
        found = await self.fetch(model, prepared.get.sql, (prepared.key(key),))
        return prepared.hydrate(found)[0] if found else None

    async def find(self, select: Select[E]) -> list[E]:
        sql, values = self.catalogue.statements.select(select)
        found = await self.fetch(select.model, sql, values)
        return self.catalogue.writes(select.model).hydrate(found)

    async def values(self, select: Select[E], columns: tuple[Column, ...]) -> list[Values]:
        statements = self.catalogue.statements
        sql, values = statements.select(select, columns)
        decoders = [statements.dialect.decoder(column.spec) for column in columns]
        return _decoded(await self.fetch(select.model, sql, values), decoders)

    async def figures(self, query: Figures[E]) -> list[Values]:
        statements = self.catalogue.statements
        sql, values = statements.figures(query)
        decoders = [statements.dialect.decoder(column.spec) for column in query.by]
        decoders += [statements.dialect.figure_decoder(figure) for figure in query.figures]
        return _decoded(await self.fetch(query.model, sql, values), decoders)

    # --- writing ----------------------------------------------------------------------------

    async def insert(
        self, model: Model[E], rows: Sequence[Row], *, atomic: bool
    ) -> list[Row | ConflictError]:
        raise NotImplementedError

    async def replace(self, model: Model[E], row: Row, expected: int | None) -> E | None:
        raise NotImplementedError

    async def patch(self, update: Update[E]) -> E | None:
        raise NotImplementedError

    async def upsert(
        self, model: Model[E], rows: Sequence[Row], on: tuple[str, ...]
    ) -> list[tuple[E, bool]]:
        raise NotImplementedError

    async def update(self, update: Update[E]) -> int:
        sql, values = self.catalogue.statements.update(update, returning=False)

        async def work() -> int:
            try:
                return await self._execute(sql, values)
            except Exception as error:
                raise await self.refused_update(update, error) from error

        return await self.written(work, several=False)

    async def delete(self, model: Model[E], where: Predicate) -> int:
        sql, values = self.catalogue.statements.delete(model, where)

        async def work() -> int:
            try:
                return await self._execute(sql, values)
            except Exception as error:
                raise await self.refused_deletion(model, where, error) from error

        return await self.written(work, several=False)

    # --- transactions -----------------------------------------------------------------------

    async def begin(self, statements: Sequence[str]) -> None:
        await self.command(*statements)
        self.in_transaction = True
        self.undone = False
        self._guard_open = False

    async def commit(self) -> None:
        """Raises SerializationError and UnavailableError; nothing was kept then, unless lost."""
        if self.undone:
            await self.rollback()
            raise SerializationError(f"{self.catalogue.backend}: {_WORDS['clash']}")
        self.in_transaction = False
        await self._commit()

    async def rollback(self) -> None:
        self.in_transaction = self.undone = False
        await self.command("ROLLBACK")

    async def savepoint(self, depth: int) -> None:
        await self.command(f"SAVEPOINT holdfast_{depth}")
        self._guard_open = False

    async def release(self, depth: int) -> None:
        await self.command(f"RELEASE SAVEPOINT holdfast_{depth}")
        self._guard_open = False

    async def rollback_to(self, depth: int) -> None:
        await self.command(f"ROLLBACK TO SAVEPOINT holdfast_{depth}")
        await self.command(f"RELEASE SAVEPOINT holdfast_{depth}")
        self._guard_open = False

    def intruded(self) -> None:
        """Take note that a statement of somebody else's comes next on this connection.

        Raises SerializationError where the transaction is undone already.
        """
        if self.undone:
            raise self._gone()
        self._guard_open = False  # it may be released with a savepoint of theirs

    async def forget(self) -> None:
        """Undo whatever a cancelled call may have left open; after this all is decided."""
        self.under_way = None
        try:
            await self.rollback()
        except UnavailableError:
            self.lost = True
            self.connection.abandon()

    async def alive(self) -> bool:
        try:
            await self.connection.fetch("SELECT 1", ())
        except Exception as error:
            fault = self.connection.fault(error)
            if fault is None:
                raise
            return False
        return True

    async def written(self, work: Callable[[], Awaitable[T]], *, several: bool) -> T:
        """Do *work*, of one statement or *several*, whole or not at all."""
        if not self.in_transaction:
            if not several:
                return await work()
            await self.begin(("BEGIN",))
            try:
                result = await work()
            except Exception as error:
                self.kind(error)  # which finds out whether it was lost
                if not self.lost:
                    await self.rollback()
                self.in_transaction = False
                raise
            await self.commit()
            return result
        if several:
            return await self._inside("holdfast_batch", work)
        if not self.guards_each_write:
            return await work()
        # One savepoint moves along in front of the writes; at most one of them is ever open.
        renewed = ("RELEASE SAVEPOINT holdfast_guard",) if self._guard_open else ()
        await self.command(*renewed, "SAVEPOINT holdfast_guard")
        self._guard_open = True
        try:
            return await work()
        except Exception as error:
            if self._can_go_on(error):
                await self.command("ROLLBACK TO SAVEPOINT holdfast_guard")
            raise

    async def _inside(self, name: str, work: Callable[[], Awaitable[T]]) -> T:
        await self.command(f"SAVEPOINT {name}")
        self._guard_open = False
        try:
            result = await work()
        except Exception as error:
            if self._can_go_on(error):
                await self.command(f"ROLLBACK TO SAVEPOINT {name}", f"RELEASE SAVEPOINT {name}")
            self._guard_open = False
            raise
        await self.command(f"RELEASE SAVEPOINT {name}")
        self._guard_open = False
        return result

    def _can_go_on(self, error: Exception) -> bool:
        """Tell whether the transaction is still there after *error*."""
        gone = self.kind(error) == "clash" or isinstance(error, SerializationError)
        return not gone and not self.lost

    # --- running ----------------------------------------------------------------------------

    async def fetch(
        self, model: Model[Any], sql: str, values: Sequence[object]
    ) -> Sequence[Sequence[object]]:
        """Run a statement about *model*; its failure is raised as Holdfast's error."""
        try:
            return await self._fetch(sql, values)
        except Exception as error:
            raise self.classified(error, model) from error

    async def asked(self, sql: str) -> Sequence[Sequence[object]]:
        """Run a query about the database itself; a failure is raised as Holdfast's error."""
        try:
            return await self._fetch(sql, ())
        except Exception as error:
            raise self.classified(error) from error

    async def command(self, *statements: str) -> str:
        """Run statements without parameters; a failure is raised as Holdfast's error."""
        answer = ""
        try:
            for statement in self.batched(statements):
                answer = await self.watched(statement, self.connection.command(statement))
        except Exception as error:
            raise self.classified(error) from error
        return answer

    def batched(self, statements: Sequence[str]) -> Sequence[str]:
        """Return *statements* in as few texts as the server takes them in."""
        return statements

    async def _commit(self) -> None:
        await self.command("COMMIT")

    async def _fetch(self, sql: str, values: Sequence[object]) -> Sequence[Sequence[object]]:
        if self.undone:
            raise self._gone()
        if not self._watched:
            return await self.connection.fetch(sql, values)
        return await self.watched(sql, self.connection.fetch(sql, values))

    async def _execute(self, sql: str, values: Sequence[object]) -> int:
        return await self.watched(sql, self.connection.execute(sql, values))

    async def watched(self, sql: str, run: Coroutine[object, None, T]) -> T:
        """Return what *run*, which runs *sql*, returns, and log it where that is asked for."""
        if self.undone:
            run.close()
            raise self._gone()
        start = time.perf_counter()
        try:
            return await run
        finally:
            if self._watched:
                self._log(sql, time.perf_counter() - start)

    def _gone(self) -> SerializationError:
        # MariaDB would take what comes next as statements of their own.
        return SerializationError(f"{self.catalogue.backend}: {_WORDS['clash']}")

    def _log(self, sql: str, seconds: float) -> None:
        if self.catalogue.slow and seconds >= self.catalogue.slow:
            log.warning("slow statement, %.3f s: %s", seconds, sql)
        elif self.catalogue.echo:
            log.info("%.6f s: %s", seconds, sql)

    # --- what went wrong --------------------------------------------------------------------

    def meaning(self, fault: Fault) -> str:
        """Return what the code says, one of the words that `classified` knows; else ''."""
        raise NotImplementedError

    def kind(self, error: Exception) -> str:
        """Return the meaning of a driver's error; '' for a bug's and for Holdfast's own."""
        fault = self.connection.fault(error)
        if fault is None:
            return ""
        if fault.lost:
            self.lost = True
            return "lost"
        found = self.meaning(fault)
        self.lost |= found == "too large"  # the server hangs up after this
        return found

    def classified(self, error: Exception, model: Model[Any] | None = None) -> Exception:
        """Return Holdfast's error for a driver's; a bug's error as it is."""
        if isinstance(error, HoldfastError):
            return error
        found = self.kind(error)
        if found == "clash":
            self.undone = self.in_transaction
        if found in ("no table", "no column") and model is not None:
            missing = (
                f"the table {model.table} is missing"
                if found == "no table"
                else f"the table {model.table} lacks a column of {model.name}"
            )
            return SchemaMismatchError(f"the {self.catalogue.backend} database", (missing,))
        if found == "overflow" and model is not None:
            return InvalidValueError(model.name, "sum", "it is too large for its type")
        if found == "too deep":
            return UnsupportedError("a cascade of that many levels", self.catalogue.backend)
        if found == "too large":
            return UnsupportedError("a statement of this size", self.catalogue.backend)
        made = _ERRORS.get(found)
        return error if made is None else made(f"{self.catalogue.backend}: {_WORDS[found]}")

    async def refused_row(
        self, model: Model[E], error: Exception, row: Row, index: int | None
    ) -> Exception:
        """Return what kept *row* out."""
        raise NotImplementedError

    async def refused_update(self, update: Update[E], error: Exception) -> Exception:
        if self.kind(error) == "overflow":
            return overflow(update)
        return await self.refused_change(update, error)

    async def refused_change(self, update: Update[E], error: Exception) -> Exception:
        raise NotImplementedError

    async def refused_deletion(
        self, model: Model[E], where: Predicate, error: Exception
    ) -> Exception:
        raise NotImplementedError


_ERRORS: dict[str, Callable[[str], HoldfastError]] = {
    "lost": UnavailableError,
    "unavailable": UnavailableError,
    "clash": SerializationError,
    "lock timeout": LockTimeoutError,
    "stopped": UnavailableError,
    "read only": TransactionError,
    "aborted": TransactionError,
    "storage": StorageError,
    "refused": ConfigurationError,
}
_WORDS = {
    "lost": "the connection was lost; what was under way may have happened or not",
    "unavailable": "the server can't take more work now",
    "clash": "the transaction clashed with another one and was undone",
    "lock timeout": "a lock was not granted in time",
    "stopped": "the statement was stopped, by statement_timeout or by who runs the server",
    "read only": "a write in a read-only transaction",
    "aborted": "an earlier failure ended the transaction; roll it back",
    "storage": "the server's disk is full or failed",
    "refused": "the server refuses this user, password or database",
}


def _decoded(found: Sequence[Sequence[object]], decoders: Sequence[Codec]) -> list[Values]:
    return [
        tuple(
            value if decode is None or value is None else decode(value)
            for value, decode in zip(row, decoders, strict=True)
        )
        for row in found
    ]
