"""MySQL as a server: what its sessions are set to, and how its tables are made."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, cast

import sqlalchemy as sa

from holdfast.errors import ConfigurationError
from holdfast.records.driver import StoreCapability
from holdfast.records.drivers.sql.connections.mysql_connection import MYSQL
from holdfast.records.drivers.sql.dialects.mysql import LOWERED, MySQLDialect, without_growing
from holdfast.records.drivers.sql.dialects.mysql_json import COLLATION
from holdfast.records.drivers.sql.executors.mysql_executor import MySQLExecutor
from holdfast.records.drivers.sql.mysql_family_server import (
    MySQLFamilyServer,
    database_creation,
    databases_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from holdfast.records.drivers.sql.connections.server_connection import ServerConnection
    from holdfast.records.drivers.sql.executors.server_executor import ServerExecutor
    from holdfast.records.drivers.sql.statements.store_statements import StoreStatements
    from holdfast.records.options import MySQLOptions

_dialect = cache(MySQLDialect)


def read_public_key(options: MySQLOptions) -> bytes | None:
    """Return the RSA key that *options* name. Raises ConfigurationError where it can't be read."""
    path = options.server_public_key
    if not path:
        return None
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"server_public_key={path!r} can't be used: {error}") from error


class MySQLServer(MySQLFamilyServer):
    """See `Server`."""

    name = "mysql"
    product = MYSQL
    capabilities = MySQLFamilyServer.capabilities - {StoreCapability.SEQUENCES}
    executor: type[ServerExecutor] = MySQLExecutor
    sql_mode = f"{MySQLFamilyServer.sql_mode},NO_ZERO_DATE,NO_ZERO_IN_DATE"
    """It warns of strictness without the last two."""

    def settings(self) -> Mapping[str, str]:
        """See `MySQLFamilyServer`. MySQL waits a second for a lock at the least."""
        wait = str(max(1, math.ceil(self.options.lock_timeout)))
        return {
            "collation_connection": COLLATION,
            "transaction_isolation": "'READ-COMMITTED'",
            "innodb_lock_wait_timeout": wait,
            "lock_wait_timeout": wait,  # of tables
            "max_execution_time": str(math.ceil(self.options.statement_timeout * 1000)),
        }

    def public_key(self) -> bytes | None:
        """See `MySQLFamilyServer`."""
        return read_public_key(cast("MySQLOptions", self.options))

    async def dialect(self, connection: ServerConnection) -> MySQLDialect:
        """See `Server`."""
        return _dialect(await self.misfolded(connection))

    async def lowered(self, connection: ServerConnection, text: str) -> object:
        """See `MySQLFamilyServer`."""
        found = await connection.fetch(LOWERED, (without_growing(text),))
        return found[0][0]

    def creation(self, statements: StoreStatements) -> Sequence[str]:
        """See `Server`; run by `MySQLExecutor.define`."""
        wanted = [database_creation(each, COLLATION) for each in databases_of(statements)]
        for table in statements.tables.values():
            wanted.append(
                statements.compile(sa.schema.CreateTable(table, if_not_exists=True)).sql.strip()
            )
            wanted += [
                statements.compile(sa.schema.CreateIndex(index)).sql.strip()
                for index in sorted(table.indexes, key=lambda index: str(index.name))
            ]
        return [text.replace("%%", "%") for text in wanted]  # it is sent as it is

    def removal(self, statements: StoreStatements) -> Sequence[str]:
        """See `Server`; run by `MySQLExecutor.define`."""
        quote = statements.dialect.compiler.identifier_preparer.format_table
        names = ", ".join(quote(table) for table in statements.tables.values())
        return (f"DROP TABLE IF EXISTS {names}",)
