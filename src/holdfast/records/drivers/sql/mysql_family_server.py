"""MariaDB and MySQL as servers: how to reach them and begin there."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from holdfast.records.driver import StoreCapability
from holdfast.records.drivers.sql.connections.encryption import advised, encryption
from holdfast.records.drivers.sql.connections.host_choice import connect_to_first, in_turn
from holdfast.records.drivers.sql.connections.mysql_connection import SessionStart
from holdfast.records.drivers.sql.connections.server_connection import connection_module
from holdfast.records.drivers.sql.mapped_tables import mysql_family_schema
from holdfast.records.drivers.sql.mapped_tables.mapped_mysql_family import mapped_mysql_family
from holdfast.records.drivers.sql.statements.case_folding import learned

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from holdfast.records.driver_requests import TransactionOptions
    from holdfast.records.drivers.sql.connections.mysql_connection import Product
    from holdfast.records.drivers.sql.connections.server_address import ServerAddress
    from holdfast.records.drivers.sql.connections.server_connection import ServerConnection
    from holdfast.records.drivers.sql.dialects.mysql_family import MySQLFamilyDialect
    from holdfast.records.drivers.sql.executors.mysql_family_executor import MySQLFamilyExecutor
    from holdfast.records.drivers.sql.executors.server_executor import ServerExecutor
    from holdfast.records.drivers.sql.executors.server_reader import StatementLog
    from holdfast.records.drivers.sql.server import MappedSchema
    from holdfast.records.drivers.sql.statements.case_folding import Misfolded
    from holdfast.records.drivers.sql.statements.dialect import Dialect
    from holdfast.records.drivers.sql.statements.store_statements import StoreStatements
    from holdfast.records.entities.model import Model
    from holdfast.records.options import MariaDBOptions, MySQLOptions

FOREVER = 31_536_000  # seconds
_MODE = "STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION,NO_AUTO_VALUE_ON_ZERO"


class MySQLFamilyServer:
    """See `Server`: what MariaDB and MySQL share of it."""

    name: str
    product: Product
    notification: str | None = None
    listens = False
    time = "SELECT CAST(UNIX_TIMESTAMP(SYSDATE(6)) * 1000000 AS SIGNED)"
    capabilities = frozenset(StoreCapability) - {
        StoreCapability.PERCENTILES,
        StoreCapability.TIME_ZONES,
    }
    executor: type[ServerExecutor]
    mapped_schema: MappedSchema | None = mysql_family_schema
    sql_mode = _MODE

    def __init__(
        self,
        addresses: Sequence[ServerAddress],
        options: MariaDBOptions | MySQLOptions,
        *,
        blocking: bool,
        spread: bool = False,
    ) -> None:
        self._spread = spread
        self.options = options
        self.blocking = blocking
        self.shielded = not blocking
        self._hosts = {address: encryption(options, address.host) for address in addresses}
        self.home = addresses[0].database
        self._packet = 0  # as the server says at the first connection
        settings = {
            "sql_mode": f"'{self.sql_mode}'",
            "time_zone": "'+00:00'",
            **self.settings(),
        }
        self._start = SessionStart(
            self.product,
            f"SET {', '.join(f'{name} = {value}' for name, value in settings.items())}",
            options.application_name,
            options.connect_timeout or FOREVER,
            self.public_key(),
        )
        self._driver = connection_module(
            "pymysql" if blocking else "asyncmy", server=self.product.name, extra=self.name
        )

    def mapped_dialect(self, dialect: Dialect, models: Sequence[Model[object]]) -> Dialect:  # noqa: ARG002
        """See `Server`; columns are looked at when the store opens."""
        return mapped_mysql_family(cast("MySQLFamilyDialect", dialect))

    def settings(self) -> Mapping[str, str]:
        """Return what else a session is set to."""
        raise NotImplementedError

    def public_key(self) -> bytes | None:
        """Return the RSA key by which the server is known to decrypt passwords, if it is."""
        return None

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
        """Return twice whether the server is read-only, as replicas are to be."""
        ((read_only,),) = await connection.fetch("SELECT @@global.read_only", ())
        return bool(read_only), bool(read_only)

    async def _connect(self, address: ServerAddress) -> ServerConnection:
        encrypted = self._hosts[address]
        try:
            connection: ServerConnection = await self._driver.connect(
                address, encrypted, self._start
            )
        except Exception as error:
            known = self._driver.unreachable(error, address, self._start)
            raise advised(known, error, encrypted) from error
        return connection

    async def misfolded(self, connection: ServerConnection) -> Misfolded | None:
        """Return what the server's LOWER does otherwise than we, and note how large a packet is."""
        found = await connection.fetch("SELECT VERSION(), @@max_allowed_packet", ())
        version, packet = found[0]
        self._packet = cast("int", packet)

        async def lower(text: str) -> object:
            return await self.lowered(connection, text)

        return await learned(f"{next(iter(self._hosts))} {version}", lower)

    async def lowered(self, connection: ServerConnection, text: str) -> object:
        """Return what the server's LOWER makes of *text*."""
        raise NotImplementedError

    def execute_on(
        self, connection: ServerConnection, statements: StoreStatements, log: StatementLog
    ) -> MySQLFamilyExecutor:
        """See `Server`."""
        made = cast("type[MySQLFamilyExecutor]", self.executor)
        return made(connection, statements, log, self._packet)

    def word_indexes(self, statements: StoreStatements) -> Sequence[str]:  # noqa: ARG002
        """See `Server`. Documents are read: there is no index of their words."""
        return ()

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


def databases_of(statements: StoreStatements) -> list[str]:
    """Return the databases, beside the session's own, that tables of *statements* are in."""
    return list(dict.fromkeys(each.schema for each in statements.tables.values() if each.schema))


def database_creation(name: str, collation: str) -> str:
    """Return the statement that makes the database *name*, which others call a schema."""
    return f"CREATE DATABASE IF NOT EXISTS `{name}` CHARACTER SET utf8mb4 COLLATE {collation}"
