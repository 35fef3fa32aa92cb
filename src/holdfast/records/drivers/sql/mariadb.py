"""MariaDB as a server: how to reach it, begin there, and make its tables."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, cast

import sqlalchemy as sa

from holdfast.records.driver import StoreCapability
from holdfast.records.drivers.sql.case_folding import learned
from holdfast.records.drivers.sql.dialects.mariadb import MariaDBDialect
from holdfast.records.drivers.sql.dialects.mariadb_json import COLLATION
from holdfast.records.drivers.sql.encryption import advised, encryption
from holdfast.records.drivers.sql.host_choice import connect_to_first, in_turn
from holdfast.records.drivers.sql.mariadb_executor import MariaDBExecutor
from holdfast.records.drivers.sql.server_connection import connection_module

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.records.driver import TransactionOptions
    from holdfast.records.drivers.sql.server_address import ServerAddress
    from holdfast.records.drivers.sql.server_connection import ServerConnection
    from holdfast.records.drivers.sql.server_executor import ServerExecutor
    from holdfast.records.drivers.sql.server_reader import StatementLog
    from holdfast.records.drivers.sql.store_statements import StoreStatements
    from holdfast.records.options import MariaDBOptions

_FOREVER = 31_536_000  # seconds
MODE = "STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION,NO_AUTO_VALUE_ON_ZERO"
_QUIETLY = "SET STATEMENT sql_notes = 0"
"""Begins a statement that makes no note of what is there, or gone, already: asyncmy logs notes."""
_dialect = cache(MariaDBDialect)


class MariaDBServer:
    """See `Server`."""

    name = "mariadb"
    capabilities = frozenset(StoreCapability) - {StoreCapability.MAPPED_CLASSES}
    executor: type[ServerExecutor] = MariaDBExecutor

    def __init__(
        self,
        addresses: Sequence[ServerAddress],
        options: MariaDBOptions,
        *,
        blocking: bool,
        spread: bool = False,
    ) -> None:
        self._spread = spread
        self.options = options
        self.blocking = blocking
        self.shielded = not blocking
        self._hosts = {address: encryption(options, address.host) for address in addresses}
        self._packet = 0  # as the server says at the first connection
        self._driver = connection_module(
            "pymysql" if blocking else "asyncmy", server="MariaDB", extra="mysql"
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
        """Return twice whether the server is read-only, as MariaDB's replicas are to be."""
        ((read_only,),) = await connection.fetch("SELECT @@global.read_only", ())
        return bool(read_only), bool(read_only)

    async def _connect(self, address: ServerAddress) -> ServerConnection:
        options, encrypted = self.options, self._hosts[address]
        settings = {
            "sql_mode": f"'{MODE}'",
            "time_zone": "'+00:00'",
            "collation_connection": COLLATION,
            "tx_isolation": "'READ-COMMITTED'",
            "innodb_lock_wait_timeout": str(math.ceil(options.lock_timeout)),
            "lock_wait_timeout": str(math.ceil(options.lock_timeout)),  # of tables
            "max_statement_time": str(options.statement_timeout),
            "@holdfast_created": "1",
        }
        greeting = ", ".join(f"{name} = {value}" for name, value in settings.items())
        try:
            connection: ServerConnection = await self._driver.connect(
                address,
                patience=options.connect_timeout or _FOREVER,
                greeting=f"SET {greeting}",
                encryption=encrypted,
                application=options.application_name,
            )
        except Exception as error:
            known = self._driver.unreachable(error, address, encrypted)
            raise advised(known, error, encrypted) from error
        return connection

    async def dialect(self, connection: ServerConnection) -> MariaDBDialect:
        """See `Server`."""
        found = await connection.fetch("SELECT VERSION(), @@max_allowed_packet", ())
        version, packet = found[0]
        self._packet = cast("int", packet)

        async def lower(text: str) -> object:
            found = await connection.fetch(
                "SELECT LOWER(CONVERT(%s USING utf8mb4) COLLATE uca1400_nopad_as_cs)", (text,)
            )
            return found[0][0]

        return _dialect(await learned(f"{next(iter(self._hosts))} {version}", lower))

    def execute_on(
        self, connection: ServerConnection, statements: StoreStatements, log: StatementLog
    ) -> MariaDBExecutor:
        """See `Server`."""
        return MariaDBExecutor(connection, statements, log, self._packet)

    def begin(self, options: TransactionOptions) -> Sequence[str]:
        """See `Server`."""
        isolation = options.isolation
        if not options.read_only:
            level = (f"SET TRANSACTION ISOLATION LEVEL {isolation.upper()}",) if isolation else ()
            return (*level, "START TRANSACTION")
        if isolation == "serializable":
            return ("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", "START TRANSACTION READ ONLY")
        return (
            "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
            "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
        )

    def creation(self, statements: StoreStatements) -> Sequence[str]:
        """See `Server`."""
        wanted: list[str] = []
        for table in statements.tables.values():
            made = statements.compile(sa.schema.CreateTable(table, if_not_exists=True)).sql
            # Tables may point at ones that come later, or at each other.
            wanted.append(f"{_QUIETLY}, foreign_key_checks = 0 FOR {made.strip()}")
            wanted += [
                f"{_QUIETLY} FOR "
                + statements.compile(sa.schema.CreateIndex(index, if_not_exists=True)).sql.strip()
                for index in sorted(table.indexes, key=lambda index: str(index.name))
            ]
        return wanted

    def removal(self, statements: StoreStatements) -> Sequence[str]:
        """See `Server`."""
        quote = statements.dialect.compiler.identifier_preparer.format_table
        names = ", ".join(quote(table) for table in statements.tables.values())
        return (f"{_QUIETLY}, foreign_key_checks = 0 FOR DROP TABLE IF EXISTS {names}",)
