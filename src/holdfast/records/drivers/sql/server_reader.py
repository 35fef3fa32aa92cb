"""One connection to a server: its statements, its transactions, its failures."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, TypeVar

from holdfast.errors import (
    HoldfastError,
    SerializationError,
    UnavailableError,
)
from holdfast.records.drivers.sql.failures import error_of, undone

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Coroutine, Sequence

    from holdfast.records.drivers.sql.server_connection import Connection, Fault
    from holdfast.records.drivers.sql.store_statements import StoreStatements
    from holdfast.records.model import Model

T = TypeVar("T")

log = logging.getLogger("holdfast.records.sql")


class Catalogue:
    """What all connections of a store share."""

    def __init__(self, statements: StoreStatements, backend: str) -> None:
        self.models = statements.models
        self.statements = statements
        self.writes = statements.writes
        self.backend = backend
        self.echo = False
        self.slow = 0.0


class ServerSession:
    """Runs statements on one connection, whole or not at all.

    Awaited; under a blocking driver nothing of it ever suspends.
    """

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
            raise undone(self.catalogue.backend)
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
        return undone(self.catalogue.backend)

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
        return error_of(found, self.catalogue.backend, model) or error
