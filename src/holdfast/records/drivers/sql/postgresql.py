"""PostgreSQL as a server: how to reach it, begin there, and make its tables."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any, cast

import sqlalchemy as sa

from holdfast.errors import ConfigurationError
from holdfast.records.driver import StoreCapability
from holdfast.records.drivers.sql.connections.encryption import advised, encryption
from holdfast.records.drivers.sql.connections.host_choice import connect_to_first, in_turn
from holdfast.records.drivers.sql.connections.server_connection import connection_module
from holdfast.records.drivers.sql.dialects.postgresql import FOLDS, LOWERED, PostgreSQLDialect
from holdfast.records.drivers.sql.executors.postgresql_executor import PostgreSQLExecutor
from holdfast.records.drivers.sql.mapped_tables.postgresql import mapped_postgresql
from holdfast.records.drivers.sql.statements.case_folding import learned
from holdfast.records.drivers.sql.statements.sequence_ddl import creation as sequence_creation
from holdfast.records.drivers.sql.statements.sequence_ddl import quoted, sequences_in
from holdfast.records.drivers.sql.statements.tables import WORD_INDEX, named

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.records.driver_requests import TransactionOptions
    from holdfast.records.drivers.sql.connections.server_address import ServerAddress
    from holdfast.records.drivers.sql.connections.server_connection import ServerConnection
    from holdfast.records.drivers.sql.executors.server_executor import ServerExecutor
    from holdfast.records.drivers.sql.executors.server_reader import StatementLog
    from holdfast.records.drivers.sql.statements.dialect import Dialect
    from holdfast.records.drivers.sql.statements.store_statements import StoreStatements
    from holdfast.records.entities.model import Model
    from holdfast.records.options import PostgreSQLOptions

OLDEST = 130000  # PostgreSQL 13
_FOREVER = 3600.0  # seconds
SCHEMA_LOCK = 0x686F6C64_66617374  # "holdfast": one at a time creates or drops tables
_dialect = cache(PostgreSQLDialect)


class PostgreSQLServer:
    """See `Server`."""

    name = "postgresql"
    capabilities = frozenset(StoreCapability)
    mapped_schema = None
    executor: type[ServerExecutor] = PostgreSQLExecutor
    shielded = False
    home = ""
    notification: str | None = "SELECT pg_notify($1, told) FROM unnest($2::text[]) AS told"
    time = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"

    def __init__(
        self,
        addresses: Sequence[ServerAddress],
        options: PostgreSQLOptions,
        *,
        blocking: bool,
        spread: bool = False,
    ) -> None:
        self._spread = spread
        self.options = options
        self.blocking = blocking
        self.listens = options.notify and not blocking and not options.pgbouncer
        if not options.notify:
            self.notification = None
        self._hosts = {address: encryption(options, address.host) for address in addresses}
        self._driver = connection_module(
            "psycopg" if blocking else "asyncpg", server="PostgreSQL", extra="postgresql"
        )

    async def connect(self) -> ServerConnection:
        """See `Server`."""
        return await connect_to_first(
            in_turn(tuple(self._hosts), spread=self._spread),
            self.options.target_session_attrs,
            self._connect,
            self._role,
            lambda connection: connection.close(),
        )

    async def _role(self, connection: ServerConnection) -> tuple[bool, bool]:
        """Return whether the server is a standby, and whether it is read-only."""
        ((standby, read_only),) = await connection.fetch(
            "SELECT pg_is_in_recovery(), current_setting('transaction_read_only') = 'on'", ()
        )
        return bool(standby), bool(read_only)

    async def _connect(self, address: ServerAddress) -> ServerConnection:
        options, encrypted = self.options, self._hosts[address]
        settings: dict[str, str] = {}
        if not options.pgbouncer:
            settings = {
                "timezone": "UTC",
                "datestyle": "ISO",
                "lock_timeout": f"{max(1, round(options.lock_timeout * 1000))}",
                "statement_timeout": f"{math.ceil(options.statement_timeout * 1000)}",
                "jit": "on" if options.jit else "off",
            }
            if options.search_path:
                settings["search_path"] = options.search_path
        try:
            connection: ServerConnection = await self._driver.connect(
                address,
                settings=settings,
                patience=options.connect_timeout or _FOREVER,
                prepared=not options.pgbouncer,
                encryption=encrypted,
                application=options.application_name,
            )
        except Exception as error:
            known = self._driver.unreachable(error, address, encrypted)
            raise advised(known, error, encrypted) from error
        return connection

    async def dialect(self, connection: ServerConnection) -> PostgreSQLDialect:
        """See `Server`."""
        found = await connection.fetch(
            "SELECT current_setting('server_version_num')::int, "
            f"current_setting('server_encoding'), ({FOLDS}), version()",
            (),
        )
        version, encoding, folds, full = found[0]
        if not isinstance(version, int) or version < OLDEST or encoding != "UTF8":
            raise ConfigurationError(
                f"PostgreSQL {version} with encoding {encoding}: expected 13 or newer with UTF8"
            )
        if not folds:
            return _dialect(None)

        async def lower(text: str) -> object:
            found = await connection.fetch(LOWERED.format("$1"), (text,))
            return found[0][0]

        return _dialect(await learned(f"{next(iter(self._hosts))} {full}", lower))

    def mapped_dialect(self, dialect: Dialect, models: Sequence[Model[object]]) -> Dialect:
        """See `Server`."""
        return mapped_postgresql(cast("PostgreSQLDialect", dialect), tuple(models))

    def execute_on(
        self, connection: ServerConnection, statements: StoreStatements, log: StatementLog
    ) -> PostgreSQLExecutor:
        """See `Server`."""
        return PostgreSQLExecutor(connection, statements, log)

    def begin(self, options: TransactionOptions) -> Sequence[str]:
        """See `Server`."""
        isolation = options.isolation or "read committed"
        if not options.read_only:
            return (f"BEGIN ISOLATION LEVEL {isolation.upper()}",)
        if isolation == "read committed":
            isolation = "repeatable read"
        # The snapshot is taken at the first read, and this is it.
        return (f"BEGIN ISOLATION LEVEL {isolation.upper()} READ ONLY; SELECT 1",)

    def word_indexes(self, statements: StoreStatements) -> Sequence[str]:
        """See `Server`."""
        dialect = cast("PostgreSQLDialect", statements.dialect)
        preparer = dialect.compiler.identifier_preparer
        made: list[str] = []
        for model in statements.models:
            if not model.indexed_words:
                continue
            table = statements.tables[model.table]
            vector = dialect.word_vector([table.c[name] for name in model.indexed_words])
            name = named(WORD_INDEX, model.table, model.indexed_words)
            made.append(
                f"CREATE INDEX IF NOT EXISTS {preparer.quote(name)} "
                f"ON {preparer.format_table(table)} "
                f"USING gin (({statements.compile(vector).sql})) WITH (fastupdate = off)"
            )
        return made and [f"SELECT pg_advisory_xact_lock({SCHEMA_LOCK})", *made]

    def creation(self, statements: StoreStatements) -> Sequence[str]:
        """See `Server`."""
        tables = list(statements.tables.values())
        sort: Any = sa.schema.sort_tables_and_constraints
        wanted = [f"SELECT pg_advisory_xact_lock({SCHEMA_LOCK})"]
        schemas = dict.fromkeys(table.schema for table in tables if table.schema)
        wanted += [schema_creation(schema) for schema in schemas]
        wanted += [
            sequence_creation(place, source, statements.dialect)
            for place, source in sequences_in(tables).items()
        ]
        late: list[sa.ForeignKeyConstraint] = []
        for table, constraints in sort(tables):
            if table is None:
                late += constraints
                continue
            without = {id(constraint) for constraint in constraints}
            inside = [each for each in table.foreign_key_constraints if id(each) in without]
            made = sa.schema.CreateTable(
                table, if_not_exists=True, include_foreign_key_constraints=inside
            )
            wanted.append(statements.compile(made).sql)
            wanted += [
                statements.compile(sa.schema.CreateIndex(index, if_not_exists=True)).sql
                for index in sorted(table.indexes, key=lambda index: str(index.name))
            ]
        wanted += [_constraint_if_missing(statements, each) for each in late]
        return wanted

    def removal(self, statements: StoreStatements) -> Sequence[str]:
        """See `Server`."""
        quote = statements.dialect.compiler.identifier_preparer.format_table
        names = ", ".join(quote(table) for table in statements.tables.values())
        return (
            f"SELECT pg_advisory_xact_lock({SCHEMA_LOCK})",
            f"DROP TABLE IF EXISTS {names}",
            *(
                f"DROP SEQUENCE IF EXISTS {quoted(place, statements.dialect)}"
                for place in sequences_in(statements.tables.values())
            ),
        )


def schema_creation(schema: str) -> str:
    """Return the statement that makes *schema* if it is missing.

    IF NOT EXISTS would ask for the right to make it where there is nothing to make.
    """
    there = f"SELECT FROM pg_catalog.pg_namespace WHERE nspname = '{schema}'"
    return (
        f"DO $holdfast$ BEGIN IF NOT EXISTS ({there}) "
        f'THEN CREATE SCHEMA "{schema}"; END IF; END $holdfast$'
    )


def _constraint_if_missing(statements: StoreStatements, constraint: sa.ForeignKeyConstraint) -> str:
    quote = statements.dialect.compiler.identifier_preparer.format_table
    table = f"'{quote(constraint.table)}'::regclass"
    added = statements.compile(sa.schema.AddConstraint(constraint)).sql
    return (
        "DO $holdfast$ BEGIN IF NOT EXISTS (SELECT FROM pg_constraint "
        f"WHERE conname = '{constraint.name}' AND conrelid = {table}) "
        f"THEN {added}; END IF; END $holdfast$"
    )
