"""Engines of SQLAlchemy's around one connection that is ours: they neither begin nor end.

Each is SQLAlchemy's own dialect for the driver, but for what would set up, commit, roll back or
close the connection, which its owner does.
"""

from __future__ import annotations

import inspect
import sqlite3
from importlib import import_module
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

from holdfast.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from holdfast.offload import Offload
    from holdfast.records.drivers.sql.link import Connection

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
        return None

    def do_begin(self, dbapi_connection: Any) -> None: ...

    def do_commit(self, dbapi_connection: Any) -> None: ...

    def do_rollback(self, dbapi_connection: Any) -> None: ...

    def do_close(self, dbapi_connection: Any) -> None: ...

    def do_terminate(self, dbapi_connection: Any) -> None: ...


def engine_for(connection: Connection, whole: Whole | None) -> sa.Engine:
    """Return an engine around *connection*; each of its calls is run by *whole*, if awaited.

    Raises ConfigurationError when greenlet is not there, by which SQLAlchemy awaits.
    """
    if whole is not None:
        _require_greenlet()
    return _MAKERS[connection.driver](connection.raw, whole)


def sqlite_engine(raw: sqlite3.Connection, offload: Offload | None) -> sa.Engine:
    """Return an engine around *raw*, which lives on *offload*'s thread; None: on this one."""
    if offload is None:
        return _engine(_SQLite(dbapi=sqlite3), raw, "sqlite://")
    _require_greenlet()
    from holdfast.records.drivers.sql.lending.threaded import adapted  # noqa: PLC0415 - greenlet

    dialect = _SQLite(dbapi=sqlite3)
    dialect.is_async = True
    return _engine(dialect, adapted(raw, offload), "sqlite://")


def _require_greenlet() -> None:
    try:
        import greenlet  # type: ignore[import-untyped]  # noqa: F401, PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "SQLAlchemy awaits by greenlet: install holdfast with the extra 'orm'"
        ) from error


def _engine(dialect: Any, connection: Any, url: str) -> sa.Engine:
    pool = sa.pool.StaticPool(lambda: connection, dialect=dialect, reset_on_return=None)
    return sa.Engine(pool, dialect, sa.make_url(url))


class _SQLite(Lent, SQLiteDialect_pysqlite):  # type: ignore[misc]  # pyright: ignore[reportIncompatibleMethodOverride]
    supports_statement_cache = True

    undo_is_strict = True

    @staticmethod
    def within(raw: Any) -> bool:
        return bool(raw.in_transaction)


def _asyncpg(raw: Any, whole: Whole | None) -> sa.Engine:
    asyncpg: Any = import_module("sqlalchemy.dialects.postgresql.asyncpg")

    class Dialect(Lent, asyncpg.PGDialect_asyncpg):  # type: ignore[misc]
        supports_statement_cache = True

        @staticmethod
        def within(raw: Any) -> bool:
            return bool(raw.is_in_transaction())

    dbapi = Dialect.import_dbapi()
    adapted = asyncpg.AsyncAdapt_asyncpg_connection(dbapi, InTurn(raw, whole))
    adapted.isolation_level = adapted._isolation_setting = "autocommit"  # noqa: SLF001 - it would begin
    dialect: Any = Dialect
    return _engine(dialect(dbapi=dbapi), adapted, "postgresql+asyncpg://")


def _psycopg(raw: Any, _whole: Whole | None) -> sa.Engine:
    psycopg: Any = import_module("sqlalchemy.dialects.postgresql.psycopg")

    class Dialect(Lent, psycopg.PGDialect_psycopg):  # type: ignore[misc]
        supports_statement_cache = True

        @staticmethod
        def within(raw: Any) -> bool:
            return bool(raw.pgconn.transaction_status)  # 0: idle

    dialect: Any = Dialect
    made = dialect(dbapi=Dialect.import_dbapi(), use_native_hstore=False)
    return _engine(made, raw, "postgresql+psycopg://")


def _asyncmy(raw: Any, whole: Whole | None) -> sa.Engine:
    asyncmy: Any = import_module("sqlalchemy.dialects.mysql.asyncmy")

    class Dialect(Lent, asyncmy.MySQLDialect_asyncmy):  # type: ignore[misc]
        supports_statement_cache = True

        @staticmethod
        def within(raw: Any) -> bool:
            return bool(raw.get_transaction_status())

    dbapi = Dialect.import_dbapi()
    adapted = asyncmy.AsyncAdapt_asyncmy_connection(dbapi, InTurn(raw, whole))
    dialect: Any = Dialect
    return _engine(dialect(dbapi=dbapi), adapted, "mysql+asyncmy://")


def _pymysql(raw: Any, _whole: Whole | None) -> sa.Engine:
    pymysql: Any = import_module("sqlalchemy.dialects.mysql.pymysql")

    class Dialect(Lent, pymysql.MySQLDialect_pymysql):  # type: ignore[misc]
        supports_statement_cache = True

        @staticmethod
        def within(raw: Any) -> bool:
            return bool(raw.server_status & 1)  # SERVER_STATUS_IN_TRANS

    dialect: Any = Dialect
    return _engine(dialect(dbapi=Dialect.import_dbapi()), raw, "mysql+pymysql://")


_MAKERS: dict[str, Callable[[Any, Whole | None], sa.Engine]] = {
    "asyncpg": _asyncpg,
    "psycopg": _psycopg,
    "asyncmy": _asyncmy,
    "pymysql": _pymysql,
}


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
