"""PostgreSQL as migrations reach it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from holdfast.errors import LockTimeoutError, UnavailableError
from holdfast.extras import needs_extra
from holdfast.records.drivers.sql.connections.encryption import encryption, is_this_machine
from holdfast.records.drivers.sql.failure import FailureKind, sqlstate_failure
from holdfast.records.drivers.sql.migrations.column_types import DIALECTS
from holdfast.records.drivers.sql.migrations.server_database import FOREVER, ServerDatabase, busy
from holdfast.records.drivers.sql.postgresql import SCHEMA_LOCK, schema_creation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from holdfast.records.options import PostgreSQLOptions


class PostgreSQLDatabase(ServerDatabase):
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
                "connect_timeout": max(1, round(options.connect_timeout or FOREVER)),
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
                raise busy(wait) from error
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
