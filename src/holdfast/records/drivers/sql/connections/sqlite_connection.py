"""SQLite connections: how they are opened and set up, and what runs on each of them.

Under the async API a connection lives on a thread of its own, and `SQLiteConnection`'s plain
methods run there: code that awaits hands them to its `offload`.
"""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from holdfast.errors import ConflictError, LockTimeoutError, StorageError
from holdfast.records.drivers.sql.connections import sqlite_forking as forking
from holdfast.records.drivers.sql.executors.sqlite_executor import SQLiteExecutor
from holdfast.records.drivers.sql.failure import FailureKind, sqlite_error, sqlite_failure
from holdfast.records.drivers.sql.sqlite_functions import add_functions

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from holdfast.offload import Lock, Offload
    from holdfast.records.drivers.sql.statements.store_statements import StoreStatements
    from holdfast.records.options import SQLiteOptions

T = TypeVar("T")
P = ParamSpec("P")

_OWNER_ALONE = 0o600
_OPENING_PAUSE = 0.01  # seconds between attempts to switch a busy new file to WAL
_BUSY_LOOKS = 5
"""Milliseconds after which a writer begins to wait again for one of another process.

SQLite looks after 1, 2, 2, 5, 10 ... up to 100 ms, and between two looks a busy writer frees the
lock and takes it many times: who waited for some time gets it last of all. Begun again each time,
the looks stay 2 ms apart at the most.
"""


def connect(path: Path, options: SQLiteOptions, *, read_only: bool) -> sqlite3.Connection:
    """Open the file at *path*, created when missing. Raises StorageError, LockTimeoutError."""
    if options.private:
        _make_private(path)
    try:
        connection = sqlite3.connect(
            path,
            timeout=options.lock_timeout,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=512,
        )
    except sqlite3.Error as error:
        raise sqlite_error(error) from error
    try:
        _set_up(connection, options, read_only=read_only)
    except sqlite3.Error as error:
        connection.close()
        raise sqlite_error(error) from error
    except BaseException:
        connection.close()
        raise
    return connection


def _make_private(path: Path) -> None:
    """Make the file, empty, if it is not there; SQLite gives those beside it the same mode.

    One that is there is not even opened: to close it would end every lock that this process has.
    """
    try:
        os.close(
            os.open(os.path.realpath(path), os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ALONE)
        )
    except FileExistsError:
        return
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}") from error


def _set_up(connection: sqlite3.Connection, options: SQLiteOptions, *, read_only: bool) -> None:
    deadline = time.monotonic() + options.lock_timeout
    while True:
        # Two processes that open a new file at once: SQLite refuses one of them at once.
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            break
        except sqlite3.OperationalError as error:
            failure = sqlite_failure(error)
            if failure is None or failure.kind is not FailureKind.LOCK_TIMEOUT:
                raise
            if time.monotonic() > deadline:
                raise LockTimeoutError("the database is held by another process") from error
            time.sleep(_OPENING_PAUSE)
    connection.execute(f"PRAGMA synchronous = {options.synchronous}")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA temp_store = MEMORY")
    if read_only:
        connection.execute("PRAGMA query_only = ON")
    add_functions(connection)


class SQLiteConnection:
    """A connection, the executor on it, and the *offload* where it lives.

    Savepoints: SQLite undoes a failed statement alone and keeps the transaction, so none stands
    in front of a write; only a batch has one around it (`SQLiteExecutor`). Those of the user are
    named by their depth. A caller that is cancelled while one is opened never entered it, but the
    statement may have run: `SQLiteTransaction.savepoint` then releases it, after that statement,
    as the thread takes calls in their order.
    """

    executor: SQLiteExecutor
    """What runs on it; there is one from `open` on."""

    def __init__(self, offload: Offload) -> None:
        self.offload = offload
        self._open = self._closed = False
        self._patience = 0.0
        forking.watch(self)

    async def open(
        self,
        path: Path,
        options: SQLiteOptions,
        statements: StoreStatements,
        *,
        read_only: bool,
    ) -> None:
        """Connect to the file at *path*. Raises StorageError, LockTimeoutError."""
        await self.offload.run(self.connect, path, options, statements, read_only=read_only)

    async def close(self) -> None:
        """Close the connection, and let its thread end. Idempotent."""
        try:
            if not self._closed:
                self._closed = True
                await self.offload.run(self._disconnect)
        finally:
            self.offload.close()

    @property
    def raw(self) -> sqlite3.Connection | None:
        """SQLite's connection, None when it is not open."""
        return self.executor.connection if self._open and not self._closed else None

    # --- run where the connection lives -----------------------------------------------------

    def connect(
        self,
        path: Path,
        options: SQLiteOptions,
        statements: StoreStatements,
        *,
        read_only: bool,
    ) -> None:
        """Connect, in the thread that calls. Raises StorageError, LockTimeoutError."""
        self._patience = options.lock_timeout
        self.executor = SQLiteExecutor(connect(path, options, read_only=read_only), statements)
        self._open = True  # kept even for a caller who was cancelled, so that `close` closes it
        if not read_only and options.lock_timeout:
            self.execute(f"PRAGMA busy_timeout = {_BUSY_LOOKS}")

    def _disconnect(self) -> None:
        if self._open:
            self.executor.connection.close()

    def begin(self, statement: str) -> None:
        """Begin a transaction; a plain BEGIN takes its snapshot at once."""
        self._once_free(self.execute, statement)
        if statement == "BEGIN":
            # A snapshot is taken at the first read, and this is it.
            self.execute("SELECT 1 FROM sqlite_master LIMIT 1")

    def end(self, statement: str) -> None:
        """COMMIT or ROLLBACK; a commit that fails leaves nothing."""
        try:
            self.execute(statement)
        except BaseException:
            self.abandon()
            raise

    def alone(
        self,
        verb: Callable[Concatenate[SQLiteExecutor, P], T],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Return what *verb* returns, done as a transaction of its own."""
        self.begin("BEGIN IMMEDIATE")
        try:
            result = verb(self.executor, *args, **kwargs)
        except BaseException:
            self.abandon()
            raise
        self.end("COMMIT")
        return result

    def single(
        self,
        verb: Callable[Concatenate[SQLiteExecutor, P], T],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Return what *verb* returns, of one statement at the most, which commits by itself.

        A statement that is refused changed nothing. It is done again as a transaction, so that
        nobody takes away what refused it before that is named.
        """
        with suppress(ConflictError):
            return self._once_free(verb, self.executor, *args, **kwargs)
        return self.alone(verb, *args, **kwargs)

    def _once_free(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what *call* returns, whose first statement waits for writers elsewhere.

        Raises LockTimeoutError when they hold the file for longer than `lock_timeout`.
        """
        deadline = time.monotonic() + self._patience
        while True:
            try:
                return call(*args, **kwargs)
            except LockTimeoutError:
                if time.monotonic() >= deadline:
                    raise

    def abandon(self) -> None:
        """Undo the open transaction, if there is one."""
        if self.executor.connection.in_transaction:
            self.executor.connection.execute("ROLLBACK")

    def execute(self, statement: str) -> None:
        """Run a statement without values; a failure is raised as Holdfast's error."""
        try:
            self.executor.connection.execute(statement)
        except sqlite3.Error as error:
            raise sqlite_error(error) from error


class SQLiteWriter:
    """The connection that writes, and the lock that gives it to one transaction at a time.

    The lock is the process's own: a writer in another process is waited for by SQLite itself.
    """

    def __init__(self, connection: SQLiteConnection, lock: Lock) -> None:
        self.connection = connection
        self._lock = lock

    async def begin(self) -> None:
        """Begin a transaction. Raises LockTimeoutError; the lock is free then.

        A caller that is cancelled does not know whether BEGIN ran: what it may have begun is
        undone behind it on the thread, before the next holder of the lock can use the connection.
        """
        await self._lock.acquire()
        connection = self.connection
        try:
            await connection.offload.run(connection.begin, "BEGIN IMMEDIATE")
        except BaseException:
            connection.offload.post(connection.abandon)
            self._lock.release()
            raise

    async def end(self, statement: str) -> None:
        """End the transaction, by COMMIT or ROLLBACK, and let the next one begin."""
        try:
            await self.connection.offload.run(self.connection.end, statement)
        finally:
            self._lock.release()

    async def run(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what *call* returns, run where the connection lives, with the lock held."""
        await self._lock.acquire()
        try:
            return await self.connection.offload.run(call, *args, **kwargs)
        finally:
            self._lock.release()
