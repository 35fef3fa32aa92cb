"""The databases as migrations reach them: by SQLAlchemy's engine, one migration at a time."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy.exc import DBAPIError

from holdfast.backend_url import file_path, options_for
from holdfast.errors import ConfigurationError, UnsupportedError
from holdfast.records.drivers.sql.connections.cleartext import CleartextRefusedError
from holdfast.records.drivers.sql.connections.server_address import server_addresses
from holdfast.records.drivers.sql.migrations.mysql_family_database import (
    MariaDBDatabase,
    MySQLDatabase,
)
from holdfast.records.drivers.sql.migrations.postgresql_database import PostgreSQLDatabase
from holdfast.records.drivers.sql.migrations.sqlite_database import SQLiteDatabase
from holdfast.records.options import MariaDBOptions, MySQLOptions, PostgreSQLOptions, SQLiteOptions
from holdfast.records.store_url import parse_store_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    import sqlalchemy as sa

    from holdfast.records.drivers.sql.statements.dialect import Dialect


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
