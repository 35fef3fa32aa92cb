"""SQLAlchemy's engines around a connection that Holdfast owns: they neither begin nor end.

Each is SQLAlchemy's own dialect for the driver, but for what would set up, commit, roll back or
close the connection, which its owner does.
"""

from __future__ import annotations

import inspect
import sqlite3
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

from holdfast.extras import needs_extra

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from holdfast.offload import Offload
    from holdfast.records.drivers.sql.connections.server_connection import ServerConnection

    Whole = Callable[[Awaitable[Any]], Awaitable[Any]]


class Lent:
    """What makes a dialect of SQLAlchemy's leave the connection's life to its owner."""

    undo_is_strict = False
    """A ROLLBACK outside of a transaction is an error."""

    @staticmethod
    def within(raw: Any) -> bool:
        """Tell, without asking, whether the driver's connection *raw* is in a transaction."""
        raise NotImplementedError

    def on_connect(self) -> Callable[[Any], None] | None:
        """Set nothing up: the owner has."""
        return None

    def do_begin(self, dbapi_connection: Any) -> None:
        """Leave it to the owner."""

    def do_commit(self, dbapi_connection: Any) -> None:
        """Leave it to the owner."""

    def do_rollback(self, dbapi_connection: Any) -> None:
        """Leave it to the owner."""

    def do_close(self, dbapi_connection: Any) -> None:
        """Leave it to the owner."""

    def do_terminate(self, dbapi_connection: Any) -> None:
        """Leave it to the owner."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """How SQLAlchemy speaks to one driver: its module, its dialect and what adapts an async one."""

    url: str
    module: str
    dialect: str
    within: Callable[[Any], bool]
    adapter: str = ""
    settings: Mapping[str, object] = field(default_factory=dict)


_KINDS = {
    "asyncpg": _Kind(
        "postgresql+asyncpg://",
        "sqlalchemy.dialects.postgresql.asyncpg",
        "PGDialect_asyncpg",
        lambda raw: bool(raw.is_in_transaction()),
        "AsyncAdapt_asyncpg_connection",
    ),
    "psycopg": _Kind(
        "postgresql+psycopg://",
        "sqlalchemy.dialects.postgresql.psycopg",
        "PGDialect_psycopg",
        lambda raw: bool(raw.pgconn.transaction_status),  # 0: idle
        settings={"use_native_hstore": False},
    ),
    "asyncmy": _Kind(
        "mysql+asyncmy://",
        "sqlalchemy.dialects.mysql.asyncmy",
        "MySQLDialect_asyncmy",
        lambda raw: bool(raw.get_transaction_status()),
        "AsyncAdapt_asyncmy_connection",
    ),
    "pymysql": _Kind(
        "mysql+pymysql://",
        "sqlalchemy.dialects.mysql.pymysql",
        "MySQLDialect_pymysql",
        lambda raw: bool(raw.server_status & 1),  # SERVER_STATUS_IN_TRANS
    ),
}


def engine_for(connection: ServerConnection, whole: Whole | None) -> sa.Engine:
    """Return an engine around *connection*; each of its calls is run by *whole*, if awaited.

    Raises ConfigurationError when greenlet is not there, by which SQLAlchemy awaits.
    """
    if whole is not None:
        _require_greenlet()
    kind = _KINDS[connection.driver]
    module = import_module(kind.module)
    dialect = _dialect_of(connection.driver)
    dbapi = dialect.import_dbapi()
    lent = connection.raw
    if kind.adapter:
        lent = getattr(module, kind.adapter)(dbapi, InTurn(lent, whole))
        if hasattr(lent, "_isolation_setting"):  # asyncpg's, which would begin
            lent.isolation_level = lent._isolation_setting = "autocommit"  # noqa: SLF001
    return _engine(dialect(dbapi=dbapi, **kind.settings), lent, kind.url)


@cache
def _dialect_of(driver: str) -> Any:
    kind = _KINDS[driver]
    base: Any = getattr(import_module(kind.module), kind.dialect)

    class Dialect(Lent, base):  # type: ignore[misc]
        supports_statement_cache = True

        @staticmethod
        def within(raw: Any) -> bool:
            return kind.within(raw)

    return Dialect


def sqlite_engine(raw: sqlite3.Connection, offload: Offload | None) -> sa.Engine:
    """Return an engine around *raw*, which lives on *offload*'s thread; None: on this one."""
    if offload is None:
        return _engine(_SQLite(dbapi=sqlite3), raw, "sqlite://")
    _require_greenlet()
    from holdfast.records.drivers.sql.sqlalchemy_bridge.threaded_sqlite import adapted  # noqa: PLC0415 - greenlet

    dialect = _SQLite(dbapi=sqlite3)
    dialect.is_async = True
    return _engine(dialect, adapted(raw, offload), "sqlite://")


def _require_greenlet() -> None:
    with needs_extra("orm", "awaiting SQLAlchemy"):
        import greenlet  # type: ignore[import-untyped]  # noqa: F401, PLC0415 - an extra


def _engine(dialect: Any, connection: Any, url: str) -> sa.Engine:
    pool = sa.pool.StaticPool(lambda: connection, dialect=dialect, reset_on_return=None)
    return sa.Engine(pool, dialect, sa.make_url(url))


class _SQLite(Lent, SQLiteDialect_pysqlite):  # type: ignore[misc]  # pyright: ignore[reportIncompatibleMethodOverride]
    supports_statement_cache = True

    undo_is_strict = True

    @staticmethod
    def within(raw: Any) -> bool:
        return bool(raw.in_transaction)


_OPENING = ("prepare", "__aenter__")
"""What gives another object of the driver's."""


class InTurn:
    """A driver's object whose awaited calls are run by *whole*: in turn, and never cut short."""

    def __init__(self, raw: Any, whole: Whole | None) -> None:
        self._raw = raw
        self._whole = whole

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._raw, name)
        if self._whole is None or not callable(found):
            return found
        whole = self._whole

        def call(*args: Any, **kwargs: Any) -> Any:
            result = found(*args, **kwargs)
            if name == "cursor":
                return InTurn(result, whole)
            if not inspect.isawaitable(result):
                return result

            async def awaited() -> Any:
                answer = await whole(result)
                if answer is self._raw:
                    return self
                return InTurn(answer, whole) if name in _OPENING else answer

            return awaited()

        return call
