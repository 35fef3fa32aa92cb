"""MariaDB and MySQL as migrations reach them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar, cast

import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from holdfast.errors import LockTimeoutError, UnavailableError
from holdfast.extras import needs_extra
from holdfast.records.drivers.sql.connections.encryption import encryption
from holdfast.records.drivers.sql.connections.mysql_connection import MARIADB, MYSQL, SessionStart
from holdfast.records.drivers.sql.dialects.mariadb import MariaDBDialect
from holdfast.records.drivers.sql.dialects.mysql import MySQLDialect
from holdfast.records.drivers.sql.failure import (
    FailureKind,
    connect_error,
    errno_failure,
    is_refused_errno,
    is_unreached_errno,
)
from holdfast.records.drivers.sql.mariadb import MariaDBServer
from holdfast.records.drivers.sql.migrations.column_types import DIALECTS
from holdfast.records.drivers.sql.migrations.server_database import FOREVER, ServerDatabase, busy
from holdfast.records.drivers.sql.mysql import MySQLServer, read_public_key
from holdfast.records.drivers.sql.mysql_family_server import database_creation

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from holdfast.records.drivers.sql.connections.mysql_connection import Product
    from holdfast.records.drivers.sql.connections.server_address import ServerAddress
    from holdfast.records.drivers.sql.statements.dialect import Dialect
    from holdfast.records.options import MySQLOptions


class _MySQLFamilyDatabase(ServerDatabase):
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
        patience = max(1, round(options.lock_timeout)) if options.lock_timeout else FOREVER
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
            options.connect_timeout or FOREVER,
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
                raise busy(wait)
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
