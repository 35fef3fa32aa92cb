"""The databases as migrations reach them: by SQLAlchemy's engine, one migration at a time."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, cast

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import NullPool

from holdfast.backend_url import file_path, options_for
from holdfast.errors import (
    ConfigurationError,
    LockTimeoutError,
    StorageError,
    UnavailableError,
    UnsupportedError,
)
from holdfast.extras import needs_extra
from holdfast.records.drivers.sql.connections.cleartext import CleartextRefusedError
from holdfast.records.drivers.sql.connections.encryption import encryption, is_this_machine
from holdfast.records.drivers.sql.connections.mysql_connection import MARIADB, MYSQL, SessionStart
from holdfast.records.drivers.sql.connections.server_address import ServerAddress, server_addresses
from holdfast.records.drivers.sql.connections.sqlite_connection import connect
from holdfast.records.drivers.sql.dialects.mariadb import MariaDBDialect
from holdfast.records.drivers.sql.dialects.mysql import MySQLDialect
from holdfast.records.drivers.sql.failure import (
    FailureKind,
    connect_error,
    errno_failure,
    is_refused_errno,
    is_unreached_errno,
    sqlite_error,
    sqlstate_failure,
)
from holdfast.records.drivers.sql.mariadb import MariaDBServer
from holdfast.records.drivers.sql.migrations.column_types import DIALECTS
from holdfast.records.drivers.sql.mysql import MySQLServer, read_public_key
from holdfast.records.drivers.sql.mysql_family_server import database_creation
from holdfast.records.drivers.sql.postgresql import SCHEMA_LOCK, schema_creation
from holdfast.records.entities.identifiers import check_schema
from holdfast.records.options import (
    MariaDBOptions,
    MySQLOptions,
    PostgreSQLOptions,
    SQLiteOptions,
)
from holdfast.records.store_url import parse_store_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from holdfast.records.drivers.sql.connections.mysql_connection import Product
    from holdfast.records.drivers.sql.statements.dialect import Dialect
    from holdfast.records.options import PoolOptions

_FOREVER = 31_536_000  # seconds


class Database(Protocol):
    """One database whose structure migrations change."""

    undoes_structure: bool
    """A rollback undoes changes of structure too."""

    @property
    def dialect(self) -> Dialect:
        """The SQL that it understands."""
        ...

    def engine(self, *, writing: bool) -> sa.Engine:
        """Return an engine whose connections are not kept; *writing* is for migrations."""
        ...

    def alone(self, wait: float) -> AbstractContextManager[None]:
        """Keep other processes' migrations out, waiting *wait* seconds at the most for theirs.

        Raises LockTimeoutError, UnavailableError.
        """
        ...

    def before(self, connection: sa.Connection) -> Callable[[], None]:
        """Begin; return what is to be called before the migrations are committed."""
        ...

    @property
    def home(self) -> str | None:
        """What the database calls the schema of the URL; None where it is not to be named."""
        ...

    def entering(self) -> Sequence[str]:
        """Return the statements by which a session goes into the schema of the URL, made or not."""
        ...

    def meaning(self, error: Exception) -> Exception | None:
        """Return Holdfast's error for a driver's that says nothing about the migration."""
        ...


def database_at(url: str) -> Database:
    """Return the database at *url*. Raises ConfigurationError, UnsupportedError for memory:// and dynamodb://."""
    location = parse_store_url(url)
    match location.scheme:
        case "sqlite":
            options = options_for(location, SQLiteOptions())
            if options.schema:
                raise UnsupportedError("migrations of a store with a schema of its own", "sqlite")
            return SQLiteDatabase(file_path(location), options)
        case "postgresql":
            places, rest = server_addresses(location, port=5432, user="postgres")
            return PostgreSQLDatabase(places, options_for(rest, PostgreSQLOptions()))
        case "memory" | "dynamodb":
            raise UnsupportedError("migrations", location.scheme)
        case "mysql":
            places, rest = server_addresses(location, port=3306, user="root")
            return MySQLDatabase(places, options_for(rest, MySQLOptions()))
        case _:
            places, rest = server_addresses(location, port=3306, user="root")
            return MariaDBDatabase(places, options_for(rest, MariaDBOptions()))


class SQLiteDatabase:
    """See `Database`. Its one lock for writers keeps other migrations out as well."""

    undoes_structure = True
    home = None
    dialect = DIALECTS["sqlite"]

    def __init__(self, path: Path, options: SQLiteOptions) -> None:
        self._path = path
        self._options = options
        self._wait = options.lock_timeout

    def engine(self, *, writing: bool) -> sa.Engine:
        """See `Database`."""
        options = SQLiteOptions(max(self._wait, self._options.lock_timeout))

        def opened() -> sqlite3.Connection:
            connection = connect(self._path, options, read_only=not writing)
            # A table that is copied is dropped, which must not reach the rows that point at it.
            # It can't be turned off inside a transaction; `before` looks at all references.
            connection.execute("PRAGMA foreign_keys = OFF")
            return connection

        engine = sa.create_engine("sqlite://", creator=opened, poolclass=NullPool)
        begin = "BEGIN IMMEDIATE" if writing else "BEGIN"
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
        return engine

    @contextmanager
    def alone(self, wait: float) -> Iterator[None]:
        """See `Database`."""
        self._wait = wait
        yield

    def before(self, connection: sa.Connection) -> Callable[[], None]:
        """See `Database`."""
        numbers = _sequences(connection)

        def look() -> None:
            # A copied table has forgotten the keys of rows that were deleted.
            for table, number in numbers.items():
                connection.exec_driver_sql(
                    "UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = ?", (number, table)
                )
            broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchmany(1)
            for table, _row, target, _number in broken:
                raise DanglingError(f"rows of {table} would point at no row of {target}")

        return look

    def entering(self) -> Sequence[str]:
        """See `Database`: a schema is a part of the names, and the URL names none."""
        return ()

    def meaning(self, error: Exception) -> Exception | None:
        """See `Database`."""
        if not isinstance(error, sqlite3.Error):
            return None
        known = sqlite_error(error)
        return known if isinstance(known, (UnavailableError, StorageError)) else None


class DanglingError(Exception):
    """After the migrations, references would point at no row."""


def _sequences(connection: sa.Connection) -> dict[str, int]:
    query = "SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'"
    if connection.exec_driver_sql(query).scalar() is None:
        return {}
    rows = connection.exec_driver_sql("SELECT name, seq FROM sqlite_sequence").all()
    return {str(name): int(number or 0) for name, number in rows}


class _ServerDatabase:
    """What the servers share."""

    def __init__(self, places: Sequence[ServerAddress], options: PoolOptions) -> None:
        options.check()
        self._places = places
        self._options = options

    @property
    def _where(self) -> str:
        return ", ".join(map(str, self._places))

    def before(self, connection: sa.Connection) -> Callable[[], None]:  # noqa: ARG002
        """See `Database`."""
        return lambda: None

    @property
    def _schema(self) -> str:
        """That of the URL, which the session is in."""
        if self._options.schema:
            check_schema("the store", self._options.schema)
        return self._options.schema


class PostgreSQLDatabase(_ServerDatabase):
    """See `Database`."""

    undoes_structure = True
    home = None
    dialect = DIALECTS["postgresql"]

    def engine(self, *, writing: bool) -> sa.Engine:  # noqa: ARG002
        """See `Database`."""
        options = cast("PostgreSQLOptions", self._options)
        with needs_extra("postgresql", "a migration"):
            from holdfast.records.drivers.sql.connections.psycopg_connection import (
                libpq_arguments,
                libpq_options,
            )
        # libpq chooses among several hosts itself; one that is elsewhere decides for all.
        elsewhere = [place for place in self._places if not is_this_machine(place.host)]
        chosen = (elsewhere or self._places)[0]
        several = len(self._places) > 1
        schema = self._schema
        path = f'"{schema}"' if schema and not options.pgbouncer else options.search_path
        target = "read-write" if options.target_session_attrs == "any" and several else None
        engine = sa.create_engine(
            "postgresql+psycopg://",
            poolclass=NullPool,
            connect_args={
                **libpq_arguments(chosen, encryption(options, chosen.host)),
                "host": ",".join(place.host for place in self._places),
                "port": ",".join(str(place.port) for place in self._places),
                "target_session_attrs": target or options.target_session_attrs,
                "connect_timeout": max(1, round(options.connect_timeout or _FOREVER)),
                "prepare_threshold": None,
                "application_name": "holdfast migrate",
                "options": libpq_options({"search_path": path}),
            },
        )
        limit = round(options.lock_timeout * 1000)

        @event.listens_for(engine, "begin")
        def _begun(connection: sa.Connection) -> None:
            # For the transaction alone, as PgBouncer may give the session to somebody else.
            settings = [f"lock_timeout = {limit}", "statement_timeout = 0", "TIME ZONE 'UTC'"]
            if schema:
                settings.append(f'search_path = "{schema}"')
            for setting in settings:
                connection.exec_driver_sql(f"SET LOCAL {setting}")

        return engine

    def before(self, connection: sa.Connection) -> Callable[[], None]:
        """See `Database`."""
        if self._schema:
            connection.exec_driver_sql(schema_creation(self._schema))
        return super().before(connection)

    def entering(self) -> Sequence[str]:
        """See `Database`."""
        schema = self._schema
        return (schema_creation(schema), f'SET search_path = "{schema}"') if schema else ()

    @contextmanager
    def alone(self, wait: float) -> Iterator[None]:
        """See `Database`."""
        engine = self.engine(writing=True)
        # Held by a transaction of its own, so that a migration may commit in between.
        with engine.connect() as connection, connection.begin():
            connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {max(1, round(wait * 1000))}")
            try:
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({SCHEMA_LOCK})")
            except OperationalError as error:
                code = str(getattr(error.orig, "sqlstate", ""))
                if sqlstate_failure(code).kind is not FailureKind.LOCK_TIMEOUT:
                    raise
                raise _busy(wait) from error
            yield

    def meaning(self, error: Exception) -> Exception | None:
        """See `Database`."""
        from holdfast.records.drivers.sql.connections.psycopg_connection import unreachable

        code = getattr(error, "sqlstate", "")
        if sqlstate_failure(str(code)).kind is FailureKind.LOCK_TIMEOUT:
            return LockTimeoutError("postgresql: a lock was not granted in time")
        if code is None and getattr(error, "pgconn", None) is not None and len(self._places) == 1:
            (place,) = self._places
            return unreachable(error, place, encryption(self._options, place.host))
        if code is None or str(code).startswith(("08", "57P", "53")):
            return UnavailableError(f"PostgreSQL at {self._where}: {error}")
        return None


class _MySQLFamilyDatabase(_ServerDatabase):
    """What MariaDB and MySQL share."""

    undoes_structure = False
    dialect: ClassVar[Dialect]
    product: ClassVar[Product]
    sql_mode: ClassVar[str]
    isolation: ClassVar[str]
    """The variable that has a session's isolation level."""
    collation: ClassVar[str]

    def public_key(self) -> bytes | None:
        """Return the RSA key by which the server is known, if it is."""
        return None

    @property
    def home(self) -> str | None:
        """See `Database`."""
        return self._schema or self._places[0].database

    def entering(self) -> Sequence[str]:
        """See `Database`."""
        schema = self._schema
        return (database_creation(schema, self.collation), f"USE `{schema}`") if schema else ()

    def engine(self, *, writing: bool) -> sa.Engine:
        """See `Database`."""
        options, entering = self._options, self.entering()
        patience = max(1, round(options.lock_timeout)) if options.lock_timeout else _FOREVER
        settings = {
            "sql_mode": f"'{self.sql_mode}'",
            "time_zone": "'+00:00'",
            self.isolation: "'READ-COMMITTED'",
            "innodb_lock_wait_timeout": patience,
            "lock_wait_timeout": patience,
        }
        greeting = ", ".join(f"{name} = {value}" for name, value in settings.items())
        start = SessionStart(
            self.product,
            f"SET {greeting}",
            "holdfast migrate",
            options.connect_timeout or _FOREVER,
            self.public_key(),
        )
        with needs_extra(self.product.scheme, "a migration"):
            import pymysql

            from holdfast.records.drivers.sql.connections.pymysql_connection import open_raw

        def connect(place: ServerAddress) -> pymysql.Connection:
            connection = open_raw(place, encryption(options, place.host), start)
            try:
                with connection.cursor() as cursor:
                    for statement in entering if writing else entering[1:]:
                        cursor.execute(statement)
            except BaseException:
                connection.close()
                raise
            return connection

        def connect_to_one_that_writes() -> pymysql.Connection:
            for place in self._places[:-1]:
                try:
                    connection = connect(place)
                except pymysql.OperationalError as error:
                    if not is_unreached_errno(error.args[0]):
                        raise
                    continue
                with connection.cursor() as cursor:
                    cursor.execute("SELECT @@global.read_only")
                    if cursor.fetchone() == (0,):
                        return connection
                connection.close()
            return connect(self._places[-1])

        return sa.create_engine(
            f"{self.product.scheme}+pymysql://",
            poolclass=NullPool,
            creator=connect_to_one_that_writes,
        )

    @contextmanager
    def alone(self, wait: float) -> Iterator[None]:
        """See `Database`."""
        with self.engine(writing=True).connect() as connection:
            # MySQL has no MD5 from 9.6 on, and a lock's name 64 characters at the most.
            name = "CONCAT('holdfast ', LEFT(SHA2(DATABASE(), 256), 32))"
            if connection.scalar(sa.text(f"SELECT GET_LOCK({name}, :wait)"), {"wait": wait}) != 1:
                raise _busy(wait)
            yield  # the lock goes with the connection

    def meaning(self, error: Exception) -> Exception | None:
        """See `Database`."""
        code = error.args[0] if error.args else None
        kind = errno_failure(code).kind if isinstance(code, int) else FailureKind.UNKNOWN
        if kind is FailureKind.LOCK_TIMEOUT:
            return LockTimeoutError(f"{self.product.scheme}: a lock was not granted in time")
        where = f"{self.product.name} at {self._where}"
        if is_refused_errno(code):
            (place, *_others) = self._places
            return connect_error(self.product.name, place, refused=True, code=code)
        if kind in (FailureKind.LOST, FailureKind.UNAVAILABLE) or is_unreached_errno(code):
            return UnavailableError(f"{where}: {error}")
        return None


class MariaDBDatabase(_MySQLFamilyDatabase):
    """See `Database`."""

    dialect = DIALECTS["mariadb"]
    product = MARIADB
    sql_mode = MariaDBServer.sql_mode
    isolation = "tx_isolation"
    collation = MariaDBDialect.collation


class MySQLDatabase(_MySQLFamilyDatabase):
    """See `Database`."""

    dialect = DIALECTS["mysql"]
    product = MYSQL
    sql_mode = MySQLServer.sql_mode
    isolation = "transaction_isolation"
    collation = MySQLDialect.collation

    def public_key(self) -> bytes | None:
        """See `_MySQLFamilyDatabase`."""
        return read_public_key(cast("MySQLOptions", self._options))


def _busy(wait: float) -> LockTimeoutError:
    return LockTimeoutError(f"another migration is under way; waited {wait} s, nothing was done")


@contextmanager
def reached(database: Database) -> Iterator[None]:
    """Raise what is wrong with the way to the database, and not with what was asked of it."""
    try:
        yield
    except CleartextRefusedError as error:
        raise ConfigurationError(str(error)) from error
    except DBAPIError as error:
        original: Any = error.orig
        known = database.meaning(original)
        raise (known or error) from error


def refusal(error: Exception) -> str:
    """Return what the database said, in one line."""
    if isinstance(error, DBAPIError):
        said = " ".join(str(error.orig).split())
        return f"{said} in {' '.join(str(error.statement).split())}"
    return str(error)
